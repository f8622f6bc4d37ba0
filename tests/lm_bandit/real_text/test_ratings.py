"""Ratings of film reviews: how the file is read, and who rated what."""

import gzip
import tarfile

import numpy as np
import pytest

from lm_bandit.real_text import ratings
from tests.lm_bandit.real_text.inputs import tarball

SENTENCES = ["A joy.", "  Touch\u00c3\u00a9!  Two   times. ", "Dull. It ends."]
GIVEN = [[3, 4, 2], [1, -1, 2, 2], [-4, -2]]


def files_of(texts, given):
    """The two files of the set, and one line for each of the others."""
    means = [np.mean(row) for row in given]
    rows = [*zip(range(1, len(texts) + 1), means, texts, given, strict=True)]
    truth = "\n".join(f"{i}\t{mean}\t{text}" for i, mean, text, _ in rows)
    raw = "\r\n".join(f"{i}\t{mean}\t0.5\t{row}" for i, mean, _, row in rows)
    others = {f"{name}_GroundTruth": f"1_1\t0.5\tOf {name}" for name in ratings.OTHERS}
    return {
        f"{ratings.MOVIES}_GroundTruth": truth,
        f"{ratings.MOVIES}_anonDataRatings": raw,
        **others,
    }


def sdist(files, extra=None):
    inner = {f"hutto_ICWSM_2014/{k}.txt": v.encode() for k, v in files.items()}
    return tarball({ratings.NESTED: tarball(inner), **(extra or {})})


def test_sentences_and_ratings_come_out_as_they_went_in():
    found = ratings.read_ratings(sdist(files_of(SENTENCES, GIVEN)))
    assert found.movies.texts == ("A joy.", "Touché! Two times.", "Dull. It ends.")
    assert found.movies.ratings == tuple(map(tuple, GIVEN))
    assert found.others == tuple(f"Of {name}" for name in ratings.OTHERS)


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("GroundTruth", "1\t3.0\t", "1\tthree\t", "line 1: expected an id, a mean"),
        ("GroundTruth", "A joy.", " ", "line 1: expected a mean from -4 to 4 and a"),
        ("GroundTruth", "3\t-3.0\t", "3\t-5.0\t", "line 3: expected a mean from -4"),
        ("anonDataRatings", "[3, 4, 2]", "[3, 4, 2", "line 1: expected an id, a mean"),
        ("anonDataRatings", "[3, 4, 2]", "[3, 4.5, 2]", "list of whole numbers"),
        ("anonDataRatings", "[3, 4, 2]", "[5, 2, 2]", "from -4 to 4, got"),
        ("anonDataRatings", "[3, 4, 2]", "[3, 4, 3]", "line 1: expected ratings of me"),
        ("anonDataRatings", "2\t1.0", "7\t1.0", "line 2: expected the id 2, got '7'"),
        ("anonDataRatings", "\r\n", " ", "expected as many lines as"),
    ],
)
def test_a_malformed_line_is_refused_by_file_and_line(file, old, new, complaint):
    files = files_of(SENTENCES, GIVEN)
    name = f"{ratings.MOVIES}_{file}"
    assert old in files[name]
    files[name] = files[name].replace(old, new)
    with pytest.raises(ValueError, match=complaint) as refusal:
        ratings.read_ratings(sdist(files))
    assert str(refusal.value).startswith(f"{name}.txt")


def test_archives_are_never_unpacked_and_read_by_exact_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outside = {"../outside.txt": b"no", "/tmp/outside-too.txt": b"no"}
    ratings.read_ratings(sdist(files_of(SENTENCES, GIVEN), outside))
    assert not any(tmp_path.iterdir())
    assert not (tmp_path.parent / "outside.txt").exists()
    linked = tarball({ratings.NESTED: b""}, kind=tarfile.SYMTYPE)
    for broken in (tarball({"other": b""}), linked):
        with pytest.raises(ValueError, match="must hold the file vaderSentiment-3"):
            ratings.read_ratings(broken)
    with pytest.raises(ValueError, match=r"expected a \.tar\.gz file, got"):
        ratings.read_ratings(gzip.compress(b"not an archive")[:-9])


def test_the_halves_are_all_ratings_and_no_person_is_in_both():
    """Column c of a task is one person: here she always gives c - 4."""
    rng = np.random.default_rng(0)
    given = tuple(tuple(range(-4, n - 4)) for n in rng.integers(5, 10, size=300))
    one, other = ratings.split_raters(np.random.default_rng(1), given)
    for row, a, b in zip(given, one, other, strict=True):
        assert sorted(a + b) == sorted(row)
        assert abs(len(a) - len(b)) <= 1
    even = tuple((1, 2, 3, 4) for _ in range(ratings.TASK))
    one, other = ratings.split_raters(np.random.default_rng(1), even)
    assert len(set(one)) == len(set(other)) == 1
    assert not set(one[0]) & set(other[0])


def test_preferences_of_raters_by_brute_force():
    counts = ratings.rating_counts(tuple(map(tuple, GIVEN)))
    assert counts.sum() == sum(map(len, GIVEN))
    brute = [
        [np.mean([a > b for a in first for b in second]) for second in GIVEN]
        for first in GIVEN
    ]
    np.testing.assert_allclose(
        ratings.preference_probabilities(counts), brute, atol=1e-12
    )
