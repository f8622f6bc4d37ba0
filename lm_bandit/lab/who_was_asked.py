"""Who was asked? Two groups disagree, and one model is to serve them all.

Of fifty annotators, a share belongs to a group whose taste in half of the words is the
opposite of the others'. A reward model that takes all answers for one person's learns
something like the mean of the two: where the groups are equally large, nothing at all
about these words; elsewhere, what the larger one likes. The policy then serves

    E_{y ~ pi}[ gold_g(x, y) ]     of group g, beside the reference's

and a loss or an accuracy, measured on all answers, does not show whom it does not
serve: that people disagree looks like noise. What the groups agree about serves both,
and is all that is left at one half. Who decides is who draws up the list of annotators.

Source: Casper et al. (2023), sections 3.1.1 and 3.2.1, on whose feedback it is, and
that one reward function does not stand for a diverse society.
Shapes: S seeds, n shares.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit import bandit
from lm_bandit.feedback import annotators
from lm_bandit.lab import opinions
from lm_bandit.lab.opinions import Bench

ANNOTATORS = 50
SHARES = np.linspace(0.0, 1.0, 11)  # of the second group
DIVISIVE = (  # what they disagree about: half of the words, the strong ones
    "hilarious wonderful superb charming flawless dreadful horrible pathetic awful bad"
)
KL_WEIGHT = 0.5  # beta


class Found(NamedTuple):
    """The optimum's gold reward for each group, over the reference's, in points."""

    seeds: tuple[int, ...]
    comparisons: int
    shares: Float[np.ndarray, "n"]  # of the second group among those who were asked
    first: Float[np.ndarray, "S n"]
    second: Float[np.ndarray, "S n"]
    agreement: Float[np.ndarray, "S n"]  # of the model with the answers: is it seen?


def run(seeds: Sequence[int] = range(10), comparisons: int = 2000) -> Found:
    """Ask fifty people, with each share of the second group among them."""
    on = opinions.bench()
    numbers = [
        [served(seed, on, share, comparisons) for share in SHARES] for seed in seeds
    ]
    return Found(tuple(seeds), comparisons, SHARES, *np.moveaxis(numbers, -1, 0))


def served(
    seed: int, on: Bench, share: float, comparisons: int
) -> tuple[float, float, float]:
    """What each group gets, and how often the model agrees with its own answers."""
    rng = np.random.default_rng(seed)
    people = annotators.hire(rng, on.world, ANNOTATORS)._replace(temperature=1.0)
    members = np.arange(ANNOTATORS) < round(share * ANNOTATORS)
    people = annotators.with_opposite_tastes(people, members, on.world.encode(DIVISIVE))
    asked = opinions.ask(rng, on, comparisons, people)
    worths = opinions.learn(on, asked)
    learned = opinions.scores(on, on.used, worths)
    got = [
        float(opinions.frontier(each, learned, np.array([KL_WEIGHT])).gold[0])
        for each in (on, on._replace(gold=gold_of_the_second(on)))
    ]
    rows = opinions.differences(on, asked, on.used)
    differ = rows.any(1)  # in the words that they use
    return *got, float(np.mean((rows @ worths)[differ] > 0.0))


def gold_of_the_second(on: Bench) -> Float[np.ndarray, "k E"]:
    """The gold reward of those whose taste in the divisive words is the opposite."""
    ratings = on.world.ratings.copy()
    ratings[on.world.encode(DIVISIVE)] *= -1.0
    return bandit.gold_scores(on.world._replace(ratings=ratings), on.completions)


def rows(found: Found) -> list[tuple]:
    """A header, and a row for each share and seed."""
    table = [("share of the second", "seed", "first", "second", "agreement")]
    for i, seed in enumerate(found.seeds):
        for j, share in enumerate(found.shares.tolist()):
            numbers = (found.first, found.second, found.agreement)
            table.append((share, seed, *(float(x[i, j]) for x in numbers)))
    return table


def summary(found: Found) -> list[tuple]:
    """What each group gets, as the share of the second grows; means over the seeds."""
    table = [("share of the second", "first gets", "second gets", "agreement")]
    for j, share in enumerate(found.shares):
        table.append(
            (
                f"{share:.0%}",
                f"{found.first[:, j].mean():+.2f}",
                f"{found.second[:, j].mean():+.2f}",
                f"{found.agreement[:, j].mean():.0%}",
            )
        )
    return table


def meaning(found: Found) -> list[str]:
    """What the table says."""
    few = int(np.abs(found.shares - 0.2).argmin())
    first, second, agreement = (
        x.mean(0) for x in (found.first, found.second, found.agreement)
    )
    return [
        f"Where a fifth belong to it, the second group gets {second[few]:+.2f} points "
        f"and the first {first[few]:+.2f}; asked alone, it gets {second[-1]:+.2f}.",
        f"The model agrees with {agreement[few]:.0%} of the answers then, and with "
        f"{agreement[0]:.0%} where all are of one group: it looks like a little noise.",
    ]
