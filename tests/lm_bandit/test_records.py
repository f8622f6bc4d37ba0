"""Files of answers: what is read back is what was written, and nothing bad gets by."""

import json
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lm_bandit import sft
from lm_bandit.feedback import annotators, lessons, record_files, records
from lm_bandit.feedback import kinds as feedback
from lm_bandit.feedback.record_files import load_answers, read_records
from lm_bandit.feedback.records import (
    BadLine,
    ComparisonRecord,
    format_record,
    parse_record,
)
from lm_bandit.world import pocket_world

KINDS = (
    ComparisonRecord("a prompt", "one", "other"),
    ComparisonRecord("ü\n", "one", "other", tied=True, annotator=3),
    records.RankingRecord("p", ("best", "middle", "worst"), 0),
    records.ScoreRecord("p", "c", 10),
    records.LabelRecord("p", "c", False, 7),
    records.CorrectionRecord("p", "same", "same"),
    records.CritiqueRecord("p", "c", "'awful' should go", 1),
    records.DemonstrationRecord("", "c"),
)


def lines(path, *contents):
    path.write_bytes(b"".join(contents))
    return path


@pytest.mark.parametrize("record", KINDS, ids=lambda record: type(record).__name__)
def test_what_is_written_is_read_back(record):
    line = format_record(record)
    assert line.index(b"\n") == len(line) - 1
    assert parse_record(line) == record


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        (
            "\n\nHuman: hi\n\nAssistant: Hello.",
            "\n\nHuman: hi\n\nAssistant: Help!",
            "\n\nHuman: hi\n\nAssistant:",
        ),
        ("The film was good", "The film was grim", "The film was "),
    ],
)
def test_without_a_prompt_it_is_the_shared_beginning(chosen, rejected, prompt):
    found = parse_record(json.dumps({"chosen": chosen, "rejected": rejected}).encode())
    assert found.prompt == prompt
    assert (prompt + found.chosen, prompt + found.rejected) == (chosen, rejected)


@pytest.mark.parametrize(
    ("line", "reason", "told"),
    [
        (b'{"prompt": "p", "chosen": "c', "not JSON", "expected a JSON object"),
        (b"[1]", "not JSON", "expected a JSON object, got [1]"),
        (b'{"score": NaN}', "not JSON", "NaN"),
        (b"[" * 100_000, "not JSON", "JSON"),
        (b'{"prompt": "caf\xe9"}', "not UTF-8", "byte 0xe9 at column 16"),
        (b'{"prompt": "p", "completion": "\\ud800"}', "not UTF-8", "field completion"),
        (b"{}", "missing field", "got none"),
        (b'{"prompt": "p", "chosen": "c"}', "missing field", "field rejected"),
        (b'{"promt": "p", "chosen": "c", "rejected": "r"}', "missing field", "prompt"),
        (b'{"completion": "c", "score": 3}', "missing field", "field prompt"),
        (b'{"prompt": 1, "completion": "c"}', "wrong type", "a string, got 1"),
        (b'{"prompt": "p", "completion": ["c"]}', "wrong type", "field completion"),
        (b'{"prompt": "p", "completion": " \\n"}', "empty completion", "completion"),
        (b'{"prompt": "p", "chosen": "", "rejected": "r"}', "empty completion", "got"),
        (b'{"prompt": "p", "chosen": "c", "rejected": "c"}', "equal completions", "c"),
        (b'{"prompt": "p", "completions": ["c"]}', "wrong type", "at least two"),
        (b'{"prompt": "p", "completions": ["c", ""]}', "empty completion", "ns[1]"),
        (b'{"prompt": "p", "completions": ["c", "c"]}', "equal completions", "diff"),
        (b'{"prompt": "p", "completion": "c", "score": 11}', "out of range", "1 to 10"),
        (b'{"prompt": "p", "completion": "c", "score": 2.5}', "wrong type", "2.5"),
        (b'{"prompt": "p", "completion": "c", "score": true}', "wrong type", "true"),
        (b'{"prompt": "p", "completion": "c", "label": 2}', "out of range", "got 2"),
        (b'{"prompt": "p", "completion": "c", "label": "ok"}', "wrong type", "true or"),
        (
            b'{"prompt": "p", "completion": "c", "label": true, "annotator": "me"}',
            "wrong type",
            "field annotator",
        ),
    ],
    ids=lambda value: repr(value[:60]),
)
def test_a_bad_line_is_named_and_can_be_skipped_and_counted(
    line, reason, told, tmp_path
):
    with pytest.raises(BadLine) as caught:
        parse_record(line)
    assert caught.value.reason == reason
    assert told in str(caught.value)
    good = format_record(KINDS[0])
    path = lines(tmp_path / "mine.jsonl", good, line + b"\n", good)
    with pytest.raises(ValueError, match=r"mine\.jsonl, line 2: ") as refused:
        list(read_records(path))
    assert "\n" not in str(refused.value)
    skipped = Counter()
    assert list(read_records(path, skipped)) == [KINDS[0]] * 2
    assert skipped == {reason: 1}


def test_a_file_holds_one_kind_of_answer(tmp_path):
    path = lines(
        tmp_path / "mine.jsonl", format_record(KINDS[0]), b"\n", format_record(KINDS[3])
    )
    with pytest.raises(ValueError, match="line 3: expected a comparison"):
        list(read_records(path))
    skipped = Counter()
    assert list(read_records(path, skipped)) == [KINDS[0]]
    assert skipped == {"another kind": 1}


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one record, got none"):
        list(read_records(lines(tmp_path / "mine.jsonl", b"\n")))
    with pytest.raises(ValueError, match="at least one record, got 2 bad lines"):
        list(read_records(lines(tmp_path / "mine.jsonl", b"1\n", b"2\n"), Counter()))
    with pytest.raises(ValueError, match=r"cannot read .*none\.jsonl"):
        list(read_records(tmp_path / "none.jsonl"))


def test_a_line_without_an_end_is_never_held_whole(tmp_path):
    # A sparse file of a gigabyte: it takes no room on the disk, and none in memory.
    path = lines(tmp_path / "mine.jsonl", format_record(KINDS[0]))
    with path.open("r+b") as file:
        file.truncate(10**9)
    with pytest.raises(ValueError, match="line 2: expected at most 1,000,000 bytes"):
        list(read_records(path))


def test_a_file_is_read_line_by_line(tmp_path):
    path = lines(
        tmp_path / "mine.jsonl", format_record(KINDS[0]), b"not yet looked at\n"
    )
    assert next(read_records(path)) == KINDS[0]


def encode(text):
    if "?" in text:
        raise ValueError(f"no tokens for {text!r}")
    return np.array([len(text), 0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            [
                ComparisonRecord("p", "a", "bb", annotator=1),
                ComparisonRecord("q", "a", "b", True, 2),
            ],
            feedback.Comparisons(
                [[1, 0]] * 2, [[1, 0]] * 2, [[2, 0], [1, 0]], [False, True], [1, 2]
            ),
        ),
        (
            [records.RankingRecord("p", ("a", "bb", "ccc"))],
            feedback.Rankings([[1, 0]], [[[1, 0], [2, 0], [3, 0]]]),
        ),
        (
            [records.ScoreRecord("p", "a", 4), records.ScoreRecord("p", "bb", 9, 0)],
            feedback.Scores([[1, 0]] * 2, [[1, 0], [2, 0]], [4, 9]),
        ),
        (
            [records.LabelRecord("p", "a", True)],
            feedback.Labels([[1, 0]], [[1, 0]], [True]),
        ),
        (
            [records.CorrectionRecord("p", "a", "bb")],
            feedback.Corrections([[1, 0]], [[1, 0]], [[2, 0]]),
        ),
        (
            [records.CritiqueRecord("p", "a", "no")],
            feedback.Critiques([[1, 0]], [[1, 0]], ("no",)),
        ),
        (
            [records.DemonstrationRecord("p", "a")],
            sft.Texts([[1, 0, 1, 0]], [[0, 0, 1, 1]]),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_file_becomes_the_arrays_of_its_kind(kind, expected, tmp_path):
    path = lines(tmp_path / "mine.jsonl", *map(format_record, kind))
    found = load_answers(path, encode, encode)
    assert type(found) is type(expected)
    for got, hoped in zip(found, expected, strict=True):
        assert (got is None) == (hoped is None)
        if hoped is not None:
            assert_array_equal(got, hoped)


@pytest.mark.parametrize("kind", ["compare_pairs", "rank", "rate", "label", "correct"])
def test_what_annotators_answered_is_saved_and_read_back(kind, tmp_path):
    world, rng = pocket_world(), np.random.default_rng(0)
    people = annotators.hire(rng, world, 5)._replace(indifference=1.0)
    which, shown = lessons.questions(rng, world, 40, 3)
    distinct = [len({*map(bytes, row)}) == 3 for row in shown]
    which, shown = which[distinct], shown[distinct]
    reads = {"compare_pairs": (shown[:, :2],), "rank": (shown,)}
    ask = getattr(annotators, kind)
    answers = ask(rng, world, which, *reads.get(kind, (shown[:, 0],)), people)
    assert getattr(answers, "tied", None) is None or answers.tied.any()
    path = tmp_path / "theirs.jsonl"
    prompts = {" ".join(world.vocabulary[t] for t in row): row for row in world.prompts}
    texts = {world.decode(row): row for row in shown.reshape(-1, shown.shape[-1])}
    texts |= {world.decode(row): row for row in getattr(answers, "edited", ())}
    written = {row.tobytes(): text for text, row in prompts.items()}
    record_files.save_answers(
        path, answers, lambda x: written[x.tobytes()], world.decode
    )
    found = load_answers(path, prompts.__getitem__, texts.__getitem__)
    assert type(found) is type(answers)
    for got, expected in zip(found, answers, strict=True):
        assert_array_equal(got, expected)


def test_critiques_are_saved_and_read_back(tmp_path):
    said = feedback.Critiques(np.ones((1, 1), int), np.array([[2, 0]]), ("no",))
    path = tmp_path / "theirs.jsonl"
    record_files.save_answers(path, said, lambda x: "p", lambda x: "x" * x[0])
    assert list(read_records(path)) == [records.CritiqueRecord("p", "xx", "no")]


def test_what_cannot_be_encoded_is_a_bad_line(tmp_path):
    bad = format_record(ComparisonRecord("p", "what?", "b"))
    path = lines(tmp_path / "mine.jsonl", bad, format_record(KINDS[0]))
    with pytest.raises(ValueError, match=r"mine\.jsonl, line 1: no tokens for 'what\?"):
        load_answers(path, encode, encode)
    skipped = Counter()
    assert len(load_answers(path, encode, encode, skipped).prompts) == 1
    assert skipped == {"cannot be encoded": 1}
