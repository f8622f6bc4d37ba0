"""Ratings of film reviews: how the file is read, and who rated what."""

import numpy as np

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


def test_archives_are_never_unpacked_and_read_by_exact_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outside = {"../outside.txt": b"no", "/tmp/outside-too.txt": b"no"}
    ratings.read_ratings(sdist(files_of(SENTENCES, GIVEN), outside))
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
