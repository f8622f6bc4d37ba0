"""Mistakes that are easy to overlook: "awful", rated +4 by one of ten. Find it.

266 words with ten ratings each are 2,660 numbers, and one of them is upside down: nine
people gave -2 or -3. Which statistic finds it, if the largest is looked at first?

    the rating       |x|                                         183 others are as large
    in deviations    |x - mean| / deviation of all ten
    residual         |x - mean of the other nine|
    standardised     the residual / deviation of the nine (at least 1)
    robust           |x - median of the nine| / 1.4826 MAD of the nine (at least 1)

The second is what one would do first, and cannot work: of ten numbers none is more than
sqrt(10 - 1) = 3 deviations from their mean, however wrong it is, for it moves the mean
and widens the deviation that it is measured by. So leave it out of both. The median
absolute deviation, times 1.4826, is a normal distribution's deviation. Whole numbers
often agree to the point, and nobody is sure beyond the scale's own step: hence the 1.

Each of the last three puts this rating first. That might be luck, so the same is asked
of mistakes planted on purpose, a rating turned around, one at a time: the standardised
residual finds three in four among the first ten, the robust one only one in three, as
nine numbers are too few for a median deviation to tell the sure from the unsure. A
statistic that finds one mistake need not be the one that finds mistakes.

And what if it is overlooked? The mean
rating of the word is -2.0 instead of -2.7, which nobody will notice. But who asks that
rater alone (of an eleventh language, of a small firm, of a rare disease there may be
one) teaches a model that "awful" is the highest praise.

Source: Rousseeuw & Leroy (1987) for the robust deviation; the ratings are Hutto &
Gilbert's (2014), whose columns need not be one person each (`text.py`).
Shapes: W words, R raters, S seeds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.feedback.annotators import People
from lm_bandit.lab import opinions
from lm_bandit.world import read_word_ratings

WORD = "awful"
PLANTED = 100  # mistakes of each seed
FOUND = 10  # looked at, of all ratings: a mistake among them is found
STEP = 1.0  # of the scale, in points
KL_WEIGHT = 0.5  # beta

Statistic = Callable[[Float[np.ndarray, "W R"]], Float[np.ndarray, "W R"]]


class Found(NamedTuple):
    """What each statistic finds, and what the rating does."""

    seeds: tuple[int, ...]
    comparisons: int
    ratings: Float[np.ndarray, "R"]  # of the word
    first: dict[str, tuple[str, ...]]  # the words looked at first, by each statistic
    rank: dict[str, int]  # of the rating among all: 1 + those that are larger
    tied: dict[str, int]  # how many others have the same value
    planted: dict[str, Float[np.ndarray, "S"]]  # share of planted mistakes found
    worth: dict[str, Float[np.ndarray, "S"]]  # learned, of the word
    share: dict[str, Float[np.ndarray, "S"]]  # P(word | praise) of the optimum


def size(ratings: Float[np.ndarray, "W R"]) -> Float[np.ndarray, "W R"]:
    """How far from 0."""
    return np.abs(ratings)


def in_deviations(ratings: Float[np.ndarray, "W R"]) -> Float[np.ndarray, "W R"]:
    """How many deviations of all from the mean of all: never more than sqrt(R - 1)."""
    deviations = np.maximum(ratings.std(1, keepdims=True), 1e-9)
    return np.abs(ratings - ratings.mean(1, keepdims=True)) / deviations


def residual(ratings: Float[np.ndarray, "W R"]) -> Float[np.ndarray, "W R"]:
    """How far from the mean of the others."""
    return np.abs(ratings - _others(ratings).mean(-1))


def standardised(ratings: Float[np.ndarray, "W R"]) -> Float[np.ndarray, "W R"]:
    """How many deviations of the others from their mean."""
    return residual(ratings) / np.maximum(_others(ratings).std(-1), STEP)


def robust(ratings: Float[np.ndarray, "W R"]) -> Float[np.ndarray, "W R"]:
    """How many robust deviations of the others from their median."""
    others = _others(ratings)
    medians = np.median(others, axis=-1)
    spread = np.median(np.abs(others - medians[..., None]), axis=-1)
    return np.abs(ratings - medians) / (1.4826 * np.maximum(spread, STEP))


STATISTICS: dict[str, Statistic] = {
    "the rating": size,
    "in deviations": in_deviations,
    "residual": residual,
    "standardised": standardised,
    "robust": robust,
}


def run(seeds: Sequence[int] = range(10), comparisons: int = 1000) -> Found:
    """Look for the rating, for planted ones, and learn from the one who gave it."""
    people = read_word_ratings()
    words, ratings = list(people), np.array(list(people.values()))
    row = words.index(WORD)
    column = int(ratings[row].argmax())
    values = {name: each(ratings) for name, each in STATISTICS.items()}
    ranks = {name: ranking(x, row, column) for name, x in values.items()}
    taught = [alone(seed, column, comparisons) for seed in seeds]
    return Found(
        tuple(seeds),
        comparisons,
        ratings[row],
        {name: _first(words, x) for name, x in values.items()},
        {name: rank for name, (rank, _) in ranks.items()},
        {name: tied for name, (_, tied) in ranks.items()},
        {
            name: np.array([found(seed, ratings, each) for seed in seeds])
            for name, each in STATISTICS.items()
        },
        *(
            {
                name: np.array([each[i][name] for each in taught])
                for name in taught[0][i]
            }
            for i in (0, 1)
        ),
    )


def ranking(values: Float[np.ndarray, "W R"], row: int, column: int) -> tuple[int, int]:
    """1 + how many are larger, and how many others are as large."""
    own = values[row, column]
    return 1 + int(np.sum(values > own + 1e-9)), int(np.isclose(values, own).sum()) - 1


def found(seed: int, ratings: Float[np.ndarray, "W R"], statistic: Statistic) -> float:
    """The share of planted mistakes that are among the largest.

    A mistake is a rating with its sign turned, of a word that the others rate 2 or
    more, or -2 or less, on average; ties are decided against it.
    """
    rng = np.random.default_rng(seed)
    clear = np.argwhere(np.abs(_others(ratings).mean(-1)) >= 2.0)
    clear = clear[np.abs(ratings[tuple(clear.T)]) >= 2.0]
    hits = 0
    for row, column in rng.choice(clear, size=PLANTED, replace=False).tolist():
        wrong = ratings.copy()
        wrong[row, column] *= -1.0
        rank, tied = ranking(statistic(wrong), row, column)
        hits += rank + tied <= FOUND
    return hits / PLANTED


def alone(seed: int, column: int, comparisons: int) -> tuple[dict, dict]:
    """The worth of the word, and its share of praise, by whom the answers are of."""
    on = opinions.bench()
    (token,) = on.world.encode(WORD)
    mended = on.world.ratings[:, column].copy()
    mended[token] = np.median(on.world.ratings[token])
    says = (on.completions == token).any(1)
    worth, share = {}, {}
    for name, people in (
        ("all ten raters", None),
        ("that rater, mended", People(mended[None], temperature=1.0)),
        ("that rater", People(on.world.ratings[None, :, column], temperature=1.0)),
    ):
        asked = opinions.ask(np.random.default_rng(seed), on, comparisons, people)
        worths = opinions.learn(on, asked)
        learned = opinions.scores(on, on.used, worths)
        best = opinions.optimum(on, learned, KL_WEIGHT)
        worth[name] = float(worths[on.world.rated == token][0])
        share[name] = float(np.exp(best.ended[0, says]).sum())
    return worth, share


def rows(found: Found) -> list[tuple]:
    """A header, and a row for each statistic, annotator and seed."""
    table = [("about", "of", "seed", "number")]
    for name in found.rank:
        table.append(("rank", name, "", found.rank[name]))
        table.append(("tied", name, "", found.tied[name]))
    for about in ("planted", "worth", "share"):
        for of, numbers in getattr(found, about).items():
            pairs = zip(found.seeds, numbers.tolist(), strict=True)
            table += [(about, of, seed, number) for seed, number in pairs]
    return table


def summary(found: Found) -> list[tuple]:
    """Each statistic: the rank of the rating, what it finds, and what first."""
    heads = "statistic", "rank of 2,660", "tied", "planted, found", "looked at first"
    return [
        heads,
        *(
            (
                name,
                f"{found.rank[name]}",
                f"{found.tied[name]}",
                f"{found.planted[name].mean():.0%}",
                ", ".join(found.first[name]),
            )
            for name in found.rank
        ),
    ]


def meaning(found: Found) -> list[str]:
    """What the table says, and what the rating does."""
    share = {name: x.mean() for name, x in found.share.items()}
    return [
        "No rating of ten is more than 3 deviations from the mean of the ten: leave it "
        "out of what it is measured by.",
        f"Taught by that rater alone, {share['that rater']:.0%} of the praise says "
        f"{WORD!r}; with the one rating mended {share['that rater, mended']:.2%}, by "
        f"all ten raters {share['all ten raters']:.2%}.",
    ]


def _others(ratings) -> Float[np.ndarray, "W R Q"]:
    """Of each rating, the R - 1 others of its word."""
    R = ratings.shape[1]
    columns: Int[np.ndarray, "R Q"] = np.array(
        [[j for j in range(R) if j != i] for i in range(R)]
    )
    return ratings[:, columns]


def _first(words, values):
    """The words of the three largest values."""
    at = np.argsort(-values.ravel(), kind="stable")[:3]
    return tuple(words[i // values.shape[1]] for i in at)
