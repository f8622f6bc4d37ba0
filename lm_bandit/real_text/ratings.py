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
from typing import NamedTuple

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

    Raises ValueError, which names file and line, if anything is not as expected.
    """
    with _archive(sdist, "the source distribution") as outer:
        nested = _member(outer, NESTED)
    with _archive(nested, NESTED) as inner:

        def lines(name: str) -> list[str]:
            text = _member(inner, f"hutto_ICWSM_2014/{name}.txt")
            return _lines(text, f"{name}.txt")

        movies = parse_ratings(
            lines(f"{MOVIES}_GroundTruth"), lines(f"{MOVIES}_anonDataRatings")
        )
        others = tuple(
            _parse_text(line, number, f"{name}_GroundTruth.txt")[2]
            for name in OTHERS
            for number, line in enumerate(lines(f"{name}_GroundTruth"), start=1)
        )
    return Reviews(movies, others)


def parse_ratings(texts: list[str], ratings: list[str]) -> RatedTexts:
    """Return the sentences and ratings in the lines of two files.

    A line has id, mean and text in the first file, and id, mean, standard deviation and
    ratings in the second. Both files must agree.
    """
    file, other = f"{MOVIES}_GroundTruth.txt", f"{MOVIES}_anonDataRatings.txt"
    if len(texts) != len(ratings):
        raise ValueError(
            f"{other}: expected as many lines as {file}, {len(texts)}, got "
            f"{len(ratings)}"
        )
    read, given = [], []
    for number, (line, rating) in enumerate(zip(texts, ratings, strict=True), start=1):
        name, mean, text = _parse_text(line, number, file)
        where = f"{other}, line {number}"
        fields = rating.split("\t")
        numbers = _whole_numbers(fields[3]) if len(fields) == 4 else None
        if not numbers or max(map(abs, numbers)) > SCALE:
            raise ValueError(
                f"{where}: expected an id, a mean, a deviation and a list of whole "
                f"numbers from {-SCALE} to {SCALE}, got {rating[:60]!r}"
            )
        if fields[0] != name:
            got = fields[0][:20]
            raise ValueError(f"{where}: expected the id {name[:20]}, got {got!r}")
        if abs(np.mean(numbers) - mean) > 1e-6:
            raise ValueError(
                f"{where}: expected ratings of mean {mean}, got {np.mean(numbers)}"
            )
        read.append(text)
        given.append(tuple(numbers))
    return RatedTexts(tuple(read), tuple(given))


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


def _parse_text(line: str, number: int, file: str) -> tuple[str, float, str]:
    """Return the id, the mean rating and the text of a line."""
    fields = line.split("\t")
    try:
        name, number_text, text = fields
        mean = float(number_text)
    except ValueError:
        raise ValueError(
            f"{file}, line {number}: expected an id, a mean and a text, got "
            f"{line[:60]!r}"
        ) from None
    text = " ".join(_repair_encoding(text).split())
    if not text or not abs(mean) <= SCALE:
        raise ValueError(
            f"{file}, line {number}: expected a mean from {-SCALE} to {SCALE} and a "
            f"text, got {line[:60]!r}"
        )
    return name, mean, text


def _repair_encoding(text: str) -> str:
    """Return the text as it was meant, if UTF-8 was once read as Latin-1."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _whole_numbers(text: str) -> list[int] | None:
    """Return the list of whole numbers in brackets, or None if it is none."""
    try:
        numbers = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(numbers, list) and all(type(x) is int for x in numbers)
    return numbers if whole else None


def _lines(data: bytes, file: str) -> list[str]:
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: expected UTF-8, got {error}") from None


def _archive(data: bytes, name: str) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=io.BytesIO(data), mode="r:gz")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(f"{name}: expected a .tar.gz file, got {error}") from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the bytes of the regular file of exactly this name."""
    try:
        found = archive.getmember(name)
        file = archive.extractfile(found) if found.isfile() else None
        if file is not None:
            return file.read()
    except (KeyError, tarfile.TarError, OSError, EOFError):
        pass
    raise ValueError(f"the archive must hold the file {name}, got none")
