"""Over-optimisation: the learned reward climbs; the gold reward rises, peaks and falls.

A reward model is right about what the reference writes, because annotators were asked
about that. Optimise against it, and the policy goes where nobody was asked.

    d = sqrt(KL(pi || pi_ref))
    best-of-n   R(d) = d (alpha - beta d)           RLHF   R(d) = d (alpha - beta log d)

are the forms that Gao et al. found for the gold reward. They used PPO; here the
optimiser is exact: the policy pi_ref exp(r / beta) / Z of each beta, and best-of-n.

**Why does the gold reward fall?** The experiment compares several learned rewards.

Noise is not the reason. `control` is the gold reward plus noise as large as the reward
model's error, drawn for each completion on its own: it does not fall. If the noise
has a log-concave density, E[gold | learned] rises with the learned reward (Efron 1965).

Too few answers are not the only reason. `right form` learns one weight for each word
*used*, like the gold reward, from as many answers: it hardly falls.

The reason is that the reward model reads a completion in another way than raters do,
where nobody was asked. The plain one adds a word's weight each time that the word
stands there, and has a correction for each word's repetition, 0 without answers:

    r(x, y) = sign(x) sum_v [ w_v n_v(y) + c_v max(n_v(y) - 1, 0) ]

The gold reward has this form, with c = -w. But the reference hardly ever writes "superb
and superb and superb", so 100 comparisons say nothing about it, and that is what the
optimum writes.

**What helps?** Ten times as many comparisons raise the peak, because corrections of
common words are learned; a hundred times as many remove it. A model that cannot learn
corrections (`counts only`) falls however many there are. Members of an ensemble are
drawn from the posterior of the weights. They disagree where nobody was asked, so their
worst score, or their mean minus their standard deviation, is cautious there. Their mean
is not: all members start from the same assumption. A larger beta stops before the peak.

**Near the reference** nothing of this shows. The gold reward first rises by
rho sigma sqrt(2) d, for the correlation rho of the two rewards and the deviation sigma
of the gold reward. That slope is finite, so the exact path follows the form found for
best-of-n more closely than the other, whose slope at 0 has no bound.

Source: Gao, Schulman & Hilton (2022), "Scaling laws for reward model overoptimization";
Coste et al. (2023), "Reward model ensembles help mitigate overoptimization", for the
ensembles; Efron (1965), "Increasing properties of Polya frequency functions".
Shapes: S seeds, n values of beta, m sizes of best-of-n.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.feedback import linear_reward
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.lab import scaling_law, tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
    stack_seeds,
)
from lm_bandit.lab.scaling_law import ScalingFit, fit_scaling_law
from lm_bandit.lab.tabular import Bench, Features, RewardPath, Rewards
from mdp.interface.jobs import Runner

KL_WEIGHTS = np.geomspace(20.0, 0.02, 25)  # beta, from strict to lax
SIZES = 2 ** np.arange(21)  # n of best-of-n
PRECISION = 0.1  # lambda of the prior
MEMBERS = (5, 25)  # sizes of the ensembles
MORE = (10, 100)  # times as many comparisons


class OveroptimisationResult(NamedTuple):
    """The paths of every variant of the learned reward; the first is the plain one."""

    seeds: tuple[int, ...]
    comparisons: int  # that the plain reward model learned from
    gold_deviation: float  # in points of rating: the unit of the learned reward
    kl_weights: Float[np.ndarray, "n"]
    paths: dict[str, RewardPath]  # arrays [S n], by variant
    numbers: Int[np.ndarray, "m"]  # n of best-of-n
    best_of: RewardPath  # best-of-n by the plain reward, arrays [S m]
    frontier_fit: ScalingFit  # of the plain path, d (alpha - beta log d)
    frontier_fit_squared: ScalingFit  # of the same path, d (alpha - beta d)
    best_of_fit: ScalingFit  # of best-of-n, d (alpha - beta d)
    favourites: tuple[str, ...]  # the praise that the plain reward scores highest

    @property
    def plain(self) -> str:
        """The name of the plain variant."""
        return next(iter(self.paths))


def optimise_learned_rewards(
    seeds: Sequence[int] = range(10),
    comparisons: int = 100,
    runner: Runner | None = None,
) -> OveroptimisationResult:
    """Ask annotators, learn each variant of the reward, and optimise it."""
    bench = tabular.make_bench()
    jobs = seed_jobs(seeds, _optimise_variants, bench, comparisons)
    measured = (runner or Runner()).run_all(jobs)
    paths, best_of, favourites = zip(*measured, strict=True)
    variants, sampled = stack_seeds(paths), stack_seeds(best_of)
    first, *_ = variants.values()
    return OveroptimisationResult(
        seeds=tuple(seeds),
        comparisons=comparisons,
        gold_deviation=tabular.reward_deviation(bench, bench.gold),
        kl_weights=KL_WEIGHTS,
        paths=variants,
        numbers=SIZES,
        best_of=sampled,
        frontier_fit=fit_scaling_law(first, scaling_law.rlhf_terms),
        frontier_fit_squared=fit_scaling_law(first, scaling_law.best_of_n_terms),
        best_of_fit=fit_scaling_law(sampled, scaling_law.best_of_n_terms),
        favourites=tuple(favourites),
    )


def _optimise_variants(
    seed: int, bench: Bench, comparisons: int
) -> tuple[dict[str, RewardPath], RewardPath, str]:
    """Return the path of each variant, that of best-of-n, and its favourite."""
    rewards = learned_variants(seed, bench, comparisons)
    plain, *_ = rewards.values()
    path = {}
    for name, reward in rewards.items():
        path[name] = tabular.optimum_path(bench, reward, KL_WEIGHTS)
    favourite = bench.completions[plain[0].argmax()]
    best_of = tabular.best_of_n_path(bench, plain, SIZES)
    return path, best_of, bench.world.decode(favourite)


def learned_variants(seed: int, bench: Bench, comparisons: int) -> dict[str, Rewards]:
    """The scores of each variant of the learned reward, from one seed's answers."""
    rng = np.random.default_rng(seed)
    amounts = [comparisons, *(n * comparisons for n in MORE)]
    answers = tabular.ask_annotators(rng, bench, amounts[-1])
    counts = bench.counts.astype(float)
    repeats = np.maximum(counts - 1.0, 0.0)
    # Half the size: half the prior's deviation, so a correction needs more answers.
    features = np.concatenate([counts, 0.5 * repeats], axis=1)

    def posterior(features: Features, count: int) -> Posterior:
        differences = tabular.feature_differences(bench, answers, features)
        return linear_reward.fit_weights(differences[:count], PRECISION)

    def learned(features: Features, count: int) -> Rewards:
        weights = posterior(features, count).mean
        return tabular.linear_scores(bench, features, weights)

    variants = {f"{n:,} comparisons": learned(features, n) for n in amounts}
    plain, *_ = variants.values()
    members = posterior(features, comparisons)
    variants |= ensemble_variants(rng, bench, features, members)
    variants["right form"] = learned(bench.used, comparisons)
    variants[f"counts only, {amounts[-1]:,}"] = learned(counts, amounts[-1])
    variants["control"] = noisy_gold(rng, bench, plain)
    return variants


def ensemble_variants(
    rng: np.random.Generator, bench: Bench, features: Features, posterior: Posterior
) -> dict[str, Rewards]:
    """The scores of ensembles whose members are draws from the posterior.

    Each member is centred for each prompt. The worst member, and the mean minus the
    standard deviation, are the conservative aggregates.

    Source: Coste et al. (2023), who call these worst-case optimisation and
    uncertainty-weighted optimisation (they subtract the variance).
    """
    draws = rng.multivariate_normal(*posterior, size=MEMBERS[-1])
    members = np.stack([tabular.linear_scores(bench, features, w) for w in draws])
    members = tabular.centre(bench, members)
    return {
        "one member": members[0],
        f"mean of {MEMBERS[-1]}": members.mean(0),
        f"mean - std of {MEMBERS[-1]}": members.mean(0) - members.std(0),
        **{f"worst of {size}": members[:size].min(0) for size in MEMBERS},
    }


def noisy_gold(rng: np.random.Generator, bench: Bench, learned: Rewards) -> Rewards:
    """The gold reward plus unbiased noise as large as a learned reward's error.

    Both are in deviations of the reference. The noise is normal, and independent for
    each completion.
    """
    gold = tabular.standardise(bench, bench.gold)
    error = tabular.standardise(bench, learned) - gold
    size = np.sqrt(np.mean(np.sum(bench.probs * error**2, axis=1)))
    return gold + size * rng.normal(size=gold.shape)


def share_lost(path: RewardPath) -> Float[np.ndarray, "S"]:
    """The share of the peak gold reward that is lost at the end of the path."""
    top = path.gold.max(-1)
    return (top - path.gold[..., -1]) / top


def peak_index(path: RewardPath) -> Int[np.ndarray, "S"]:
    """The point of the path where the gold reward is highest, for each seed."""
    return path.gold.argmax(-1)


# The names in the table; those in the files stay.
TITLES = {
    "one member": "one of 25 models",
    "mean of 25": "mean of 25 models",
    "mean - std of 25": "mean - deviation of 25",
    "worst of 5": "worst of 5 models",
    "worst of 25": "worst of 25 models",
    "right form": "every word counts once",
    "counts only, 10,000": "every use counts, 10,000",
    "control": "gold + noise",
}
COLUMNS = {
    "reward": "the reward that is optimised: by the best policy for each beta, from "
    f"{KL_WEIGHTS[0]:g} to {KL_WEIGHTS[-1]:g} (the price of a nat of KL)",
    "highest gold": "the most that the raters like one of these policies: gold reward "
    "in points, minus the reference's; mean over the seeds",
    "KL there": "how far that policy is from the reference, in nats",
    "beta there": "its beta; for best of n, its n",
    "gold at the end": "the gold reward with the smallest beta, or the largest n",
    "lost": "share of the highest gold that is lost at the end; mean over the seeds",
    "lost, best seed": "the same on the seed that loses least",
}

WORDS = {
    "N comparisons": "a reward model learned from N answers; it adds a word's weight "
    "each time that the word is used",
    "one of 25 models": "drawn among those that fit the 100 answers about equally well",
    "mean, worst": "the mean or the lowest score of several such models",
    "mean - deviation": "the mean minus the standard deviation of their scores",
    TITLES["right form"]: "a model that reads as the raters do: repeats do not count",
    "every use counts": "a model that cannot learn from answers that repeats are worse",
    TITLES["control"]: "no model: gold plus random noise as large as a model's error",
    "best of n": "the reference writes n completions, and the model takes the best; n "
    f"grows to {SIZES[-1]:,}",
    "reference": "the policy before any optimisation",
}


def _summary(result: OveroptimisationResult) -> Rows:
    """Return where each path has its peak, and what is lost at its end."""
    paths = [
        (TITLES.get(name, name), path, result.kl_weights)
        for name, path in result.paths.items()
    ]
    paths.append((f"{result.plain}, best of n", result.best_of, result.numbers))
    rows: Rows = []
    for name, path, points in paths:
        index, lost = peak_index(path), share_lost(path)
        peak, end = path.gold.max(-1).mean(), path.gold[:, -1].mean()
        kl = path.kl[np.arange(len(index)), index].mean()
        at = np.exp(np.log(points[index]).mean())
        where = f"n = {at:.0f}" if points is result.numbers else f"{at:.2g}"
        shares = f"{lost.mean():.0%}", f"{lost.min():.0%}"
        rows.append((name, f"{peak:.2f}", f"{kl:.1f}", where, f"{end:.2f}", *shares))
    return rows


def _explanation(result: OveroptimisationResult) -> list[str]:
    plain, control = result.paths[result.plain], result.paths["control"]
    return [
        f"At the end of the path {share_lost(plain).mean():.0%} of the gold reward "
        f"gained at the peak is lost again; with unbiased noise of the same size, "
        f"{share_lost(control).mean():.0%}.",
        "More comparisons raise the peak and in the end remove it. Cautious ensembles "
        "delay it; the mean of an ensemble does not, because its members share the "
        "mistake. A larger beta stops before it.",
        f"The reward model of seed {result.seeds[0]} scores this praise highest: "
        f"{result.favourites[0]!r}.",
        "Gao et al. (2022) describe gold as a curve in d = sqrt(KL). Fitted here, with "
        "95% intervals over the seeds; R^2 is the share of the variance explained:",
        f"for each beta,  gold = d (a - b log d):  {result.frontier_fit}",
        f"for each beta,  gold = d (a - b d):      {result.frontier_fit_squared}",
        f"best of n,      gold = d (a - b d):      {result.best_of_fit}",
    ]


EXPERIMENT = Experiment(
    optimise_learned_rewards,
    COLUMNS,
    _summary,
    _explanation,
    WORDS,
    points=("kl_weights", "numbers"),
    types=(RewardPath,),
)
