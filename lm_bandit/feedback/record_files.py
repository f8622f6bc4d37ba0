"""Files of answers, JSON Lines: a record a line (`records.py`), one kind a file.

A file is read line by line, however long it is. It is refused at its first bad line, by
file, line and field; or, if one asks for that, bad lines are skipped and counted by
reason. Nothing is trained on half a file: `load` returns when all of it is read, and
keeps its tokens only.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int

from lm_bandit import sft
from lm_bandit.feedback import kinds as feedback
from lm_bandit.feedback import records
from lm_bandit.feedback.records import (
    BadLine,
    ComparisonRecord,
    CorrectionRecord,
    CritiqueRecord,
    DemonstrationRecord,
    LabelRecord,
    RankingRecord,
    Record,
    ScoreRecord,
)
from mdp.interface.files import write_files

Encode = Callable[[str], Int[np.ndarray, "n"]]
Decode = Callable[[Int[np.ndarray, "n"]], str]


def read_records(path: Path, skipped: Counter | None = None) -> Iterator[Record]:
    """The records of a file, one after the other.

    Args:
        path: of the file.
        skipped: where given, bad lines are left out and counted here by reason;
            otherwise the first raises ValueError.
    """
    return _each(path, skipped, lambda record: record)


def load_answers(
    path: Path,
    prompt: Encode,
    completion: Encode,
    skipped: Counter | None = None,
) -> feedback.Answers | feedback.Critiques | sft.Texts:
    """A file of feedback, or of demonstrations, as arrays.

    Args:
        path: of the file.
        prompt: the tokens of a prompt, equally many of each; raises ValueError where
            the text is not to be had in tokens.
        completion: the same of a completion, with its end and padding.
        skipped: as for `read`; what cannot be encoded is a bad line too.
    """
    rows = list(_each(path, skipped, partial(_encoded, prompt, completion)))
    columns = type(rows[0])(*map(list, zip(*rows, strict=True)))
    who = getattr(columns, "annotator", [None])
    who = None if None in who else np.array(who)
    prompts = np.stack(columns.prompt)
    match columns:
        case ComparisonRecord(_, chosen, rejected, tied):
            tied = np.array(tied) if any(tied) else None
            sides = np.stack(chosen), np.stack(rejected)
            return feedback.Comparisons(prompts, *sides, tied, who)
        case RankingRecord(_, completions):
            return feedback.Rankings(prompts, np.array(completions), who)
        case ScoreRecord(_, completion, score):
            scores = np.array(score)
            return feedback.Scores(prompts, np.stack(completion), scores, who)
        case LabelRecord(_, completion, label):
            okay = np.array(label)
            return feedback.Labels(prompts, np.stack(completion), okay, who)
        case CorrectionRecord(_, original, edited):
            sides = np.stack(original), np.stack(edited)
            return feedback.Corrections(prompts, *sides, who)
        case CritiqueRecord(_, completion, texts):
            sides = np.stack(completion), tuple(texts)
            return feedback.Critiques(prompts, *sides, who)
        case DemonstrationRecord(_, completion):
            return sft.as_demonstrations(prompts, np.stack(completion))


def save_answers(
    path: Path,
    answers: feedback.Answers | feedback.Critiques,
    prompt: Decode,
    completion: Decode,
) -> None:
    """Arrays of feedback as a file, whole or not at all; `load` reads it back.

    Args:
        path: of the file; one that is there is replaced.
        answers: of one kind.
        prompt: the text of a prompt's tokens.
        completion: the same of a completion's.
    """
    count = len(answers.prompts)
    known = answers.annotators is not None
    who = answers.annotators.tolist() if known else [None] * count
    asked = [prompt(tokens) for tokens in answers.prompts]

    def texts(completions):
        return [completion(tokens) for tokens in completions]

    match answers:
        case feedback.Comparisons(_, chosen, rejected, tied):
            ties = [False] * count if tied is None else tied.tolist()
            kind, columns = ComparisonRecord, (texts(chosen), texts(rejected), ties)
        case feedback.Rankings(_, completions):
            kind, columns = RankingRecord, ([tuple(texts(row)) for row in completions],)
        case feedback.Scores(_, completions, scores):
            kind, columns = ScoreRecord, (texts(completions), scores.tolist())
        case feedback.Labels(_, completions, okay):
            kind, columns = LabelRecord, (texts(completions), okay.tolist())
        case feedback.Corrections(_, originals, edited):
            kind, columns = CorrectionRecord, (texts(originals), texts(edited))
        case feedback.Critiques(_, completions, said):
            kind, columns = CritiqueRecord, (texts(completions), said)
    lines = [
        records.format_record(kind(*row))
        for row in zip(asked, *columns, who, strict=True)
    ]
    write_files(
        path.parent, {path.name: lambda file: file.write_bytes(b"".join(lines))}
    )


class Journal:
    """A file of records that grows by one at a time, and is never half of one.

    `append` returns when the line is on the disk. A process that is killed while it
    writes leaves a torn last line, of an answer that nobody was told is saved: the next
    journal takes it away. Raises ValueError where the file is not one of records.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._mend()
        self.records = list(read_records(path)) if path.stat().st_size else []

    def append(self, record: Record) -> None:
        with self.path.open("ab") as file:
            file.write(records.format_record(record))
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)

    def undo(self) -> Record:
        """Take the last record back, out of the file as well."""
        text = self.path.read_bytes().rstrip()
        self._cut(text.rfind(b"\n") + 1)
        return self.records.pop()

    def _mend(self):
        """A last line without its end: complete it if it is a record, or drop it."""
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole == len(text):
            return
        try:
            records.parse_record(text[whole:])
        except BadLine:
            if text[whole:].startswith(b"{"):  # if not, this was never ours
                self._cut(whole)
        else:
            with self.path.open("ab") as file:
                file.write(b"\n")

    def _cut(self, size):
        with self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def _encoded(prompt, completion, record):
    """The record with tokens in place of its texts."""
    tokens = {}
    try:
        for name in _COMPLETIONS & set(record._fields):
            tokens[name] = completion(getattr(record, name))
        if isinstance(record, RankingRecord):
            tokens["completions"] = [completion(x) for x in record.completions]
        return record._replace(prompt=prompt(record.prompt), **tokens)
    except ValueError as error:
        raise BadLine("cannot be encoded", str(error)) from None


def _each(path, skipped, convert):
    """Every record, converted; or ValueError with its place, or a count."""
    kind, found = None, 0
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
            found += 1
            yield converted
    if not found:
        got = f"{skipped.total()} bad lines" if skipped else "none"
        raise ValueError(f"{path}: expected at least one record, got {got}")


def _lines(path):
    """Numbered lines as bytes; of one that is too long, so much that it shows."""
    longest = records.LONGEST + 1
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(longest):
                number += 1
                rest = line
                while len(rest) == longest and not rest.endswith(b"\n"):
                    rest = file.readline(longest)
                yield number, line
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None


_COMPLETIONS = {"completion", "chosen", "rejected", "original", "edited"}
