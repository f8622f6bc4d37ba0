"""Which comparison to ask for next: an answer costs a person's time.

Most pairs teach little: the answer is known beforehand, or nobody can say. A pair z =
phi(x, a) - phi(x, b) tells most where the model is unsure of *itself*, not where people
disagree. What is believed of the worths after n answers is about N(w, Sigma)
(`linear_reward.py`), and

    at random       any pair
    uncertainty     the pair whose preferred side the members of an ensemble, each
                    trained on the answers resampled, agree least about:
                    the variance of sigmoid(w_m . z) over members m
    design          the pair that makes det Sigma smallest (D-optimal): by the matrix
                    determinant lemma the one with the largest  p (1 - p) z^T Sigma z

To order the pairs as well as after 300 random comparisons, uncertainty and design need
about half as many; where people also answer at random to a degree (temperature 1), the
design needs about seven in ten, as noise takes away what choice can gain. Another way
is to ask for more at once: of rankings of four, chosen at random, a quarter as many
will do, which is half of the reading.

Many questions are asked at once, while annotators are there. The design takes them one
by one and pretends that each has been answered: whatever the answer is, the curvature
grows by p (1 - p) z z^T, so the next will not be the same question again. An ensemble
cannot pretend; it draws among the pairs that it is least sure of.

Source: Christiano et al. (2017), section 2.2.4, for the ensemble; Chaloner & Verdinelli
(1995), "Bayesian experimental design: a review", section 2, for D-optimality.
Shapes: N pairs that may be asked about, D features, M members.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from lm_bandit.feedback import annotators, ensemble, lessons, linear_reward
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.world import World

POOL = 1000  # questions that may be asked

# rng, phi(chosen) - phi(rejected) of the answers [n D], the pool [N D], count -> rows
Choose = Callable[..., Int[np.ndarray, "count"]]


def at_random(
    rng: np.random.Generator,
    differences: Float[np.ndarray, "n D"],
    pool: Float[np.ndarray, "N D"],
    count: int,
) -> Int[np.ndarray, "count"]:
    """Any pairs, without repetition."""
    return rng.choice(len(pool), size=count, replace=False)


def by_uncertainty(
    rng: np.random.Generator,
    differences: Float[np.ndarray, "n D"],
    pool: Float[np.ndarray, "N D"],
    count: int,
    members: int = 10,
) -> Int[np.ndarray, "count"]:
    """Of the pairs on which an ensemble agrees least: a tenth, and any of them."""
    variances = disagreement(
        ensemble.bootstrap_weights(rng, differences, members), pool
    )
    least_sure = np.argsort(-variances)[: max(count, len(pool) // 10)]
    return rng.choice(least_sure, size=count, replace=False)


def disagreement(
    worths: Float[np.ndarray, "M D"], pool: Float[np.ndarray, "N D"]
) -> Float[np.ndarray, "N"]:
    """The variance over members of sigmoid(w_m . z), for each pair z of the pool.

    Not p (1 - p), the variance of the answer: it is as large where all members agree
    that people are divided, and there an answer teaches nothing.

    Source: Christiano et al. (2017), section 2.2.4.
    """
    return expit(pool @ worths.T).var(1)


def by_design(
    rng: np.random.Generator,
    differences: Float[np.ndarray, "n D"],
    pool: Float[np.ndarray, "N D"],
    count: int,
) -> Int[np.ndarray, "count"]:
    """Greedily, the pairs that leave the smallest det Sigma."""
    belief = linear_reward.fit_weights(differences)
    chosen = []
    for _ in range(count):
        chosen.append(most_informative(belief, pool, chosen))
        difference = pool[chosen[-1]]
        p = expit(difference @ belief.mean)
        after = updated_covariance(belief.covariance, difference, p * (1.0 - p))
        belief = belief._replace(covariance=after)
    return np.array(chosen)


def most_informative(
    belief: Posterior, pool: Float[np.ndarray, "N D"], taken: Sequence[int] = ()
) -> int:
    """The row, of those not taken, with the largest p (1 - p) z^T Sigma z."""
    p = expit(pool @ belief.mean)
    gains = p * (1.0 - p) * np.sum((pool @ belief.covariance) * pool, axis=1)
    gains[list(taken)] = -1.0
    return int(gains.argmax())


def updated_covariance(
    covariance: Float[np.ndarray, "D D"],
    difference: Float[np.ndarray, "D"],
    information: float,
) -> Float[np.ndarray, "D D"]:
    """Sigma after one more answer, whatever it is (Sherman & Morrison).

    Sigma - Sigma z z^T Sigma  i / (1 + i z^T Sigma z),    i = p (1 - p)
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
    """The share of pairs that are ordered as by the gold reward, after each round.

    Args:
        seed: of the people, the completions and all that is chosen at random.
        world: whose words they are about.
        choose: which of the questions left to ask next.
        rounds: how often the model is fitted, and questions chosen by it.
        count: questions in a round; each is put to one of a hundred annotators.
        reads: completions in a question. A ranking of them answers all their pairs,
            each of which counts 1 / C(K, 2); they can be chosen at random only.
    """
    rng = np.random.default_rng(seed)
    people = annotators.hire(rng, world, 100)
    which, shown = lessons.questions(rng, world, POOL, reads)
    # Everybody has made up her mind already; the choice is whom to ask.
    ranked = annotators.rank(rng, world, which, shown, people).completions
    first, second = np.triu_indices(reads, 1)
    pool = _features(world, which, shown[:, 0]) - _features(world, which, shown[:, 1])
    answers = np.stack([_features(world, which, y) for y in ranked.swapaxes(0, 1)], 1)
    answers = answers[:, first] - answers[:, second]  # [N, C(K, 2), D]
    gold = pool @ linear_reward.gold_weights(world)
    asked = np.zeros(0, int)
    left = np.flatnonzero(pool.any(1))
    accuracies = []
    for i in range(rounds):
        told_so = answers[asked].reshape(-1, pool.shape[1])
        how = at_random if i == 0 else choose
        chosen = left[how(rng, told_so, pool[left], count)]
        asked, left = np.append(asked, chosen), np.setdiff1d(left, chosen)
        told_so = answers[asked].reshape(-1, pool.shape[1])
        weights = np.full(len(told_so), 1.0 / len(first))
        worths = linear_reward.fit_weights(told_so, weights=weights).mean
        accuracies.append(np.mean((pool @ worths * gold > 0)[gold != 0]))
    return np.array(accuracies)


class LearningCurve(NamedTuple):
    """Accuracy by answers: the mean over seeds, and where it lies with 95%."""

    answers: Int[np.ndarray, "rounds"]
    mean: Float[np.ndarray, "rounds"]
    low: Float[np.ndarray, "rounds"]
    high: Float[np.ndarray, "rounds"]


def learning_curve(
    world: World, choose: Choose, seeds: Sequence[int], count: int = 10, reads: int = 2
) -> LearningCurve:
    """`accuracy_by_answers` of several seeds; the band is bootstrapped over them."""
    runs = np.stack(
        [accuracy_by_answers(s, world, choose, count=count, reads=reads) for s in seeds]
    )
    redraw = np.random.default_rng(0).integers(len(runs), size=(2000, len(runs)))
    low, high = np.quantile(runs[redraw].mean(1), [0.025, 0.975], axis=0)
    answers = count * np.arange(1, runs.shape[1] + 1)
    return LearningCurve(answers, runs.mean(0), low, high)


def share_needed(smart: LearningCurve, other: LearningCurve) -> float:
    """The share of the other's answers that do for the other's last accuracy."""
    reached = smart.mean >= other.mean[-1]
    if not reached.any():
        return float("inf")
    return float(smart.answers[reached.argmax()] / other.answers[-1])


def _features(world, which, completions):
    phi = linear_reward.features(
        world, jnp.asarray(world.prompts[which]), jnp.asarray(completions)
    )
    return np.asarray(phi, np.float64)
