"""What 15 to 29 people each thought of 10,605 sentences from film reviews.

    Offers that rare combination of entertainment and education.    3, 3, 3, 3, 2, ...
    Effective but too tepid biopic                                  -1, 0, -1, 0, ...

Every rating is a whole number from -4 (extremely negative) to 4 (extremely positive).
The sentences are from reviews at rotten.tomatoes.com that Pang & Lee (2004) collected;
the ratings are those of Hutto & Gilbert (2014). Beside them are sentences from tweets,
from editorials of the New York Times and from reviews of products: more English to
pretrain on.

The raters have no names. But a column stays one person's for 30 sentences, a task's
worth: its ratings are high, or low, all together. So people are told apart by columns.

Everything is read in memory, from an archive inside an archive, by the exact names of
its members: nothing is unpacked.

Source: Hutto & Gilbert (2014); Pang, B. & Lee, L. (2004), "A sentimental education".
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


class Rated(NamedTuple):
    """Sentences, and how many people gave each rating."""

    texts: tuple[str, ...]
    ratings: tuple[tuple[int, ...], ...]  # of each text, one of each rater


class Source(NamedTuple):
    """All that is read from the file."""

    movies: Rated
    others: tuple[str, ...]  # texts of the other three sets


def read(sdist: bytes) -> Source:
    """The ratings in a source distribution, given as bytes.

    Raises ValueError, naming file and line, where anything is not as expected.
    """
    with _archive(sdist, "the source distribution") as outer:
        nested = _member(outer, NESTED)
    with _archive(nested, NESTED) as inner:

        def lines(name):
            text = _member(inner, f"hutto_ICWSM_2014/{name}.txt")
            return _lines(text, f"{name}.txt")

        movies = parse(
            lines(f"{MOVIES}_GroundTruth"), lines(f"{MOVIES}_anonDataRatings")
        )
        others = tuple(
            _text(line, number, f"{name}_GroundTruth.txt")[2]
            for name in OTHERS
            for number, line in enumerate(lines(f"{name}_GroundTruth"), start=1)
        )
    return Source(movies, others)


def parse(texts: list[str], ratings: list[str]) -> Rated:
    """The lines of two files: id, mean, text; and id, mean, deviation, ratings."""
    file, other = f"{MOVIES}_GroundTruth.txt", f"{MOVIES}_anonDataRatings.txt"
    if len(texts) != len(ratings):
        raise ValueError(
            f"{other}: expected as many lines as {file}, {len(texts)}, got "
            f"{len(ratings)}"
        )
    read, given = [], []
    for number, (line, rating) in enumerate(zip(texts, ratings, strict=True), start=1):
        name, mean, text = _text(line, number, file)
        where = f"{other}, line {number}"
        fields = rating.split("\t")
        numbers = _whole_numbers(fields[3]) if len(fields) == 4 else None
        if not numbers or max(map(abs, numbers)) > SCALE:
            raise ValueError(
                f"{where}: expected an id, a mean, a deviation and a list of whole "
                f"numbers from {-SCALE} to {SCALE}, got {rating[:60]!r}"
            )
        if fields[0] != name:
            raise ValueError(f"{where}: expected the id {name}, got {fields[0]!r}")
        if abs(np.mean(numbers) - mean) > 1e-6:
            raise ValueError(
                f"{where}: expected ratings of mean {mean}, got {np.mean(numbers)}"
            )
        read.append(text)
        given.append(tuple(numbers))
    return Rated(tuple(read), tuple(given))


def counts(ratings: Sequence[Sequence[int]]) -> Int[np.ndarray, "n 9"]:
    """How many people gave each rating, from the lowest to the highest."""
    scale = 2 * SCALE + 1
    return np.array(
        [np.bincount(np.array(row) + SCALE, minlength=scale) for row in ratings]
    )


def halves(
    rng: np.random.Generator, ratings: Sequence[Sequence[int]]
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """The ratings by one half of the people, and by the other.

    Within a task people keep their columns; the columns are dealt out anew for each.
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


def preferences(counts: Int[np.ndarray, "n 9"]) -> Float[np.ndarray, "n n"]:
    """P(a rater of i gives more than a rater of j does), for all pairs of texts."""
    shares = counts / counts.sum(1, keepdims=True)
    lower = np.cumsum(shares, axis=1) - shares  # P(a rating below each)
    return shares @ lower.T


def _text(line, number, file):
    """Id, mean and text of a line."""
    fields = line.split("\t")
    try:
        name, mean, text = fields
        mean = float(mean)
    except ValueError:
        raise ValueError(
            f"{file}, line {number}: expected an id, a mean and a text, got "
            f"{line[:60]!r}"
        ) from None
    text = " ".join(_mended(text).split())
    if not text or not abs(mean) <= SCALE:
        raise ValueError(
            f"{file}, line {number}: expected a mean from {-SCALE} to {SCALE} and a "
            f"text, got {line[:60]!r}"
        )
    return name, mean, text


def _mended(text):
    """UTF-8 that was once taken for Latin-1 and encoded again, as it was meant."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _whole_numbers(text):
    """A list of whole numbers in brackets, or None."""
    try:
        numbers = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(numbers, list) and all(type(x) is int for x in numbers)
    return numbers if whole else None


def _lines(data, file):
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: expected UTF-8, got {error}") from None


def _archive(data, name):
    try:
        return tarfile.open(fileobj=io.BytesIO(data), mode="r:gz")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(f"{name}: expected a .tar.gz file, got {error}") from None


def _member(archive, name):
    """The bytes of a regular file of exactly this name."""
    try:
        found = archive.getmember(name)
        file = archive.extractfile(found) if found.isfile() else None
        if file is not None:
            return file.read()
    except (KeyError, tarfile.TarError, OSError, EOFError):
        pass
    raise ValueError(f"the archive must hold the file {name}, got none")
