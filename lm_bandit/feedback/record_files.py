"""Files of answers in JSON Lines: one record a line (`records.py`), one kind a file.

A file is read line by line, so its length does not matter. The first bad line raises an
error that names file, line and field. On request, bad lines are skipped instead, and
counted by reason. No model is trained on half a file: `load_answers` returns when the
whole file has been read, and keeps its tokens only.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from lm_bandit import sft
from lm_bandit.feedback import kinds, records
from lm_bandit.feedback.records import BadLine, DemonstrationRecord, Record
from mdp.interface.files import open_file, write_files
from mdp.interface.runs import lock

Encode = Callable[[str], Int[np.ndarray, "n"]]
Decode = Callable[[Int[np.ndarray, "n"]], str]


def read_records(path: Path, skipped: Counter | None = None) -> Iterator[Record]:
    """Yield the records of a file, one after the other.

    Args:
        path: of the file.
        skipped: if given, bad lines are skipped and counted here by reason. Otherwise
            the first bad line raises ValueError.
    """
    return _read(path, skipped, lambda record: record)


def load_answers(
    path: Path, prompt: Encode, completion: Encode, skipped: Counter | None = None
) -> kinds.Answers | kinds.Critiques | sft.Texts:
    """Return a file of feedback, or of demonstrations, as arrays.

    Args:
        path: of the file.
        prompt: from the text of a prompt to its tokens; all prompts have equally many.
            Raises ValueError where a text has no tokens.
        completion: from the text of a completion to its tokens, end and padding.
        skipped: see `read_records`; a text without tokens makes a bad line too.
    """
    rows = list(_read(path, skipped, partial(_encoded, prompt, completion)))
    kind = type(rows[0])
    columns = [
        _array(name, values)
        for name, values in zip(kind._fields, zip(*rows, strict=True), strict=True)
    ]
    if kind is DemonstrationRecord:
        return sft.as_demonstrations(*columns)
    return _ARRAYS[kind](*columns)


def save_answers(
    path: Path,
    answers: kinds.Answers | kinds.Critiques,
    prompt: Decode,
    completion: Decode,
) -> None:
    """Write arrays of feedback to a file, whole or not at all.

    `load_answers` reads the file back.

    Args:
        path: of the file; an existing file is replaced.
        answers: of one kind.
        prompt: from the tokens of a prompt to its text.
        completion: from the tokens of a completion to its text.
    """
    kind = next(kind for kind in _ARRAYS if isinstance(answers, _ARRAYS[kind]))
    count = len(answers.prompts)
    columns: list[Any] = []
    for name, values in zip(kind._fields, answers, strict=True):
        if values is None:
            columns.append([kind._field_defaults[name]] * count)
        elif name == "prompt":
            columns.append(map(prompt, values))
        elif name == "completions":
            columns.append(tuple(map(completion, row)) for row in values)
        elif name in records.COMPLETION_FIELDS:
            columns.append(map(completion, values))
        else:
            columns.append(values if isinstance(values, tuple) else values.tolist())
    lines = [records.format_record(kind(*row)) for row in zip(*columns, strict=True)]
    write_files(path.parent, {path.name: b"".join(lines)})


class Journal:
    """A file of records that grows by whole records, one at a time.

    `append` returns when the line is on the disk. A process that is killed while it
    writes leaves a torn last line, which belongs to an answer that was not yet reported
    as saved. The next journal removes this line. One journal at a time may have a file.
    Raises ValueError where the file holds anything but records, or is in use.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        open_file(path).close()  # or refuse what is no regular file
        self._lock = path.open("ab")
        lock(self._lock.fileno(), f"{path} is in use by another session")
        self._repair()
        self.records = list(read_records(path)) if path.stat().st_size else []

    def append(self, record: Record) -> None:
        """Add a record to the file, and return when it is on the disk."""
        with self.path.open("ab") as file:
            file.write(records.format_record(record))
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)

    def undo(self) -> Record:
        """Remove the last record, from the file as well, and return it."""
        text = self.path.read_bytes().rstrip()
        self._truncate(text.rfind(b"\n") + 1)
        return self.records.pop()

    def _repair(self) -> None:
        """Complete a last line without its new line if it is a record, or remove it."""
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole == len(text):
            return
        try:
            records.parse_record(text[whole:])
        except BadLine:
            if text[whole:].startswith(b"{"):  # otherwise this file is not a journal
                self._truncate(whole)
        else:
            with self.path.open("ab") as file:
                file.write(b"\n")

    def _truncate(self, size: int) -> None:
        with self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def _encoded(prompt: Encode, completion: Encode, record: Record) -> Any:
    """Return the record with tokens instead of texts."""
    tokens: dict[str, Any] = {}
    try:
        for name in set(records.COMPLETION_FIELDS) & set(record._fields):
            tokens[name] = completion(getattr(record, name))
        if isinstance(record, records.RankingRecord):
            tokens["completions"] = [completion(x) for x in record.completions]
        tokens["prompt"] = prompt(record.prompt)
        return record._replace(**tokens)
    except ValueError as error:
        raise BadLine("cannot be encoded", str(error)) from None


def _array(name: str, values: tuple) -> Any:
    """Return one field of all records as an array; None where nothing is known."""
    if name == "critique":
        return values
    if (name == "annotator" and None in values) or (name == "tied" and not any(values)):
        return None
    return np.array(values)


def _read(
    path: Path, skipped: Counter | None, convert: Callable[[Record], Any]
) -> Iterator[Any]:
    """Yield every record, converted; bad lines are counted, or raise ValueError."""
    kind, count = None, 0
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            record = records.parse_record(line)
            kind = kind or type(record)
            if type(record) is not kind:
                expected = f"expected a {records.kind_name(kind)} like the lines before"
                got = f"got a {records.kind_name(type(record))}"
                raise BadLine("another kind", f"{expected}, {got}")
            converted = convert(record)
        except BadLine as bad:
            if skipped is None:
                raise ValueError(f"{path}, line {number}: {bad}") from None
            skipped[bad.reason] += 1
        else:
            count += 1
            yield converted
    if not count:
        got = f"{skipped.total()} bad lines" if skipped else "none"
        raise ValueError(f"{path}: expected at least one record, got {got}")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield numbered lines; a line that is too long is cut just above the limit."""
    longest = records.MAX_LINE_BYTES + 1
    with open_file(path) as file:
        number = 0
        while line := file.readline(longest):
            number += 1
            rest = line
            while len(rest) == longest and not rest.endswith(b"\n"):
                rest = file.readline(longest)
            yield number, line


# Records and arrays have equal fields in equal order.
_ARRAYS: dict[type[Record], type] = {
    records.ComparisonRecord: kinds.Comparisons,
    records.RankingRecord: kinds.Rankings,
    records.ScoreRecord: kinds.Scores,
    records.LabelRecord: kinds.Labels,
    records.CorrectionRecord: kinds.Corrections,
    records.CritiqueRecord: kinds.Critiques,
}
