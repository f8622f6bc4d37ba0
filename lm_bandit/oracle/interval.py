"""An interval for J* where nothing can be enumerated, from what a few policies write.

J* = E_x[beta log Z(x)], and Z is a mean over *any* policies that have written texts:

    Z(x)  =  E_y~q[ u(y) ],     u = pi_ref exp(r / beta) / q,     q = mean_j pi_j

so that importance sampling estimates it. If q were pi*, every u would be Z, and one
completion would do. PPO comes near to pi*, and the reference among the pi_j still
writes what PPO no longer writes. The spread of u gives the standard error.

But exp(r / beta) is steep: one rare completion of a high reward can be most of Z. If it
is not among the samples, they look regular and J* seems smaller than it is. If it is
among them, its large share of Z shows it. So a prompt of which a single completion
makes up more than a tenth of Z gets no estimate, but two bounds that need none: J* is
at least what the policy reaches, and at most the largest reward, which the last layer
of a reward model limits. For the other prompts the interval assumes that nothing is
missed.

Source: Veach & Guibas (1995), section 3.3, the balance heuristic, for q; Owen (2013),
section 9.1, for the error, and 9.3, for signs that it is not to be trusted.
Shapes: m policies, k prompts, n completions of each prompt by each policy.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from lm_bandit import bandit
from lm_bandit.config import TuningConfig
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle.estimates import Estimate
from lm_bandit.reward_table import Reward, RewardTable, score_texts
from lm_bandit.transformer import Transformer
from lm_bandit.world import END

SURE = 1.96  # standard errors on each side of an interval of 95%
LONE = 0.1  # of Z, in one completion: the estimate is not to be trusted
TINY = 1e-12  # where nothing can be gained
ROWS = 512  # texts that are read at once

Parts = Float[np.ndarray, "#i m k n"]  # for each policy i, or the same for all
Samples = Float[np.ndarray, "m k n"]  # completions of each policy


class Drawn(NamedTuple):
    """Completions of m policies; the first is the reference, the last is judged."""

    rewards: Samples
    log_ratios: Float[np.ndarray, "m m k n"]  # log(pi_i / pi_ref) of what j wrote: i, j


class OptimumInterval(NamedTuple):
    """Intervals of 95% for J* and for the share of the way, and what they rest on."""

    optimum: Estimate  # J*, if the samples of all prompts are trusted
    low: float
    high: float
    share_low: float  # of the way from J_ref to J*, by the policy that is judged
    share_high: float
    known: int  # prompts whose samples give an estimate
    prompts: int  # in all
    heaviest: float  # the largest share of Z, of any prompt, in one completion
    ceiling: float  # the largest reward: J* is not larger, whatever was missed


def optimum_interval(
    policies: Sequence[Transformer],
    key: Key[Array, ""],
    scorer: Reward,
    prompts: Int[np.ndarray, "k P"],
    length: int,
    count: int,
    config: TuningConfig,
) -> OptimumInterval:
    """Draw from each policy, and return the intervals for J* and the share of the way.

    Args:
        policies: the reference, then any others, then the policy that is judged.
        key: of the samples.
        scorer: the reward model, r(x, y).
        prompts: of the problem, equally likely.
        length: the most tokens of a completion.
        count: n, completions of each prompt by each policy.
        config: has beta, the temperature and the penalty.
    """
    drawn = draw_from(policies, key, scorer, prompts, length, count, config)
    ceiling = max(reward_ceiling(scorer), config.penalty)
    return interval_of(drawn, config.kl_weight, ceiling)


def interval_of(drawn: Drawn, kl_weight: float, ceiling: float) -> OptimumInterval:
    """Return the intervals for J* and for the share of the way.

    The errors are those of the means that the results are functions of, to first order,
    prompt by prompt. All parts of a share come from the same samples, and this counts.
    Source: Cochran (1977), sections 5.3 and 6.4.
    """
    rewards, log_ratios = drawn
    m, k, _ = rewards.shape
    best, best_by, heaviest = _optimum(drawn, kl_weight)
    # A result is a sum of means, one for each policy i and prompt, of such parts.
    reached_by, start_by = np.zeros((2, m, *rewards.shape))
    reached_by[-1] = (rewards - kl_weight * log_ratios[-1]) / k
    start_by[0] = rewards / k
    error_of = _errors(log_ratios)
    gain_by, start = reached_by - start_by, float(_totals(start_by).sum())
    gain = float(_totals(gain_by).sum())

    def share_of(goal: float, goal_by: Parts) -> tuple[float, float]:
        """Return the share of the way to this goal, and its standard error."""
        possible = max(goal - start, TINY)
        share = gain / possible
        return share, error_of(gain_by - share * (goal_by - start_by)) / possible

    known = heaviest <= LONE
    top = float(np.where(known, best, ceiling).mean())
    top_by = best_by * known[:, None]
    bottom = float(np.where(known, best, k * _totals(reached_by)).mean())
    bottom_by = np.where(known[:, None], best_by, reached_by)
    least, least_error = share_of(top, top_by)
    most, most_error = share_of(bottom, bottom_by)
    return OptimumInterval(
        optimum=Estimate(float(best.mean()), error_of(best_by)),
        low=bottom - SURE * error_of(bottom_by),
        high=min(top + SURE * error_of(top_by), ceiling),
        share_low=least - SURE * least_error,
        share_high=min(most + SURE * most_error, 1.0),
        known=int(known.sum()),
        prompts=k,
        heaviest=float(heaviest.max()),
        ceiling=ceiling,
    )


def draw_from(
    policies: Sequence[Transformer],
    key: Key[Array, ""],
    scorer: Reward,
    prompts: Int[np.ndarray, "k P"],
    length: int,
    count: int,
    config: TuningConfig,
) -> Drawn:
    """Return completions of each policy, with their rewards and all log-ratios."""
    rewards, log_ratios = [], []
    for j, policy in enumerate(policies):
        pulls = bandit.pull_all(
            policy,
            jax.random.fold_in(key, j),
            jnp.asarray(prompts),
            count,
            length,
            config.temperature,
        )
        asked = np.asarray(pulls.prompts).reshape(-1, prompts.shape[1])
        written = np.asarray(pulls.completions).reshape(-1, length)
        scores = _read(score_texts, scorer, asked, written)
        ended = (written == END).any(-1)
        shape = len(prompts), count
        rewards.append(np.where(ended, scores, config.penalty).reshape(shape))
        log_probs = [
            _read(completion_log_prob, each, asked, written, config.temperature)
            for each in policies
        ]
        log_ratios.append([(x - log_probs[0]).reshape(shape) for x in log_probs])
    return Drawn(np.array(rewards), np.array(log_ratios).swapaxes(0, 1))


def reward_ceiling(scorer: Reward) -> float:
    """Return a number that no completion's reward exceeds.

    The head of a reward model reads g z + b, where the normalised z has mean 0 and a
    length of at most sqrt(D): r is largest where z points along g head, less its mean.
    """
    if isinstance(scorer, RewardTable):
        return float(np.max(scorer.scores))
    norm, head = scorer.trunk.ln_f, np.asarray(scorer.head, float)
    along = np.asarray(norm.g, float) * head
    reach = np.sqrt(len(head)) * np.linalg.norm(along - along.mean())
    return float(reach + np.asarray(norm.b, float) @ head + float(scorer.bias))


def _optimum(
    drawn: Drawn, kl_weight: float
) -> tuple[Float[np.ndarray, "k"], Parts, Float[np.ndarray, "k"]]:
    """Return J* of each prompt, its parts, and the share of Z in one completion."""
    rewards, log_ratios = drawn
    m, k, _ = rewards.shape
    log_weights = rewards / kl_weight - _log_mixture(log_ratios)
    most = log_weights.max((0, 2), keepdims=True)
    weights = np.exp(log_weights - most)
    partition = weights.mean((0, 2), keepdims=True)
    best = kl_weight * (np.log(partition) + most)[0, :, 0]
    parts = kl_weight * weights / partition / (m * k)
    return best, parts[None], weights.max((0, 2)) / weights.sum((0, 2))


def _log_mixture(log_ratios: Float[np.ndarray, "m m k n"]) -> Samples:
    """Return log(q / pi_ref) of each completion, with q the mean of the policies."""
    return np.logaddexp.reduce(log_ratios, axis=0) - np.log(len(log_ratios))


def _totals(parts: Parts) -> Float[np.ndarray, "k"]:
    """Return for each prompt the sum, over policies, of means over completions."""
    return np.diagonal(parts, axis1=0, axis2=1).mean(1).sum(1)  # from [k, n, m]


def _errors(
    log_ratios: Float[np.ndarray, "m m k n"],
) -> Callable[[Parts], float]:
    """Return a function that gives the standard error of such a sum.

    The variance under each policy is estimated from the completions of all, weighted
    by pi_i / q: what a policy seldom writes, and another one often, counts in full.
    """
    chances = np.exp(log_ratios - _log_mixture(log_ratios))
    chances /= chances.sum((1, 3), keepdims=True)
    n = log_ratios.shape[3]

    def error(parts: Parts) -> float:
        means = (chances * parts).sum((1, 3), keepdims=True)
        return float(np.sqrt(np.sum(chances * (parts - means) ** 2) / n))

    return error


def _read(
    function: Callable[..., Float[Array, "n"]],
    model: Transformer | Reward,
    prompts: Int[np.ndarray, "N P"],
    completions: Int[np.ndarray, "N C"],
    *options: float,
) -> Float[np.ndarray, "N"]:
    """Return a function of many texts, ROWS of them at a time, in float64."""
    compiled, found = jax.jit(function), []
    for first in range(0, len(prompts), ROWS):
        texts = [x[first : first + ROWS] for x in (prompts, completions)]
        found.append(np.asarray(compiled(model, *texts, *options), np.float64))
    return np.concatenate(found)
