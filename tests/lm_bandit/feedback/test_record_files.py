"""Files of answers: what is read back is what was written, and no answer is lost."""

import os
import signal
import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lm_bandit import sft
from lm_bandit.feedback import annotators, kinds, lessons, records
from lm_bandit.feedback.record_files import (
    Journal,
    load_answers,
    read_records,
    save_answers,
)
from lm_bandit.feedback.records import ComparisonRecord, format_record

ONE = ComparisonRecord("a prompt", "one", "other")
OTHER = ComparisonRecord("ü\n", "one", "other", tied=True, annotator=3)
SCORE = records.ScoreRecord("p", "c", 10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.jsonl"


def test_a_bad_line_stops_or_is_skipped_and_counted(path):
    good = format_record(ONE)
    path.write_bytes(good + b'{"prompt": 1, "completion": "c"}\n' + good)
    with pytest.raises(ValueError, match=r"mine\.jsonl, line 2: field prompt: ex"):
        list(read_records(path))
    skipped = Counter()
    assert list(read_records(path, skipped)) == [ONE, ONE]
    assert skipped == {"wrong type": 1}


def test_a_file_holds_one_kind_of_answer(path):
    path.write_bytes(format_record(ONE) + b"\n" + format_record(SCORE))
    with pytest.raises(ValueError, match=r"line 3: expected a comparison .* a score"):
        list(read_records(path))
    skipped = Counter()
    assert list(read_records(path, skipped)) == [ONE]
    assert skipped == {"another kind": 1}


def test_an_empty_file_is_refused(path, tmp_path):
    path.write_bytes(b"\n")
    with pytest.raises(ValueError, match="at least one record, got none"):
        list(read_records(path))
    path.write_bytes(b"1\n2\n")
    with pytest.raises(ValueError, match="at least one record, got 2 bad lines"):
        list(read_records(path, Counter()))
    with pytest.raises(ValueError, match=r"cannot read .*none\.jsonl"):
        list(read_records(tmp_path / "none.jsonl"))


def test_a_line_without_an_end_is_never_held_whole(path):
    path.write_bytes(format_record(ONE))
    with path.open("r+b") as file:  # a sparse file takes no room on the disk
        file.truncate(50_000_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match="line 2: expected at most 1,000,000 bytes"):
        list(read_records(path))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_file_is_read_line_by_line(path):
    path.write_bytes(format_record(ONE) + b"not yet read\n")
    assert next(read_records(path)) == ONE


def encode(text):
    if "?" in text:
        raise ValueError(f"no tokens for {text!r}")
    return np.array([len(text), 0])


def assert_equal_arrays(got, expected):
    assert type(got) is type(expected)
    for mine, other in zip(got, expected, strict=True):
        assert (mine is None) == (other is None)
        if other is not None:
            assert_array_equal(mine, other)


P, A, BB = [1, 0], [1, 0], [2, 0]  # tokens of "p", "a" and "bb"
TWO_COMPARISONS = (
    ComparisonRecord("p", "a", "bb", annotator=1),
    ComparisonRecord("q", "bb", "a", True, 2),
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            TWO_COMPARISONS,
            kinds.Comparisons([P, P], [A, BB], [BB, A], [False, True], [1, 2]),
        ),
        ([records.RankingRecord("p", ("a", "bb"))], kinds.Rankings([P], [[A, BB]])),
        (
            [records.ScoreRecord("p", "a", 4), records.ScoreRecord("p", "bb", 9, 0)],
            kinds.Scores([P, P], [A, BB], [4, 9]),
        ),
        ([records.LabelRecord("p", "a", True)], kinds.Labels([P], [A], [True])),
        ([records.CorrectionRecord("p", "a", "bb")], kinds.Corrections([P], [A], [BB])),
        ([records.CritiqueRecord("p", "a", "no")], kinds.Critiques([P], [A], ("no",))),
        (
            [records.DemonstrationRecord("p", "a")],
            sft.Texts([[*P, *A]], [[0, 0, 1, 1]]),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_file_becomes_the_arrays_of_its_kind(lines, expected, path):
    path.write_bytes(b"".join(map(format_record, lines)))
    assert_equal_arrays(load_answers(path, encode, encode), expected)


def test_what_cannot_be_encoded_is_a_bad_line(path):
    bad = format_record(ComparisonRecord("p", "what?", "b"))
    path.write_bytes(bad + format_record(ONE))
    with pytest.raises(ValueError, match=r"mine\.jsonl, line 1: no tokens for 'what\?"):
        load_answers(path, encode, encode)
    skipped = Counter()
    assert len(load_answers(path, encode, encode, skipped).prompts) == 1
    assert skipped == {"cannot be encoded": 1}


@pytest.mark.parametrize(
    "name", ["compare_pairs", "rank", "rate", "label", "correct", "criticise"]
)
def test_the_answers_of_annotators_are_saved_and_read_back(name, world, path):
    rng = np.random.default_rng(0)
    people = annotators.hire(rng, world, 5)._replace(indifference=1.0)
    which, shown = lessons.questions(rng, world, 40, 3)
    distinct = [len({*map(bytes, row)}) == 3 for row in shown]
    which, shown = which[distinct], shown[distinct]
    reads = {"compare_pairs": shown[:, :2], "rank": shown}.get(name, shown[:, 0])
    answers = getattr(annotators, name)(rng, world, which, reads, people)
    assert getattr(answers, "tied", None) is None or answers.tied.any()
    prompts = {" ".join(world.vocabulary[t] for t in row): row for row in world.prompts}
    texts = {world.decode(row): row for row in shown.reshape(-1, shown.shape[-1])}
    texts |= {world.decode(row): row for row in getattr(answers, "edited", ())}
    written = {row.tobytes(): text for text, row in prompts.items()}
    save_answers(path, answers, lambda x: written[x.tobytes()], world.decode)
    found = load_answers(path, prompts.__getitem__, texts.__getitem__)
    assert_equal_arrays(found, answers)


def test_a_torn_last_line_is_removed_and_a_whole_one_is_completed(path):
    first, second = format_record(ONE), format_record(OTHER)
    for cut in range(len(second) + 1):
        path.write_bytes(first + second[:cut])
        whole = [ONE] + [OTHER] * (cut >= len(second) - 1)
        assert Journal(path).records == whole
        assert path.read_bytes() == b"".join(map(format_record, whole))


def test_undo_takes_the_last_answer_out_of_the_file(tmp_path):
    journal = Journal(tmp_path / "deep" / "mine.jsonl")
    for record in (ONE, OTHER):
        journal.append(record)
    assert journal.undo() == OTHER
    assert list(read_records(journal.path)) == journal.records == [ONE]
    assert journal.undo() == ONE
    assert journal.path.read_bytes() == b""
    assert journal.records == []


def test_a_journal_leaves_a_file_that_is_not_its_own_alone(tmp_path):
    for text in (b"a diary", b"a diary\n", b'{"prompt": 1}\n'):
        path = tmp_path / "diary.txt"
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r"diary\.txt, line 1"):
            Journal(path)
        assert path.read_bytes() == text


def write_until_killed(path, reports):
    """Save answers, and report the number of each one that is saved."""
    journal = Journal(path)
    for number in range(len(journal.records), 10**6):
        journal.append(ComparisonRecord("p" * 5000, str(number), "other"))
        os.write(reports, b"%d\n" % number)


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_no_answer_is_lost_by_a_kill_at_any_moment(path):
    """The writer is a forked process: it only writes files, and ends by the kill."""
    count = 0
    for _ in range(3):
        reported, reports = os.pipe()
        writer = os.fork()
        if writer == 0:
            try:
                write_until_killed(path, reports)
            finally:
                os._exit(1)
        os.close(reports)
        with os.fdopen(reported) as lines:
            first = int(lines.readline())
            assert first == count
            time.sleep(0.05)
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            last = int([first, *lines.read().split()][-1])
        saved = [int(record.chosen) for record in Journal(path).records]
        assert saved == list(range(len(saved)))
        assert len(saved) > last  # one more may be saved than was reported
        count = len(saved)
