"""An answer as a line of JSON, in the field names that everybody uses.

    comparison     prompt, chosen, rejected     or chosen, rejected with one beginning
    ranking        prompt, completions          best first
    score          prompt, completion, score    a whole number from 1 to 10
    label          prompt, completion, label    true where it is okay
    correction     prompt, original, edited
    critique       prompt, completion, critique
    demonstration  prompt, completion

Optional are `annotator`, a number, and `tied`, true where neither of two was preferred;
other fields are passed over. Where `chosen` and `rejected` have no prompt, it is their
shared beginning, up to the last turn of "Assistant:" in it, as in the HH-RLHF files, or
up to its last white space.

`record_files.py` reads and writes files of them.

Source: the field names of Hugging Face's TRL, "dataset formats and types"; Bai et al.
(2022) for the HH-RLHF files.
"""

import json
from itertools import takewhile
from typing import NamedTuple

LONGEST = 1_000_000  # bytes of a line; nobody has read a longer answer


class ComparisonRecord(NamedTuple):
    prompt: str
    chosen: str
    rejected: str
    tied: bool = False
    annotator: int | None = None


class RankingRecord(NamedTuple):
    prompt: str
    completions: tuple[str, ...]
    annotator: int | None = None


class ScoreRecord(NamedTuple):
    prompt: str
    completion: str
    score: int
    annotator: int | None = None


class LabelRecord(NamedTuple):
    prompt: str
    completion: str
    label: bool
    annotator: int | None = None


class CorrectionRecord(NamedTuple):
    prompt: str
    original: str
    edited: str
    annotator: int | None = None


class CritiqueRecord(NamedTuple):
    prompt: str
    completion: str
    critique: str
    annotator: int | None = None


class DemonstrationRecord(NamedTuple):
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
    """What is wrong with a line, and in a word or two the kind of fault."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


def parse_record(line: bytes) -> Record:
    """One line; raises BadLine."""
    if len(line) > LONGEST:
        raise BadLine("too long", f"expected at most {LONGEST:,} bytes, got more")
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        got = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
        raise BadLine("not UTF-8", f"expected UTF-8, got {got}") from None
    except (ValueError, RecursionError) as error:
        got = _short(line.decode("utf-8").strip())
        raise BadLine(
            "not JSON", f"expected a JSON object, got {got} ({error})"
        ) from None
    if not isinstance(found, dict):
        raise BadLine("not JSON", f"expected a JSON object, got {_short(found)}")
    return _record(found)


def format_record(record: Record) -> bytes:
    """The line of a record, with a new line at its end."""
    fields = {
        name: value
        for name, value in record._asdict().items()
        if name not in record._field_defaults or value != record._field_defaults[name]
    }
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _record(found):
    """The record that the fields say it is: by the first that only one kind has."""
    kind = next((kind for mark, kind in _MARKS.items() if mark in found), None)
    if kind is None:
        told = f"expected one of the fields {', '.join(_MARKS)}"
        raise BadLine("missing field", f"{told}; got {sorted(found) or 'none'}")
    if kind is ComparisonRecord and {"chosen", "rejected"} <= found.keys() - {"prompt"}:
        found = found if "prompt" in found else _split(found)
    values = {}
    for name in kind._fields:
        if found.get(name) is not None:
            values[name] = _READERS[name](name, found[name])
        elif name not in kind._field_defaults:
            got = f"a {kind_name(kind)} without it"
            raise BadLine("missing field", f"field {name}: expected one, got {got}")
    if kind is ComparisonRecord and values["chosen"] == values["rejected"]:
        raise BadLine(
            "equal completions",
            "fields chosen, rejected: expected two different completions, got "
            f"{_short(values['chosen'])} twice",
        )
    return kind(**values)


def _split(found):
    """A comparison without a prompt: it is what both sides begin with."""
    chosen, rejected = (_text(name, found[name]) for name in ("chosen", "rejected"))
    pairs = zip(chosen, rejected, strict=False)
    shared = chosen[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))]
    turn = shared.rfind(_TURN)
    end = turn + len(_TURN) if turn >= 0 else len(shared)
    while turn < 0 and end > 0 and not shared[end - 1].isspace():
        end -= 1
    if not shared[:end].strip():
        told = "field prompt: expected one, or a beginning that both sides share"
        raise BadLine("missing field", f"{told}, got neither")
    sides = {"prompt": chosen[:end], "chosen": chosen[end:], "rejected": rejected[end:]}
    return found | sides


def _text(name, value):
    _require(isinstance(value, str), "wrong type", name, "a string", value)
    # JSON can spell half of a surrogate pair, which is no character.
    whole = value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    _require(whole, "not UTF-8", name, "text", value)
    return value


def _completion(name, value):
    text = _text(name, value)
    _require(text.strip(), "empty completion", name, "a completion", value)
    return text


def _completions(name, value):
    several = isinstance(value, list) and len(value) > 1
    _require(several, "wrong type", name, "a list of at least two", value)
    texts = tuple(_completion(f"{name}[{i}]", text) for i, text in enumerate(value))
    different = len(set(texts)) == len(texts)
    _require(different, "equal completions", name, "different completions", value)
    return texts


def _score(name, value):
    _require(_is_whole(value), "wrong type", name, "a whole number", value)
    inside = 1 <= value <= 10
    _require(inside, "out of range", name, "a whole number from 1 to 10", value)
    return int(value)


def _flag(name, value):
    reason = "out of range" if _is_whole(value) else "wrong type"
    _require(isinstance(value, bool), reason, name, "true or false", value)
    return value


def _annotator(name, value):
    known = _is_whole(value) and value >= 0
    _require(known, "wrong type", name, "a whole number from 0 up", value)
    return int(value)


def _is_whole(value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value == value // 1


def _require(right, reason, name, expected, value):
    if not right:
        got = _short(value)
        raise BadLine(reason, f"field {name}: expected {expected}, got {got}")


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def kind_name(kind):
    return kind.__name__.removesuffix("Record").lower()


def _short(value):
    """A value for a message, of one line and not too long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


_TURN = "\n\nAssistant:"
_MARKS = {
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
_READERS = {
    "prompt": _text,
    "chosen": _completion,
    "rejected": _completion,
    "completion": _completion,
    "completions": _completions,
    "original": _completion,
    "edited": _completion,
    "critique": _completion,
    "score": _score,
    "label": _flag,
    "tied": _flag,
    "annotator": _annotator,
}
