"""Elicitation: choose the next comparison, since an answer costs a person's time.

Most pairs teach little: the answer is known beforehand, or people are divided. A pair
z = phi(x, a) - phi(x, b) teaches most where the *model* is uncertain, and not where
people disagree. After n answers the posterior of the weights is about N(w, Sigma)
(`linear_reward.py`), and there are three ways to choose:

    at random       any pair
    uncertainty     the pair about which an ensemble disagrees most: the largest
                    variance of sigmoid(w_m . z) over members m, each trained on a
                    bootstrap sample of the answers
    design          the pair that makes det Sigma smallest (D-optimal): by the matrix
                    determinant lemma, the largest  p (1 - p) z^T Sigma z

Both choices order the pairs as well as 300 random comparisons do, with about half as
many answers. With noisy answers (temperature 1) the design needs about seven in ten,
because noise removes part of the gain. Another way is to ask for more at once: a
quarter as many random rankings of four suffice, which is half of the reading.

Many questions are asked in one round, while annotators are there. The design chooses
them one by one, as if each had been answered: any answer adds p (1 - p) z z^T to the
curvature, so the next question is a different one. An ensemble cannot do this; it draws
at random among the pairs of which it is least sure.

Source: Christiano et al. (2017), section 2.2.4, and Lewis & Gale (1994), section 3, for
uncertainty; Chaloner & Verdinelli (1995), "Bayesian experimental design: a review",
section 2, for D-optimality; Houlsby et al. (2011) for the uncertainty of a model of
preferences.
Shapes: N pairs that may be asked about, n answers, D features, M members.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from lm_bandit.feedback import annotators, ensemble, lessons, linear_reward
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.world import World

POOL_SIZE = 1000  # questions that may be asked

Differences = Float[np.ndarray, "n D"]  # phi(chosen) - phi(rejected) of the answers
Pool = Float[np.ndarray, "N D"]  # phi(first) - phi(second) of pairs to ask about
# From rng, differences, pool and count to rows of the pool.
Choose = Callable[..., Int[np.ndarray, "count"]]


def at_random(
    rng: np.random.Generator, differences: Differences, pool: Pool, count: int
) -> Int[np.ndarray, "count"]:
    """Return random pairs, without repetition."""
    return rng.choice(len(pool), size=count, replace=False)


def by_uncertainty(
    rng: np.random.Generator, differences: Differences, pool: Pool, count: int
) -> Int[np.ndarray, "count"]:
    """Return random pairs of the tenth on which an ensemble of ten disagrees most.

    Source: Christiano et al. (2017), section 2.2.4.
    """
    weights = ensemble.bootstrap_weights(rng, differences, 10)
    least_sure = np.argsort(-disagreement(weights, pool))
    candidates = least_sure[: max(count, len(pool) // 10)]
    return rng.choice(candidates, size=count, replace=False)


def disagreement(
    weights: Float[np.ndarray, "M D"], pool: Float[np.ndarray, "N D"]
) -> Float[np.ndarray, "N"]:
    """Return the variance over members m of sigmoid(w_m . z), for each pair z.

    The variance of the answer, p (1 - p), is another number: it is also large where all
    members agree that people are divided, and there an answer teaches nothing.

    Source: Christiano et al. (2017), section 2.2.4.
    """
    return expit(pool @ weights.T).var(1)


def by_design(
    rng: np.random.Generator, differences: Differences, pool: Pool, count: int
) -> Int[np.ndarray, "count"]:
    """Return the pairs that leave the smallest det Sigma, chosen one by one.

    Source: Chaloner & Verdinelli (1995), section 2.
    """
    posterior = linear_reward.fit_weights(differences)
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(most_informative(posterior, pool, chosen))
        difference = pool[chosen[-1]]
        p = expit(difference @ posterior.mean)
        after = updated_covariance(posterior.covariance, difference, p * (1.0 - p))
        posterior = posterior._replace(covariance=after)
    return np.array(chosen)


def most_informative(
    posterior: Posterior, pool: Pool, taken: Sequence[int] = ()
) -> int:
    """Return the row with the largest p (1 - p) z^T Sigma z that is not yet taken.

    Source: Chaloner & Verdinelli (1995), section 2.
    """
    p = expit(pool @ posterior.mean)
    gains = p * (1.0 - p) * np.sum((pool @ posterior.covariance) * pool, axis=1)
    gains[list(taken)] = -1.0
    return int(gains.argmax())


def updated_covariance(
    covariance: Float[np.ndarray, "D D"],
    difference: Float[np.ndarray, "D"],
    information: float,
) -> Float[np.ndarray, "D D"]:
    """Return Sigma after one more answer; it is equal for both possible answers.

        Sigma - Sigma z z^T Sigma  i / (1 + i z^T Sigma z),    i = p (1 - p)

    Source: Sherman & Morrison (1950).
    """
    along = covariance @ difference
    shrink = information / (1.0 + information * difference @ along)
    return covariance - shrink * np.outer(along, along)


def accuracy_by_answers(
    seed: int,
    world: World,
    choose: Choose,
    rounds: int = 30,
    count: int = 10,
    reads: int = 2,
) -> Float[np.ndarray, "rounds"]:
    """Return, after each round, the share of pairs ordered as by the gold reward.

    Args:
        seed: of the people, the completions and all random choices.
        world: the words.
        choose: chooses the questions of a round from those that are left.
        rounds: how often questions are chosen, and the model is fitted again.
        count: questions in a round; each goes to one of a hundred annotators.
        reads: completions in a question. A ranking of them answers all their pairs,
            each of which counts 1 / C(K, 2). Rankings are chosen at random only.
    """
    rng = np.random.default_rng(seed)
    people = annotators.hire(rng, world, 100)
    which, shown = lessons.questions(rng, world, POOL_SIZE, reads)
    # The answers exist before they are asked for: only the choice differs.
    ranked = annotators.rank(rng, world, which, shown, people).completions
    prompts = world.prompts[which]
    first = linear_reward.features(world, prompts, shown[:, 0])
    pool = first - linear_reward.features(world, prompts, shown[:, 1])
    phi = linear_reward.features(world, np.repeat(prompts[:, None], reads, 1), ranked)
    better, worse = np.triu_indices(reads, 1)
    answers = phi[:, better] - phi[:, worse]  # [N, C(K, 2), D]
    gold = pool @ linear_reward.gold_weights(world)
    asked = np.zeros(0, int)
    left = np.flatnonzero(pool.any(1))
    accuracies = []
    for i in range(rounds):
        differences = answers[asked].reshape(-1, pool.shape[1])
        choose_now = at_random if i == 0 else choose
        chosen = left[choose_now(rng, differences, pool[left], count)]
        asked, left = np.append(asked, chosen), np.setdiff1d(left, chosen)
        differences = answers[asked].reshape(-1, pool.shape[1])
        counts = np.full(len(differences), 1.0 / len(better))
        weights = linear_reward.fit_weights(differences, counts=counts).mean
        accuracies.append(np.mean((pool @ weights * gold > 0)[gold != 0]))
    return np.array(accuracies)


class LearningCurve(NamedTuple):
    """Accuracy by number of answers: the mean over seeds, with a band of 95%."""

    answers: Int[np.ndarray, "rounds"]
    mean: Float[np.ndarray, "rounds"]
    low: Float[np.ndarray, "rounds"]
    high: Float[np.ndarray, "rounds"]


def learning_curve(
    world: World, choose: Choose, seeds: Sequence[int], count: int = 10, reads: int = 2
) -> LearningCurve:
    """Return `accuracy_by_answers` over several seeds; the band is a bootstrap of them.

    Source: Efron (1979) for the bootstrap.
    """
    runs = np.stack(
        [accuracy_by_answers(s, world, choose, count=count, reads=reads) for s in seeds]
    )
    redraw = np.random.default_rng(0).integers(len(runs), size=(2000, len(runs)))
    low, high = np.quantile(runs[redraw].mean(1), [0.025, 0.975], axis=0)
    answers = count * np.arange(1, runs.shape[1] + 1)
    return LearningCurve(answers, runs.mean(0), low, high)


def share_needed(curve: LearningCurve, baseline: LearningCurve) -> float:
    """Return the share of the baseline's answers that reach its last accuracy."""
    reached = curve.mean >= baseline.mean[-1]
    if not reached.any():
        return float("inf")
    return float(curve.answers[reached.argmax()] / baseline.answers[-1])
