"""Over-optimisation: the learned reward climbs, the gold reward rises, peaks and falls.

A reward model is right about what the reference writes, for that is what people were
asked about. Optimise against it, and the policy goes where nobody was asked.

    d = sqrt(KL(pi || pi_ref))
    best-of-n   R(d) = d (alpha - beta d)           RLHF   R(d) = d (alpha - beta log d)

are the forms that Gao et al. found the gold reward to follow. Their optimiser was PPO;
here it is exact: the policy pi_ref exp(r / beta) / Z of each beta, and best-of-n.

Why does it fall? Not for noise: a reward that is the gold plus noise of the same size,
drawn for each completion on its own, does not turn over (`control`). If the noise has a
log-concave density, E[gold | learned] rises with the learned reward, whatever the gold
is; regression to the mean flattens the curve, but nothing bends it down. And not for
few answers alone: a reward of the right form, a worth for each word *used*, learned
from as many answers, hardly does (`right form`). It falls because the reward model
reads a completion otherwise than people do, where they were not asked. This one adds
the worth of a word for each time that it stands there, and has a correction for each
word's repetition, 0 until answers say otherwise:

    r(x, y) = sign(x) sum_v [ w_v n_v(y) + c_v max(n_v(y) - 1, 0) ]

The gold reward has this form, with c = -w. But the reference hardly ever writes "superb
and superb and superb", so 100 comparisons say nothing of it, and that is what the
optimum writes. Ten times as many raise the peak, as corrections of common words are
learned; a hundred times as many remove it. A model that cannot learn them (`counts
only`) falls however many there are. The members of an ensemble, drawn from what may be
believed after the answers, disagree where none was asked: their worst case, and their
mean less a deviation, are cautious there, the more members the better. Their mean is
not, for all start from the same assumption; and one member alone gains the least, for
where it was told nothing it guesses. A larger beta stays before the peak.

At first, nothing of this shows: as pi leaves the reference, the gold reward rises by
rho sigma sqrt(2) d, for the correlation rho of the two rewards and the deviation sigma
of the gold one under the reference. That is finite, so the exact frontier follows the
form found for best-of-n more closely than the other, whose slope at 0 has no bound.

Source: Gao, Schulman & Hilton (2022), "Scaling laws for reward model overoptimization";
Coste et al. (2023), "Reward model ensembles help mitigate overoptimization"; Efron
(1965), "Increasing properties of Polya frequency functions", for the control.
Shapes: S seeds, n policies along a path, m sizes of best-of-n.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.feedback import linear_reward
from lm_bandit.lab import gao, opinions
from lm_bandit.lab.opinions import Bench, Path

KL_WEIGHTS = np.geomspace(20.0, 0.02, 25)  # beta, from strict to lax
NUMBERS = 2 ** np.arange(21)  # n of best-of-n
PRECISION = 0.1  # lambda of the prior
MEMBERS = (5, 25)  # of an ensemble
MORE = (10, 100)  # times as many comparisons


class Found(NamedTuple):
    """Every variant's path, seed by seed; the first is the plain reward model's."""

    seeds: tuple[int, ...]
    comparisons: int
    gold_deviation: float  # of the reference, in points: what a learned one stands for
    kl_weights: Float[np.ndarray, "n"]
    paths: dict[str, Path]  # of each variant, arrays [S n]
    numbers: Int[np.ndarray, "m"]
    best_of: Path  # of the plain reward model, [S m]
    frontier_fit: gao.Fit  # d (alpha - beta log d)
    frontier_fit_squared: gao.Fit  # d (alpha - beta d), of the same path
    best_of_fit: gao.Fit
    favourites: tuple[str, ...]  # what the plain reward calls the best praise, by seed


def run(seeds: Sequence[int] = range(10), comparisons: int = 100) -> Found:
    """Ask, learn and optimise, in every way, for each seed."""
    on = opinions.bench()
    rewards = [learned(seed, on, comparisons) for seed in seeds]
    paths = {
        name: opinions.stack(
            [opinions.frontier(on, each[name], KL_WEIGHTS) for each in rewards]
        )
        for name in rewards[0]
    }
    plain = next(iter(paths))
    best_of = opinions.stack(
        [opinions.best_of(on, each[plain], NUMBERS) for each in rewards]
    )
    return Found(
        tuple(seeds),
        comparisons,
        opinions.deviation(on, on.gold),
        KL_WEIGHTS,
        paths,
        NUMBERS,
        best_of,
        gao.fit(paths[plain], gao.frontier_terms),
        gao.fit(paths[plain], gao.best_of_terms),
        gao.fit(best_of, gao.best_of_terms),
        tuple(
            on.world.decode(on.completions[each[plain][0].argmax()]) for each in rewards
        ),
    )


def learned(
    seed: int, on: Bench, comparisons: int
) -> dict[str, Float[np.ndarray, "k E"]]:
    """The reward that each variant learns from one seed's answers."""
    rng = np.random.default_rng(seed)
    asked = opinions.ask(rng, on, comparisons * MORE[-1])
    counts = on.counts.astype(float)
    repeats = np.maximum(counts - 1.0, 0.0)
    # Half the size: half the deviation of the prior, and slower to be believed.
    features = np.concatenate([counts, 0.5 * repeats], axis=1)

    def believed(features, count):
        rows = opinions.differences(on, asked, features)[:count]
        return linear_reward.fit_weights(rows, PRECISION)

    belief = believed(features, comparisons)
    plain = opinions.scores(on, features, belief.mean)
    found = {f"{comparisons:,} comparisons": plain}
    for times in MORE:
        worths = believed(features, times * comparisons).mean
        name = f"{times * comparisons:,} comparisons"
        found[name] = opinions.scores(on, features, worths)
    draws = rng.multivariate_normal(*belief, size=MEMBERS[-1])
    members = np.stack([opinions.scores(on, features, w) for w in draws])
    members -= np.sum(on.probs * members, axis=-1, keepdims=True)
    found["one member"] = members[0]
    found[f"mean of {MEMBERS[-1]}"] = members.mean(0)
    found[f"mean - std of {MEMBERS[-1]}"] = members.mean(0) - members.std(0)
    for size in MEMBERS:
        found[f"worst of {size}"] = members[:size].min(0)
    right = believed(on.used, comparisons).mean
    found["right form"] = opinions.scores(on, on.used, right)
    wrong = believed(counts, MORE[-1] * comparisons).mean
    found[f"counts only, {MORE[-1] * comparisons:,}"] = opinions.scores(
        on, counts, wrong
    )
    found["control"] = noisy_gold(rng, on, plain)
    return found


def noisy_gold(
    rng: np.random.Generator, on: Bench, learned: Float[np.ndarray, "k E"]
) -> Float[np.ndarray, "k E"]:
    """The gold reward, and noise as large as the learned one's error, but unbiased.

    Both in deviations of the reference; the noise is normal, and of each completion on
    its own.
    """
    gold = opinions.standardised(on, on.gold)
    error = opinions.standardised(on, learned) - gold
    size = np.sqrt(np.mean(np.sum(on.probs * error**2, axis=1)))
    return gold + size * rng.normal(size=gold.shape)


def fall(path: Path) -> Float[np.ndarray, "S"]:
    """How much of the gold reward's gain is lost again at the end, for each seed."""
    top = path.gold.max(-1)
    return (top - path.gold[..., -1]) / top


def peak(path: Path) -> Int[np.ndarray, "S"]:
    """Where along the path the gold reward is highest, for each seed."""
    return path.gold.argmax(-1)


def rows(found: Found) -> list[tuple]:
    """A header, and a row for each policy of each variant and seed."""
    table = [("variant", "along", "value", "seed", *Path._fields)]
    for name, path in found.paths.items():
        table += _rows(found.seeds, name, "beta", found.kl_weights, path)
    plain = next(iter(found.paths))
    return table + _rows(found.seeds, plain, "n", found.numbers, found.best_of)


def summary(found: Found) -> list[tuple]:
    """Where each variant peaks and how far it falls: means over the seeds."""
    table = [("reward", "peak", "at KL", "at beta", "end", "lost", "least lost")]
    for name, path in found.paths.items():
        table.append((name, *_peak(path, found.kl_weights)))
    plain = next(iter(found.paths))
    numbers = found.numbers.astype(float)
    return [*table, (f"{plain}, best of n", *_peak(found.best_of, numbers))]


def meaning(found: Found) -> list[str]:
    """What the table says, and the fits."""
    plain, control = found.paths[next(iter(found.paths))], found.paths["control"]
    return [
        f"Of the gold reward gained at the peak, {fall(plain).mean():.0%} is lost when "
        f"the learned reward is at its highest; {fall(control).mean():.0%} with "
        "unbiased noise of the same size.",
        "More comparisons raise the peak and in the end remove it; cautious ensembles "
        "put it off, the mean of one does not: its members share the mistake. A larger "
        "beta stays before it.",
        f"The best praise, says the reward model of seed {found.seeds[0]}, is "
        f"{found.favourites[0]!r}.",
        f"RLHF, d (a - b log d):  {found.frontier_fit}",
        f"RLHF, d (a - b d):      {found.frontier_fit_squared}",
        f"Best of n, d (a - b d):  {found.best_of_fit}",
    ]


def _rows(seeds, name, along, values, path):
    return [
        (name, along, value, seed, *(float(x[i, j]) for x in path))
        for i, seed in enumerate(seeds)
        for j, value in enumerate(values.tolist())
    ]


def _peak(path, along):
    """The numbers of `summary`, as text."""
    at = peak(path)
    seeds = np.arange(len(at))
    return (
        f"{path.gold.max(-1).mean():.2f}",
        f"{path.kl[seeds, at].mean():.1f}",
        f"{np.exp(np.log(along[at]).mean()):.2g}",
        f"{path.gold[:, -1].mean():.2f}",
        f"{fall(path).mean():.0%}",
        f"{fall(path).min():.0%}",
    )
