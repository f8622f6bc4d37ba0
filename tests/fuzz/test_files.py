"""Damaged files: ratings, records, corpora, JSON, the archive of film reviews.

A good reader of a damaged file returns what the file still says, or names the file and
says what is wrong. No reader changes a file, or leaves another beside it.
"""

import json
import os

import numpy as np
import pytest
from hypothesis import strategies as st

from lm_bandit import world
from lm_bandit.feedback import record_files, records
from lm_bandit.feedback.record_files import Journal
from lm_bandit.label.session import read_answers
from lm_bandit.real_text import own_files, ratings
from mdp.interface import files
from tests.fuzz.strange import (
    STRANGE_JSON,
    changed,
    damaged,
    each_count,
    no_hang,
    taken,
    tried,
)
from tests.lm_bandit.real_text.inputs import tarball
from tests.lm_bandit.real_text.test_ratings import GIVEN, SENTENCES, files_of, sdist

RECORDS = [
    {"prompt": "a", "chosen": "b c", "rejected": "d", "tied": True, "annotator": 3},
    {"prompt": "a", "completions": ["b", "c d", "e"], "annotator": 0},
    {"prompt": "a", "completion": "b", "score": 7},
    {"prompt": "a", "completion": "b", "label": True},
    {"prompt": "a", "original": "b", "edited": "c"},
    {"prompt": "a", "completion": "b", "critique": "c"},
    {"prompt": "a", "completion": "b"},
    {
        "chosen": "\n\nHuman: a\n\nAssistant: b",
        "rejected": "\n\nHuman: a\n\nAssistant: c",
    },
]


def text(value):
    """JSON as another program may have written it: with nan, and half characters."""
    return json.dumps(value).encode()


def untouched(path, data, read):
    """Read a file that holds these bytes; it must stay as it was, and be named."""
    path.write_bytes(data)
    found = taken(lambda: read(path), path.name)
    assert path.read_bytes() == data
    assert [*path.parent.iterdir()] == [path]
    return found


@each_count
def test_ratings_of_words(cases, tmp_path):
    whole = world.WORD_RATINGS.read_bytes()
    path = tmp_path / "words.csv"

    def check(data):
        found = untouched(path, data.draw(damaged(whole)), world.pocket_world)
        if found is not None:
            assert np.isfinite(found.ratings).all()
            assert np.abs(found.ratings).max() <= 4
            assert all(word.strip() and word.isprintable() for word in found.vocabulary)

    tried(cases, check, st.data())


@each_count
def test_records(cases, tmp_path):
    path = tmp_path / "answers.jsonl"

    def check(data):
        lines = [data.draw(st.sampled_from(RECORDS))] * data.draw(st.integers(1, 3))
        lines = [data.draw(changed(lines[0], STRANGE_JSON)), *lines]
        whole = b"\n".join(map(text, lines)) + b"\n"
        if data.draw(st.booleans()):
            whole = data.draw(damaged(whole))
        found = untouched(path, whole, lambda p: list(record_files.read_records(p)))
        for record in found or ():
            again = records.parse_record(records.format_record(record))
            assert again == record
            assert (
                getattr(record, "annotator", None) is None or record.annotator < 2**63
            )

        def encode(given):
            return np.array([*given.encode()[:3].ljust(3, b"\0")], np.int32)

        untouched(path, whole, lambda p: record_files.load_answers(p, encode, encode))

    tried(cases, check, st.data())


@each_count
def test_a_journal_of_answers(cases, tmp_path):
    """It may only take away a torn last line, or complete it."""
    path = tmp_path / "labels.jsonl"
    pocket = world.pocket_world()
    whole = b"".join(
        text({"prompt": "praise: the film was", "chosen": a, "rejected": b}) + b"\n"
        for a, b in (("good", "bad"), ("nice", "dull and bad"))
    )

    def check(data):
        given = data.draw(damaged(whole))
        path.write_bytes(given)
        journal = taken(lambda: Journal(path), path.name)
        after = path.read_bytes()
        assert given.startswith(after) or after == given + b"\n"
        assert b"\n" not in given[len(after) :]
        if journal is not None and journal.records:
            taken(lambda: read_answers(path, pocket), path.name)

    tried(cases, check, st.data())


@each_count
def test_a_corpus(cases, tmp_path):
    path = tmp_path / "corpus.txt"
    whole = "\n".join(f"a text, number {i}, of my own: ä" for i in range(110)).encode()

    def check(data):
        found = untouched(path, data.draw(damaged(whole)), own_files.read_corpus)
        for line in found or ():
            assert line == " ".join(line.split()) != ""
            assert "\0" not in line
            assert "\ufeff" not in line[:1]

    tried(cases, check, st.data())


@each_count
def test_json(cases, tmp_path):
    path = tmp_path / "report.json"
    config = {"seed": 0, "model": {"num_layers": 2, "sizes": [1, 2.5, None]}}

    def check(data):
        given = text(data.draw(changed(config, STRANGE_JSON)))
        if data.draw(st.booleans()):
            given = data.draw(damaged(given))
        found = untouched(path, given, files.read_json)
        if found is not None:
            assert isinstance(found, dict)
            files.json_text(found)

    tried(cases, check, st.data())


@each_count
def test_the_archive_of_reviews(cases):
    members = files_of(SENTENCES, GIVEN)
    names = sorted(members)

    def check(data):
        given = dict(members)
        name = data.draw(st.sampled_from(names))
        given[name] = data.draw(damaged(given[name].encode()))
        inner = {
            f"hutto_ICWSM_2014/{k}.txt": v if isinstance(v, bytes) else v.encode()
            for k, v in given.items()
        }
        whole = tarball({ratings.NESTED: tarball(inner)})
        found = taken(lambda: ratings.read_ratings(whole), ".txt", "archive")
        for row in found.movies.ratings if found else ():
            assert all(type(x) is int and abs(x) <= 4 for x in row)
        broken = data.draw(damaged(sdist(members)))
        taken(lambda: ratings.read_ratings(broken))

    tried(cases // 2, check, st.data())


def readers():
    """Every function that reads a file of the user's, by its name."""
    from lm_bandit.checkpoints import load_checkpoint
    from policy_gradient.comparison.contenders import find_algorithm

    return {
        "ratings": world.pocket_world,
        "records": lambda path: list(record_files.read_records(path)),
        "journal": Journal,
        "corpus": own_files.read_corpus,
        "json": files.read_json,
        "checkpoint": load_checkpoint,
        "algorithm": lambda path: find_algorithm(f"{path}:learn"),
    }


@pytest.mark.parametrize("name", list(readers()))
@pytest.mark.parametrize("kind", ["endless", "pipe", "folder", "none", "secret"])
def test_only_regular_files_are_read(name, kind, tmp_path):
    """A device without an end is refused, as is a pipe to which nobody writes."""
    path = tmp_path / "it.py"
    if kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "secret":
        path.touch()
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
    if name == "journal" and kind == "none":
        pytest.skip("a journal makes its file")
    with no_hang(10), pytest.raises(ValueError, match="it") as refusal:
        readers()[name](path)
    assert "\n" not in str(refusal.value)
