"""A file that grows by an answer at a time: whatever happens, none is lost."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lm_bandit.feedback.record_files import Journal
from lm_bandit.feedback.records import ComparisonRecord, format_record

ONE = ComparisonRecord("a prompt", "one", "other")
OTHER = ComparisonRecord("ü\n", "one", "other", tied=True, annotator=3)


def test_a_torn_last_line_is_taken_away_and_a_whole_one_completed(tmp_path):
    first, second = format_record(ONE), format_record(OTHER)
    for cut in range(len(second) + 1):
        path = tmp_path / "mine.jsonl"
        path.write_bytes(first + second[:cut])
        whole = [ONE] + [OTHER] * (cut >= len(second) - 1)
        assert Journal(path).records == whole
        assert path.read_bytes() == b"".join(map(format_record, whole))


def test_undo_takes_the_last_answer_out_of_the_file(tmp_path):
    journal = Journal(tmp_path / "deep" / "mine.jsonl")
    for record in (ONE, OTHER):
        journal.append(record)
    assert journal.undo() == OTHER
    assert Journal(journal.path).records == journal.records == [ONE]
    assert journal.undo() == ONE
    assert Journal(journal.path).records == journal.records == []


def test_a_journal_leaves_a_file_that_is_not_its_own_alone(tmp_path):
    for text in (b"a diary", b"a diary\n", b'{"prompt": 1}\n'):
        path = tmp_path / "diary.txt"
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r"diary\.txt, line 1"):
            Journal(path)
        assert path.read_bytes() == text


WRITER = """
import sys
from pathlib import Path
from lm_bandit.feedback.record_files import Journal
from lm_bandit.feedback.records import ComparisonRecord

journal = Journal(Path(sys.argv[1]))
for number in range(len(journal.records), 10**6):
    journal.append(ComparisonRecord("p" * 5000, str(number), "other"))
    print(number, flush=True)
"""


def test_no_answer_is_lost_by_a_kill_at_any_moment(tmp_path):
    path = tmp_path / "mine.jsonl"
    told = -1
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        first = int(writer.stdout.readline())
        assert first == told + 1
        time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        told = int(([first, *writer.stdout.read().split()])[-1])
        writer.wait()
        saved = [int(record.chosen) for record in Journal(path).records]
        assert saved == list(range(len(saved)))
        assert len(saved) > told  # one more may be saved than was told
        told = len(saved) - 1
