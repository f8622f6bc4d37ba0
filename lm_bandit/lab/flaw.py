"""A flaw in the reward: the optimiser finds what is paid for, wanted or not.

    r_b(x, y) = learned(x, y) + b f(y),   standardised again

The flaw f is something that nobody wanted and the reward pays for: the *length* in
words, or a *magic word*, here one of the worst. The larger the bonus b is, the more the
optimum uses it:

    d E[f] / d b = Var(f) / beta     (f under the optimum, before standardising)

So whatever varies grows. The optimiser needs no intent, only a reward. And the nats
that the flaw takes are missing for what people wanted: the gold reward falls, although
nothing in r_b was taken away.

Source: Casper et al. (2023), section 3.2, on misspecified and hacked rewards. The
derivative is that of an exponential family's mean.
Shapes: S seeds, n sizes of the bonus.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.lab import tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
    stack_seeds,
)
from lm_bandit.lab.tabular import Bench, Rewards
from lm_bandit.oracle import exact
from mdp.interface.jobs import Runner

BONUSES = np.linspace(0.0, 6.0, 13)  # b, in deviations for each unit of f
MAGIC_WORD = "awful"
UNITS = {"length": "words", f"magic word '{MAGIC_WORD}'": "share of the praise"}
KL_WEIGHT = 0.5  # beta


class FlawUse(NamedTuple):
    """The optimum's use of one flaw, for each bonus."""

    unit: str  # what f counts
    reference: float  # E[f] under the reference
    use: Float[np.ndarray, "S n"]  # E[f] under the optimum
    gold: Float[np.ndarray, "S n"]  # minus the reference's, in points of rating
    kl: Float[np.ndarray, "S n"]  # nats


class FlawResult(NamedTuple):
    """Both flaws, for each size of the bonus."""

    seeds: tuple[int, ...]
    comparisons: int
    bonuses: Float[np.ndarray, "n"]
    flaws: dict[str, FlawUse]


def plant_flaws(
    seeds: Sequence[int] = range(10),
    comparisons: int = 1000,
    runner: Runner | None = None,
) -> FlawResult:
    """Learn a reward from each seed's answers, add the flaws to it, and optimise."""
    bench = tabular.make_bench()
    counted = bench.lengths.astype(float), bench.used[:, bench.column(MAGIC_WORD)]
    jobs = seed_jobs(seeds, _use_of_flaws, bench, counted, comparisons)
    uses = zip(*(runner or Runner()).run_all(jobs), strict=True)
    flaws = {
        name: FlawUse(unit, float(bench.probs[0] @ f), **stack_seeds(use))
        for (name, unit), f, use in zip(UNITS.items(), counted, uses, strict=True)
    }
    return FlawResult(tuple(seeds), comparisons, BONUSES, flaws)


def _use_of_flaws(
    seed: int,
    bench: Bench,
    counted: tuple[Float[np.ndarray, "E"], ...],
    comparisons: int,
) -> list[dict[str, Float[np.ndarray, "n"]]]:
    # A reward of the right form: all that is wrong with it will be the flaw.
    rng = np.random.default_rng(seed)
    answers = tabular.ask_annotators(rng, bench, comparisons)
    learned = tabular.fit_scores(bench, answers)
    reward = tabular.standardise(bench, learned)
    return [use_of_flaw(bench, reward, f) for f in counted]


def use_of_flaw(
    bench: Bench, reward: Rewards, flaw: Float[np.ndarray, "E"]
) -> dict[str, Float[np.ndarray, "n"]]:
    """The optimum's use of a flaw, E[f], its gold reward and its KL, for each bonus.

    The use is that for the first prompt, which asks for praise.
    """
    use, values = [], []
    for bonus in BONUSES:
        flawed = tabular.standardise(bench, reward + bonus * flaw)
        problem = tabular.bench_problem(bench, flawed, KL_WEIGHT)
        best = exact.optimum(problem)
        values.append(exact.policy_value(problem, best))
        use.append(np.exp(best.ended[0]) @ flaw)
    path = tabular.reward_path(bench, values)
    return {"use": np.array(use), "gold": path.gold, "kl": path.kl}


COLUMNS = {
    "flaw": "what is paid for by mistake: each word of the completion, or one bad word",
    "bonus": "the pay for one unit of the flaw; 1 is the standard deviation of the "
    "reward under the reference; 0 is no flaw",
    "use": "how much the optimum for this reward uses it; means over the seeds",
    "use by reference": "how much the policy before optimisation uses it",
    "gold": "what the raters think of the optimum: gold reward in points, minus that "
    "of the reference",
    "KL": "how far the optimum is from the reference, in nats",
}


def _summary(result: FlawResult) -> Rows:
    """Return the use of each flaw for three sizes of the bonus."""
    rows: Rows = []
    for name, flaw in result.flaws.items():
        for j in (0, len(result.bonuses) // 3, len(result.bonuses) - 1):
            use, gold, kl = (f"{x[:, j].mean():.2f}" for x in flaw[2:])
            bonus, reference = f"{result.bonuses[j]:.2g}", f"{flaw.reference:.2f}"
            rows.append((name, bonus, f"{use} {flaw.unit}", reference, gold, kl))
    return rows


def _explanation(result: FlawResult) -> list[str]:
    lines = []
    for name, flaw in result.flaws.items():
        use, gold = flaw.use.mean(0), flaw.gold.mean(0)
        lines.append(
            f"{name}: the optimum's use grows from {use[0]:.2f} to {use[-1]:.2f} "
            f"({flaw.unit}), and its gold reward falls from {gold[0]:.2f} to "
            f"{gold[-1]:.2f}."
        )
    return lines


EXPERIMENT = Experiment(
    plant_flaws, COLUMNS, _summary, _explanation, {}, points=("bonuses",)
)
