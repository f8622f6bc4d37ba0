"""Ratings of film reviews: how the file is read, and who rated what."""

import numpy as np

from lm_bandit.real_text import ratings
from tests.lm_bandit.real_text.inputs import tarball

SENTENCES = ["A joy.", "  Touch\u00c3\u00a9!  Two   times. ", "Dull. It ends."]
GIVEN = [[3, 4, 2], [1, -1, 2, 2], [-4, -2]]


def sdist():
    """A source distribution of three sentences, and of two files for other places."""
    truth, raw = [], []
    for i, (text, given) in enumerate(zip(SENTENCES, GIVEN, strict=True), start=1):
        truth.append(f"{i}\t{np.mean(given)}\t{text}")
        raw.append(f"{i}\t{np.mean(given)}\t0.5\t{given}")
    files = {f"{name}_GroundTruth": f"1_1\t0.5\tOf {name}" for name in ratings.OTHERS}
    files[f"{ratings.MOVIES}_GroundTruth"] = "\n".join(truth)
    files[f"{ratings.MOVIES}_anonDataRatings"] = "\r\n".join(raw)
    inner = {f"hutto_ICWSM_2014/{k}.txt": v.encode() for k, v in files.items()}
    outside = {"../outside.txt": b"no", "/tmp/outside-too.txt": b"no"}
    return tarball({ratings.NESTED: tarball(inner), **outside})


def test_sentences_and_ratings_come_out_as_they_went_in_and_nothing_is_unpacked(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    found = ratings.read_ratings(sdist())
    assert found.movies.texts == ("A joy.", "Touché! Two times.", "Dull. It ends.")
    assert found.movies.ratings == tuple(map(tuple, GIVEN))
    assert found.others == tuple(f"Of {name}" for name in ratings.OTHERS)
    assert not any(tmp_path.iterdir())
    assert not (tmp_path.parent / "outside.txt").exists()


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
