"""The ratings of 10,605 sentences from film reviews, by 15 to 29 people each.

    Offers that rare combination of entertainment and education.    3, 3, 3, 3, 2, ...
    Effective but too tepid biopic                                  -1, 0, -1, 0, ...

Every rating is a whole number from -4 (extremely negative) to 4 (extremely positive).
The sentences come from reviews at rotten.tomatoes.com that Pang & Lee (2004) collected;
the ratings are those of Hutto & Gilbert (2014). The same file has sentences from
tweets, from editorials of the New York Times and from reviews of products: more English
to pretrain on.

The raters have no names. But for the 30 sentences of one task, a column of the table is
one person: its ratings are high, or low, all together. So columns stand for people.

Everything is read in memory, from an archive inside an archive, by the exact names of
its members: nothing is unpacked.

Source: Hutto & Gilbert (2014); Pang, B. & Lee, L. (2004), "A sentimental education".
Shapes: n texts, 9 possible ratings.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from typing import IO, NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.real_text.download import PACKAGE, VERSION

NESTED = f"{PACKAGE}-{VERSION}/additional_resources/hutto_ICWSM_2014.tar.gz"
MOVIES = "movieReviewSnippets"
OTHERS = ("tweets", "nytEditorialSnippets", "amazonReviewSnippets")
SCALE = 4  # ratings are from -4 to 4
TASK = 30  # sentences that the same people rated


RaterScores = tuple[tuple[int, ...], ...]  # a row of ratings for each text


class RatedTexts(NamedTuple):
    """Sentences and their ratings."""

    texts: tuple[str, ...]
    ratings: RaterScores  # one number of each rater


class Reviews(NamedTuple):
    """Everything that is read from the file."""

    movies: RatedTexts
    others: tuple[str, ...]  # texts of the other three sets


def read_ratings(sdist: bytes) -> Reviews:
    """Return the ratings in a source distribution, given as bytes.

    Its hash has been checked (`download.py`), so its lines need no check. A line has
    id, mean and text in one file, and id, mean, deviation and ratings in the other.
    """
    with tarfile.open(fileobj=io.BytesIO(sdist)) as outer:
        nested = _member(outer, NESTED)
    with tarfile.open(fileobj=io.BytesIO(nested)) as inner:

        def column(file: str) -> list[str]:
            """The last field of each line of a file."""
            text = _member(inner, f"hutto_ICWSM_2014/{file}.txt").decode("utf-8")
            return [line.split("\t")[-1] for line in text.splitlines()]

        def texts(name: str) -> tuple[str, ...]:
            """The sentences of a set, with single spaces."""
            lines = map(_repair_encoding, column(f"{name}_GroundTruth"))
            return tuple(" ".join(line.split()) for line in lines)

        given = column(f"{MOVIES}_anonDataRatings")
        movies = RatedTexts(texts(MOVIES), tuple(tuple(json.loads(x)) for x in given))
        return Reviews(movies, sum(map(texts, OTHERS), ()))


def rating_counts(ratings: Sequence[Sequence[int]]) -> Int[np.ndarray, "n 9"]:
    """The number of people who gave each rating, from the lowest to the highest."""
    scale = 2 * SCALE + 1
    return np.array(
        [np.bincount(np.array(row) + SCALE, minlength=scale) for row in ratings]
    )


def split_raters(
    rng: np.random.Generator, ratings: Sequence[Sequence[int]]
) -> tuple[RaterScores, RaterScores]:
    """Return the ratings by one half of the people, and those by the other half.

    The columns of each task are split at random; within a task a column is one person.
    """
    one, other = [], []
    for start in range(0, len(ratings), TASK):
        task = ratings[start : start + TASK]
        order = rng.permutation(max(map(len, task)))
        for row in task:
            present = [row[column] for column in order if column < len(row)]
            one.append(tuple(present[: len(present) // 2]))
            other.append(tuple(present[len(present) // 2 :]))
    return tuple(one), tuple(other)


def preference_probabilities(
    counts: Int[np.ndarray, "n 9"],
) -> Float[np.ndarray, "n n"]:
    """P(a random rater of i gives more than one of j), for all pairs of texts."""
    shares = counts / counts.sum(1, keepdims=True)
    lower = np.cumsum(shares, axis=1) - shares  # P(a rating below each)
    return shares @ lower.T


def _repair_encoding(text: str) -> str:
    """Return the text as it was meant, if UTF-8 was once read as Latin-1."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the bytes of the file of exactly this name."""
    return cast(IO[bytes], archive.extractfile(name)).read()
