"""Records: an answer as a line of JSON, with the field names of other libraries.

    comparison     prompt, chosen, rejected     or chosen and rejected, if both begin
                                                with the prompt
    ranking        prompt, completions          best first
    score          prompt, completion, score    a whole number from 1 to 10
    label          prompt, completion, label    true where it is okay
    correction     prompt, original, edited
    critique       prompt, completion, critique
    demonstration  prompt, completion

Optional fields are `annotator`, a number, and `tied`, true where neither of two was
preferred. Other fields are ignored. Where `chosen` and `rejected` come without a
prompt, the prompt is their shared beginning: up to the last turn of "Assistant:" in it,
as in the HH-RLHF files, or else up to its last white space.

`record_files.py` reads and writes files of records.

Source: the field names of Hugging Face's TRL, "dataset formats and types"; Bai et al.
(2022) for the HH-RLHF files.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

MAX_LINE_BYTES = 1_000_000  # no answer of a person is longer
LONGEST_MESSAGE = 400  # characters


class ComparisonRecord(NamedTuple):
    """The better and the worse of two completions, or a tie."""

    prompt: str
    chosen: str
    rejected: str
    tied: bool = False
    annotator: int | None = None


class RankingRecord(NamedTuple):
    """Several completions, best first."""

    prompt: str
    completions: tuple[str, ...]
    annotator: int | None = None


class ScoreRecord(NamedTuple):
    """A completion and its score, from 1 to 10."""

    prompt: str
    completion: str
    score: int
    annotator: int | None = None


class LabelRecord(NamedTuple):
    """A completion and whether it is okay."""

    prompt: str
    completion: str
    label: bool
    annotator: int | None = None


class CorrectionRecord(NamedTuple):
    """A completion and its edited version."""

    prompt: str
    original: str
    edited: str
    annotator: int | None = None


class CritiqueRecord(NamedTuple):
    """A completion and a sentence about it."""

    prompt: str
    completion: str
    critique: str
    annotator: int | None = None


class DemonstrationRecord(NamedTuple):
    """A completion that a person wrote."""

    prompt: str
    completion: str


Record = (
    ComparisonRecord
    | RankingRecord
    | ScoreRecord
    | LabelRecord
    | CorrectionRecord
    | CritiqueRecord
    | DemonstrationRecord
)


class BadLine(ValueError):
    """An error in a line; `reason` names the kind of error in a word or two."""

    def __init__(self, reason: str, message: str):
        # A file may hold texts of any length.
        cut = len(message) > LONGEST_MESSAGE
        super().__init__(message[:LONGEST_MESSAGE] + "..." if cut else message)
        self.reason = reason


def parse_record(line: bytes) -> Record:
    """Return the record of one line; raises BadLine."""
    if len(line) > MAX_LINE_BYTES:
        expected = f"expected at most {MAX_LINE_BYTES:,} bytes"
        raise BadLine("too long", f"{expected}, got more")
    try:
        fields = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        got = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
        raise BadLine("not UTF-8", f"expected UTF-8, got {got}") from None
    except (ValueError, RecursionError) as error:
        got = f"{_short(line.decode('utf-8').strip())} ({error})"
        raise BadLine("not JSON", f"expected a JSON object, got {got}") from None
    if not isinstance(fields, dict):
        raise BadLine("not JSON", f"expected a JSON object, got {_short(fields)}")
    return _record(fields)


def format_record(record: Record) -> bytes:
    """Return the line of a record, with a new line at its end."""
    defaults = record._field_defaults
    fields = {
        name: value
        for name, value in record._asdict().items()
        if name not in defaults or value != defaults[name]
    }
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def kind_name(kind: type[Record]) -> str:
    """Return the name of a kind of record, as messages write it."""
    return kind.__name__.removesuffix("Record").lower()


def _record(fields: dict[str, Any]) -> Record:
    """Return the record of these fields; a field that only one kind has decides."""
    kind = next((kind for mark, kind in _MARKS.items() if mark in fields), None)
    if kind is None:
        expected = f"expected one of the fields {', '.join(_MARKS)}"
        raise BadLine("missing field", f"{expected}; got {sorted(fields) or 'none'}")
    if kind is ComparisonRecord and {"chosen", "rejected"} <= fields.keys():
        fields = fields if "prompt" in fields else _split_prompt(fields)
    values = {}
    for name in kind._fields:
        if fields.get(name) is not None:
            values[name] = _READERS[name](name, fields[name])
        elif name not in kind._field_defaults:
            got = f"a {kind_name(kind)} without it"
            raise BadLine("missing field", f"field {name}: expected one, got {got}")
    if kind is ComparisonRecord and values["chosen"] == values["rejected"]:
        got = f"{_short(values['chosen'])} twice"
        expected = "fields chosen, rejected: expected two different completions"
        raise BadLine("equal completions", f"{expected}, got {got}")
    return kind(**values)


def _split_prompt(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a comparison with its prompt: the shared beginning."""
    chosen, rejected = (_text(name, fields[name]) for name in ("chosen", "rejected"))
    equal = [a == b for a, b in zip(chosen, rejected, strict=False)]
    shared = chosen[: [*equal, False].index(False)]
    turn = shared.rfind(_TURN)
    if turn >= 0:
        end = turn + len(_TURN)
    else:
        end = 1 + max((i for i, c in enumerate(shared) if c.isspace()), default=-1)
    if not shared[:end].strip():
        expected = "field prompt: expected one, or a beginning that both sides share"
        raise BadLine("missing field", f"{expected}, got neither")
    sides = {"prompt": chosen[:end], "chosen": chosen[end:], "rejected": rejected[end:]}
    return fields | sides


def _text(name: str, value: Any) -> str:
    _require(isinstance(value, str), "wrong type", name, "a string", value)
    # JSON can spell half of a surrogate pair, which is no character.
    whole = value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    _require(whole, "not UTF-8", name, "text", value)
    return value


def _completion(name: str, value: Any) -> str:
    text = _text(name, value)
    _require(bool(text.strip()), "empty completion", name, "a completion", value)
    return text


def _completions(name: str, value: Any) -> tuple[str, ...]:
    several = isinstance(value, list) and len(value) > 1
    _require(several, "wrong type", name, "a list of at least two", value)
    texts = tuple(_completion(f"{name}[{i}]", text) for i, text in enumerate(value))
    different = len(set(texts)) == len(texts)
    _require(different, "equal completions", name, "different completions", value)
    return texts


def _score(name: str, value: Any) -> int:
    _require(_is_whole(value), "wrong type", name, "a whole number", value)
    inside = 1 <= value <= 10
    _require(inside, "out of range", name, "a whole number from 1 to 10", value)
    return int(value)


def _flag(name: str, value: Any) -> bool:
    reason = "out of range" if _is_whole(value) else "wrong type"
    _require(isinstance(value, bool), reason, name, "true or false", value)
    return value


def _annotator(name: str, value: Any) -> int:
    known = _is_whole(value) and 0 <= value < 2**31
    _require(known, "wrong type", name, "a whole number from 0 up", value)
    return int(value)


def _is_whole(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value == value // 1


def _require(right: bool, reason: str, name: str, expected: str, value: Any) -> None:
    """Raise BadLine unless the value of a field is right."""
    if not right:
        got = _short(value)
        raise BadLine(reason, f"field {name}: expected {expected}, got {got}")


def _refuse_constant(name: str) -> NoReturn:
    """Raise ValueError at NaN and Infinity, which Python's reader would accept."""
    raise ValueError(f"{name} is not JSON")


def _short(value: Any) -> str:
    """Return a value for a message, on one line and not too long."""
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value)
    except (RecursionError, ValueError):  # deep lists, numbers of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


_TURN = "\n\nAssistant:"
_MARKS: dict[str, type[Record]] = {
    "chosen": ComparisonRecord,
    "rejected": ComparisonRecord,
    "completions": RankingRecord,
    "original": CorrectionRecord,
    "edited": CorrectionRecord,
    "label": LabelRecord,
    "score": ScoreRecord,
    "critique": CritiqueRecord,
    "completion": DemonstrationRecord,
}
COMPLETION_FIELDS = ("completion", "chosen", "rejected", "original", "edited")
_READERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys((*COMPLETION_FIELDS, "critique"), _completion),
    "prompt": _text,
    "completions": _completions,
    "score": _score,
    "label": _flag,
    "tied": _flag,
    "annotator": _annotator,
}
