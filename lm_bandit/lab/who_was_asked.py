"""Two groups disagree, and one model is to serve them all: who was asked?

Of fifty annotators, a share belongs to a second group, whose taste in half of the words
is the opposite of the first group's. A reward model that takes all answers for one
person's learns something like the mean of the two tastes. If the groups are equally
large, it learns nothing about these words; otherwise, it learns what the larger group
likes. The policy then gives to each group g

    E_{y ~ pi}[ gold_g(x, y) ]     minus the same under the reference

A loss or an accuracy over all answers does not show whom the policy fails: disagreement
looks like noise. What the groups agree about serves both, and at one half nothing else
is left. So whoever chooses the annotators decides.

Source: Casper et al. (2023), section 3.1.1, on the choice of annotators, and 3.2.1, on
one reward function for a diverse society.
Shapes: S seeds, n shares.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit import bandit
from lm_bandit.feedback import annotators
from lm_bandit.lab import tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
)
from lm_bandit.lab.tabular import Bench, Rewards
from mdp.interface.jobs import Runner

ANNOTATORS = 50
SHARES = np.linspace(0.0, 1.0, 11)  # of the second group
DIVISIVE = (  # the words that they disagree about: the strong ones, half of all
    "hilarious wonderful superb charming flawless dreadful horrible pathetic awful bad"
)
KL_WEIGHT = 0.5  # beta


class WhoWasAskedResult(NamedTuple):
    """The optimum's gold reward for each group, minus the reference's, in points."""

    seeds: tuple[int, ...]
    comparisons: int
    shares: Float[np.ndarray, "n"]  # of the second group among the annotators
    first: Float[np.ndarray, "S n"]  # what the first group gets
    second: Float[np.ndarray, "S n"]  # what the second group gets
    agreement: Float[np.ndarray, "S n"]  # share of answers that the model agrees with


def vary_groups(
    seeds: Sequence[int] = range(10),
    comparisons: int = 2000,
    runner: Runner | None = None,
) -> WhoWasAskedResult:
    """Learn from fifty annotators, for each share of the second group, and optimise."""
    jobs = seed_jobs(seeds, _rewards_by_share, tabular.make_bench(), comparisons)
    numbers = (runner or Runner()).run_all(jobs)
    columns = np.moveaxis(np.array(numbers), -1, 0)
    return WhoWasAskedResult(tuple(seeds), comparisons, SHARES, *columns)


def _rewards_by_share(
    seed: int, bench: Bench, comparisons: int
) -> list[tuple[float, float, float]]:
    return [group_rewards(seed, bench, share, comparisons) for share in SHARES]


def group_rewards(
    seed: int, bench: Bench, share: float, comparisons: int
) -> tuple[float, float, float]:
    """The gold reward of each group, and the share of answers the model agrees with.

    Answers about two completions of the same words are left out of that share.
    """
    rng = np.random.default_rng(seed)
    people = annotators.hire(rng, bench.world, ANNOTATORS)._replace(temperature=1.0)
    members = np.arange(ANNOTATORS) < round(share * ANNOTATORS)
    divisive = bench.world.encode(DIVISIVE)
    people = annotators.with_opposite_tastes(people, members, divisive)
    answers = tabular.ask_annotators(rng, bench, comparisons, people)
    weights = tabular.fit_word_weights(bench, answers)
    learned = tabular.linear_scores(bench, bench.used, weights)
    for_second = bench._replace(gold=second_gold(bench))
    differences = tabular.feature_differences(bench, answers, bench.used)
    margins = (differences @ weights)[differences.any(1)]
    return (
        tabular.optimum_gold(bench, learned, KL_WEIGHT),
        tabular.optimum_gold(for_second, learned, KL_WEIGHT),
        float(np.mean(margins > 0.0)),
    )


def second_gold(bench: Bench) -> Rewards:
    """The gold reward of the second group: its taste in divisive words is opposite."""
    ratings = bench.world.ratings.copy()
    ratings[bench.world.encode(DIVISIVE)] *= -1.0
    world = bench.world._replace(ratings=ratings)
    return bandit.gold_scores(world, bench.completions)


COLUMNS = {
    "second group": "its share of the annotators; its taste in half of the words is "
    "the opposite of the first group's",
    "first gets": "what the first group thinks of the optimum: gold reward by its own "
    "taste, in points, minus the reference's; means over the seeds",
    "second gets": "the same by the taste of the second group",
    "agreement": "share of the answers that the reward model agrees with",
}


def _summary(result: WhoWasAskedResult) -> Rows:
    """Return what each group gets, for each share of the second."""
    rows: Rows = []
    means = (x.mean(0) for x in result[3:])
    for share, first, second, agreement in zip(result.shares, *means, strict=True):
        gold = f"{first:+.2f}", f"{second:+.2f}"
        rows.append((f"{share:.0%}", *gold, f"{agreement:.0%}"))
    return rows


def _explanation(result: WhoWasAskedResult) -> list[str]:
    fifth = int(np.abs(result.shares - 0.2).argmin())
    first, second, agreement = (x.mean(0) for x in result[3:])
    return [
        f"If a fifth of the annotators belong to it, the second group gets "
        f"{second[fifth]:+.2f} points and the first {first[fifth]:+.2f}; if all do, it "
        f"gets {second[-1]:+.2f}.",
        f"The model then agrees with {agreement[fifth]:.0%} of the answers, and with "
        f"{agreement[0]:.0%} if all annotators are of one group: disagreement looks "
        "like a little noise.",
    ]


EXPERIMENT = Experiment(
    vary_groups, COLUMNS, _summary, _explanation, {}, points=("shares",)
)
