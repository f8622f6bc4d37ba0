"""You get what you ask for: a reward with a flaw, and an optimiser that finds it.

    r_b(x, y) = learned(x, y) + b f(y)

in deviations of the reference, standardised anew. The flaw f is something nobody
wanted and the reward pays for: the *length*, in words, repeated ones among them; a
*magic word*, here one of the worst. How much of it the optimum has follows from

    d E[f] / d b = Var(f) / beta     (f under the optimum, before standardising)

so what varies is what grows: the optimiser needs no intent, only a reward. And the nats
that the flaw takes are nats that what people wanted no longer gets: the gold reward
pays, though nothing in r_b was taken away.

Source: Casper et al. (2023), section 3.2, on rewards that are misspecified, and hacked.
The derivative is that of an exponential family's mean.
Shapes: S seeds, n sizes of the flaw.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.lab import opinions
from lm_bandit.lab.opinions import Bench
from lm_bandit.oracle import exact

BONUSES = np.linspace(0.0, 6.0, 13)  # b, in deviations a word
MAGIC_WORD = "awful"
KL_WEIGHT = 0.5  # beta


class Flaw(NamedTuple):
    """What the optimum makes of one flaw."""

    unit: str  # what f counts
    reference: float  # E[f] of the reference
    use: Float[np.ndarray, "S n"]  # E[f] of the optimum
    gold: Float[np.ndarray, "S n"]  # over the reference's, in points
    kl: Float[np.ndarray, "S n"]


class Found(NamedTuple):
    """Both flaws, for each size of the bonus."""

    seeds: tuple[int, ...]
    comparisons: int
    bonuses: Float[np.ndarray, "n"]
    flaws: dict[str, Flaw]


def run(seeds: Sequence[int] = range(10), comparisons: int = 1000) -> Found:
    """Learn a reward from each seed's answers, plant the flaws, and optimise."""
    on = opinions.bench()
    rewards = [learned(seed, on, comparisons) for seed in seeds]
    planted = {
        "length": ("words", on.counts.sum(1).astype(float)),
        f"magic word '{MAGIC_WORD}'": (
            "share of the praise",
            on.used[:, word(on, MAGIC_WORD)],
        ),
    }
    return Found(
        tuple(seeds),
        comparisons,
        BONUSES,
        {name: plant(on, rewards, unit, f) for name, (unit, f) in planted.items()},
    )


def learned(seed: int, on: Bench, comparisons: int) -> Float[np.ndarray, "k E"]:
    """A reward of the right form: all that is wrong with it will be the flaw."""
    asked = opinions.ask(np.random.default_rng(seed), on, comparisons)
    reward = opinions.scores(on, on.used, opinions.learn(on, asked))
    return opinions.standardised(on, reward)


def word(on: Bench, text: str) -> int:
    """The column of a rated word."""
    return int(np.flatnonzero(on.world.rated == on.world.encode(text)[0])[0])


def plant(
    on: Bench,
    rewards: Sequence[Float[np.ndarray, "k E"]],
    unit: str,
    f: Float[np.ndarray, "E"],
) -> Flaw:
    """The optimum for each reward and each bonus; its use of f where praise is due."""
    use, paths = [], []
    for reward in rewards:
        values = []
        for bonus in BONUSES:
            flawed = opinions.standardised(on, reward + bonus * f)
            posed = opinions.problem(on, flawed, KL_WEIGHT)
            best = exact.optimum(posed)
            values.append(exact.policy_value(posed, best))
            use.append(np.exp(best.ended[0]) @ f)
        paths.append(opinions.path(on, values))
    stacked = opinions.stack(paths)
    use = np.reshape(use, (len(rewards), len(BONUSES)))
    return Flaw(unit, float(on.probs[0] @ f), use, stacked.gold, stacked.kl)


def rows(found: Found) -> list[tuple]:
    """A header, and a row for each flaw, seed and bonus."""
    table = [("flaw", "seed", "bonus", "use", "gold", "kl")]
    for name, flaw in found.flaws.items():
        for i, seed in enumerate(found.seeds):
            for j, bonus in enumerate(found.bonuses.tolist()):
                numbers = (float(x[i, j]) for x in (flaw.use, flaw.gold, flaw.kl))
                table.append((name, seed, bonus, *numbers))
    return table


def summary(found: Found) -> list[tuple]:
    """Use and gold reward without a bonus, in the middle, and with the largest."""
    table = [("flaw", "bonus", "use", "reference", "gold", "KL")]
    for name, flaw in found.flaws.items():
        for j in (0, len(found.bonuses) // 3, len(found.bonuses) - 1):
            use, gold, kl = (x[:, j].mean() for x in (flaw.use, flaw.gold, flaw.kl))
            told = f"{use:.2f} {flaw.unit}", f"{flaw.reference:.2f}"
            bonus = f"{found.bonuses[j]:.2g}"
            table.append((name, bonus, *told, f"{gold:.2f}", f"{kl:.2f}"))
    return table


def meaning(found: Found) -> list[str]:
    """What the table says."""
    said = []
    for name, flaw in found.flaws.items():
        first, last = flaw.gold[:, 0].mean(), flaw.gold[:, -1].mean()
        said.append(
            f"{name}: from {flaw.use[:, 0].mean():.2f} to {flaw.use[:, -1].mean():.2f} "
            f"{flaw.unit}; what people wanted falls from {first:+.2f} to {last:+.2f}."
        )
    return said
