"""A mistake that is easy to overlook: one of ten raters gave "awful" +4. Find it.

266 words with ten ratings each are 2,660 numbers, and one of them is upside down: the
other nine people gave -2 or -3. Which statistic x -> number ranks it first?

    rating         |x|                                    183 others are as large
    z-score        |x - mean of the ten| / standard deviation of the ten
    residual       |x - mean of the other nine|
    standardised   the residual / standard deviation of the nine (at least 1)
    robust         |x - median of the nine| / 1.4826 MAD of the nine (at least 1)

The z-score is what most people would try first, and it cannot work: none of ten numbers
is more than sqrt(10 - 1) = 3 standard deviations from their mean, however wrong it is,
because it moves the mean and widens the deviation. So leave the rating out of both. MAD
is the median absolute deviation; times 1.4826 it is a normal distribution's standard
deviation. Ratings are whole numbers and often agree exactly, but nobody is more precise
than the scale's own step: hence the "at least 1".

Each of the last three statistics ranks this rating first. That might be luck, so the
same is tried with planted mistakes: a rating turned around, one at a time. The
standardised residual finds three in four among the first ten, the robust one only one
in three, because the median deviation of nine numbers hardly tells sure words from
unsure ones. A statistic that finds one mistake need not find others.

What if it is overlooked? The mean rating of the word is -2.0 instead of -2.7, which
nobody will notice. But a company that asks this one rater alone (in a rare language, or
about a rare disease) teaches a model that "awful" is the highest praise.

Source: Rousseeuw & Leroy (1987) for the robust statistic; Samuelson (1968), "How
deviant can you be?", for the bound sqrt(R - 1). The ratings are Hutto & Gilbert's
(2014), whose columns need not be one person each (`world.py`).
Shapes: W words, R raters, S seeds.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.feedback.annotators import People
from lm_bandit.lab import tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
    stack_seeds,
)
from lm_bandit.lab.tabular import Bench
from lm_bandit.world import read_word_ratings
from mdp.interface.jobs import Runner

WORD = "awful"
PLANTED = 100  # mistakes for each seed
INSPECTED = 10  # the largest of all ratings; a mistake among them is found
STEP = 1.0  # of the rating scale, in points
KL_WEIGHT = 0.5  # beta

Ratings = Float[np.ndarray, "W R"]
Statistic = Callable[[Ratings], Ratings]


class OverlookedResult(NamedTuple):
    """The findings of each statistic, and the effect of the rating on a policy."""

    seeds: tuple[int, ...]
    comparisons: int
    ratings: Float[np.ndarray, "R"]  # of the word
    first: dict[str, tuple[str, ...]]  # the words with the three largest values
    rank: dict[str, int]  # of the mistaken rating: 1 + how many values are larger
    tied: dict[str, int]  # how many other ratings have the same value
    planted: dict[str, Float[np.ndarray, "S"]]  # share of planted mistakes found
    weight: dict[str, Float[np.ndarray, "S"]]  # learned weight of the word
    share: dict[str, Float[np.ndarray, "S"]]  # P(word | praise) of the optimum


def find_overlooked(
    seeds: Sequence[int] = range(10),
    comparisons: int = 1000,
    runner: Runner | None = None,
) -> OverlookedResult:
    """Rank the mistaken rating and planted ones; learn from the rater who gave it."""
    people = read_word_ratings()
    words, ratings = list(people), np.array(list(people.values()))
    row = words.index(WORD)
    rater = int(ratings[row].argmax())
    first, rank, tied = {}, {}, {}
    for name, statistic in STATISTICS.items():
        values = statistic(ratings)
        rank[name], tied[name] = rank_and_ties(values, row, rater)
        largest = np.argsort(-values.ravel(), kind="stable")[:3]
        first[name] = tuple(words[i // ratings.shape[1]] for i in largest)
    bench = tabular.make_bench()
    jobs = seed_jobs(seeds, _find_and_learn, ratings, bench, rater, comparisons)
    planted, taught = zip(*(runner or Runner()).run_all(jobs), strict=True)
    return OverlookedResult(
        seeds=tuple(seeds),
        comparisons=comparisons,
        ratings=ratings[row],
        first=first,
        rank=rank,
        tied=tied,
        planted=stack_seeds(planted),
        **stack_seeds(taught),
    )


def _find_and_learn(
    seed: int, ratings: Ratings, bench: Bench, rater: int, comparisons: int
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    found = shares_found(seed, ratings)
    return found, learn_from_one(bench, seed, rater, comparisons)


def z_score(ratings: Ratings) -> Ratings:
    """The distance from the word's mean in standard deviations: at most sqrt(R - 1)."""
    deviations = np.maximum(ratings.std(1, keepdims=True), 1e-9)
    return np.abs(ratings - ratings.mean(1, keepdims=True)) / deviations


def residual(ratings: Ratings) -> Ratings:
    """The distance from the mean of the word's other ratings."""
    return np.abs(ratings - _others(ratings).mean(-1))


def standardised_residual(ratings: Ratings) -> Ratings:
    """The residual in standard deviations of the word's other ratings."""
    return residual(ratings) / np.maximum(_others(ratings).std(-1), STEP)


def robust_residual(ratings: Ratings) -> Ratings:
    """The distance from the others' median in 1.4826 median absolute deviations."""
    others = _others(ratings)
    medians = np.median(others, axis=-1)
    spread = np.median(np.abs(others - medians[..., None]), axis=-1)
    return np.abs(ratings - medians) / (1.4826 * np.maximum(spread, STEP))


STATISTICS: dict[str, Statistic] = {
    "the rating": np.abs,
    "in deviations": z_score,
    "residual": residual,
    "standardised": standardised_residual,
    "robust": robust_residual,
}


def rank_and_ties(values: Ratings, row: int, column: int) -> tuple[int, int]:
    """1 + the number of larger values, and the number of other equal values."""
    own = values[row, column]
    return 1 + int(np.sum(values > own + 1e-9)), int(np.isclose(values, own).sum()) - 1


def shares_found(seed: int, ratings: Ratings) -> dict[str, float]:
    """The share of planted mistakes among the ten largest values of each statistic.

    A planted mistake is a rating of size 2 or more with its sign turned, of a word that
    the others rate 2 or more, or -2 or less, on average. Ties count against it.
    """
    rng = np.random.default_rng(seed)
    clear = np.argwhere(np.abs(_others(ratings).mean(-1)) >= 2.0)
    clear = clear[np.abs(ratings[tuple(clear.T)]) >= 2.0]
    places = rng.choice(clear, size=PLANTED, replace=False).tolist()
    shares = {}
    for name, statistic in STATISTICS.items():
        values, found = statistic(ratings), 0
        for row, column in places:
            wrong = ratings[row : row + 1].copy()
            wrong[0, column] *= -1.0
            planted = values.copy()
            planted[row] = statistic(wrong)  # a word's values need its own ratings only
            rank, tied = rank_and_ties(planted, row, column)
            found += rank + tied <= INSPECTED
        shares[name] = found / PLANTED
    return shares


def learn_from_one(
    bench: Bench, seed: int, rater: int, comparisons: int
) -> dict[str, dict[str, float]]:
    """The word's learned weight and its share of the optimum's praise, by annotators.

    They are all raters, that rater alone, and that rater with the rating corrected.
    """
    (token,), word = bench.world.encode(WORD), bench.column(WORD)
    taste = bench.world.ratings[:, rater]
    corrected = taste.copy()
    corrected[token] = np.median(bench.world.ratings[token])
    weight, share = {}, {}
    for name, people in (
        ("all ten raters", None),
        ("that rater, mended", People(corrected[None], temperature=1.0)),
        ("that rater", People(taste[None], temperature=1.0)),
    ):
        rng = np.random.default_rng(seed)
        answers = tabular.ask_annotators(rng, bench, comparisons, people)
        weights = tabular.fit_word_weights(bench, answers)
        learned = tabular.linear_scores(bench, bench.used, weights)
        best = tabular.optimal_policy(bench, learned, KL_WEIGHT)
        weight[name] = float(weights[word])
        share[name] = float(np.exp(best.ended[0, bench.counts[:, word] > 0]).sum())
    return {"weight": weight, "share": share}


def _others(ratings: Ratings) -> Float[np.ndarray, "W R others"]:
    """The R - 1 other ratings of the same word, for each rating."""
    columns = np.arange(ratings.shape[1])
    return ratings[:, np.array([np.delete(columns, i) for i in columns])]


COLUMNS = {
    "statistic": "a number for each rating; the largest are the most suspicious",
    "rank of mistake": "place of the mistaken rating among all 2,660; 1 is first",
    "equal": "other ratings with the same number, which are as suspicious",
    "planted, found": "share of other, planted mistakes among the ten most "
    "suspicious; mean over the seeds",
    "most suspicious": "words of the three most suspicious ratings",
}
# The name in the table of each statistic; those in the files stay.
TITLES = {
    "the rating": "size of the rating",
    "in deviations": "z-score",
    "residual": "residual",
    "standardised": "standardised residual",
    "robust": "robust residual",
}
WORDS = {
    "z-score": "distance from the mean of all ten, in their standard deviations",
    "residual": "distance from the mean of the other nine",
    "standardised": "the residual in standard deviations of the other nine",
    "robust": "distance from the median of the nine in their median deviations",
}


def _summary(result: OverlookedResult) -> Rows:
    """Return what each statistic finds."""
    rows: Rows = []
    for name, rank in result.rank.items():
        found, first = result.planted[name].mean(), ", ".join(result.first[name])
        rows.append(
            (TITLES[name], f"{rank}", f"{result.tied[name]}", f"{found:.0%}", first)
        )
    return rows


def _explanation(result: OverlookedResult) -> list[str]:
    share = {name: x.mean() for name, x in result.share.items()}
    return [
        "No rating of ten is more than 3 standard deviations from the mean of the ten: "
        "compare a rating with the others only.",
        f"A model that learns from that rater alone says {WORD!r} in "
        f"{share['that rater']:.0%} of its praise; with the one rating corrected, in "
        f"{share['that rater, mended']:.2%}; from all ten raters, in "
        f"{share['all ten raters']:.2%}.",
    ]


EXPERIMENT = Experiment(
    find_overlooked,
    COLUMNS,
    _summary,
    _explanation,
    WORDS,
    texts=("most suspicious",),
    points=("ratings",),
)
