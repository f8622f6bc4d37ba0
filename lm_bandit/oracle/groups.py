"""Groups of completions, exactly: how much a prompt counts, and where GRPO ends.

    weight of a prompt    w_n(p)  =  E[ sd(q) ] / (p (1 - p)),   n q ~ Binomial(n, p)
    GRPO's fixed point    pi(y)  =  b pi_ref(y) / ( c - r(y) ),    b = beta sd_pi(r)

The first is for rewards of 0 and 1 that a program computes: n completions of a prompt
are right with probability p each, and sd(q) = sqrt(q (1 - q)) is the deviation of their
rewards. The expected update of the group is w times the gradient of p. The second is
where the expected update of GRPO is 0, with large groups and a completion as one
action:

    ( r - E[r] ) / sd_pi(r)  =  beta ( 1 - pi_ref / pi )      for every completion

At pi* instead, r - beta log(pi / pi_ref) is equal for all. Two things differ. beta is
multiplied by the deviation of the rewards. And k3 in the loss has the gradient of
KL(pi_ref || pi), so that pi / pi_ref is b / (c - r) in place of exp(r / beta) / Z.

KL(pi_ref || pi) is a mean over the completions of the reference. One that pi_ref hardly
ever writes has almost no weight in it, so pi may give it a large probability at a small
price. So in the pocket world most of the fixed point lies on completions that no run
ever draws; `exact.within_reach` leaves these out.

Small groups differ from large ones where the deviation divides (`mean_advantages`). And
the loss of `grpo.py` charges k3 for each token: `prefixes.py` has the end of that.

Source: Shao et al. (2024), eqs. 3-4; Vojnovic & Yun (2025), "What is the alignment
objective of GRPO?", for the fixed point; Liu et al. (2025), section 3.1, for the
weight.
Shapes: k prompts, Y = E + 1: completions that end, and one for all that are cut off.
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from lm_bandit.oracle.exact import LogProbs, Problem, merge_cut_off

Logs = Float[np.ndarray, "k"]  # of c - max r, for each prompt
HALVINGS = 60  # of an interval; float64 has 53 binary digits
PLACES = 100  # rewards of equal distance, and as many quantiles
NEWTON_STEPS, PRECISION = 50, 1e-13  # usually 5 to 8 steps; relative


class FixedPoint(NamedTuple):
    """A policy that GRPO does not change in expectation."""

    policy: LogProbs
    kl_weights: Float[np.ndarray, "k"]  # b, the beta that each prompt has in effect


def prompt_weight(
    success: Float[np.ndarray, "*p"], size: int, divide_by_deviation: bool
) -> Float[np.ndarray, "*p"]:
    """Return w: the expected update of a group is w times the gradient of p.

        E[ (1/n) sum_i A_i grad log pi(y_i) ]  =  w grad p,      r of 0 or 1

    With A = r - mean it is (n - 1) / n for every prompt. With A = (r - mean) / sd it
    depends on p, and tends to 1 / sqrt(p (1 - p)) for large groups. A sum over the
    n + 1 numbers of right completions gives it exactly.

    Source: Liu et al. (2025), section 3.1, who name it the difficulty bias.

    Args:
        success: p, the probability that a completion is right, strictly inside (0, 1).
        size: n, the completions of a group.
        divide_by_deviation: whether advantages are divided by it, as in GRPO.
    """
    right = np.arange(size + 1)
    share = right / size
    ways = np.array([comb(size, j) for j in right], float)
    p = np.asarray(success, float)[..., None]
    probs = ways * p**right * (1.0 - p) ** (size - right)
    variance = share * (1.0 - share)
    spread = np.sqrt(variance) if divide_by_deviation else variance
    return np.sum(probs * spread, axis=-1) / (p * (1.0 - p))[..., 0]


def grpo_fixed_point(
    problem: Problem, divide_by_deviation: bool = True, size: int | None = None
) -> FixedPoint:
    """Return the policy at which the expected update of GRPO is 0.

    Without the division by the deviation this is the fixed point of Dr. GRPO with the
    same penalty: b is beta, or beta n / (n - 1) in groups of n, whose mean contains the
    completion itself. Source: Vojnovic & Yun (2025).

    Args:
        problem: the reference, the rewards and beta.
        divide_by_deviation: whether advantages are divided by it, as in GRPO.
        size: n, for which b is exact without the division; by default many. With the
            division groups are taken as large.
    """
    if not divide_by_deviation:
        grows = 1.0 if size is None else size / (size - 1)
        kl_weights = np.full(len(problem.learned), problem.kl_weight * grows)
        return FixedPoint(reverse_kl_optimum(problem, kl_weights), kl_weights)
    rewards, reference = _rewards(problem), _reference(problem)
    below = rewards.max(1, keepdims=True) - rewards  # of the best completion
    best = np.sum(reference * (below == 0), axis=1)  # probability
    widest = 0.5 * problem.kl_weight * np.ptp(rewards, axis=1)  # sd <= range / 2
    low, high = np.log(1e-12 * widest * best), np.log(widest)  # of c - max r

    def kl_weights_at(gap: Logs) -> Float[np.ndarray, "k"]:
        """Return b, which makes the sum of the policy 1."""
        return 1.0 / np.sum(reference / (np.exp(gap)[:, None] + below), axis=1)

    def is_too_low(gap: Logs) -> Bool[np.ndarray, "k"]:
        kl_weights = kl_weights_at(gap)
        probs = kl_weights[:, None] * reference / (np.exp(gap)[:, None] + below)
        mean = np.sum(probs * below, axis=1, keepdims=True)
        deviation = np.sqrt(np.sum(probs * (below - mean) ** 2, axis=1))
        return problem.kl_weight * deviation > kl_weights

    kl_weights = kl_weights_at(_halve(low, high, is_too_low))
    return FixedPoint(reverse_kl_optimum(problem, kl_weights), kl_weights)


def reverse_kl_optimum(
    problem: Problem, kl_weights: Float[np.ndarray, "k"]
) -> LogProbs:
    """Return the policy that maximises E[r] - b KL(pi_ref || pi), prompt by prompt.

        pi = b pi_ref / (c - r),     with c > max r so that the sum is 1

    Source: Vojnovic & Yun (2025); Grill et al. (2020), section 3, for the same form.
    """
    ratios = reverse_kl_ratios(
        _reference(problem), _rewards(problem), np.asarray(kl_weights, float)[:, None]
    )
    log_ratios, reference = np.log(ratios), problem.reference
    return LogProbs(
        reference.ended + log_ratios[:, :-1], reference.cut_off + log_ratios[:, -1:]
    )


def reverse_kl_ratios(
    reference: Float[np.ndarray, "*rows n"],
    gains: Float[np.ndarray, "*rows n"],
    prices: Float[np.ndarray, "*rows #n"],
) -> Float[np.ndarray, "*rows n"]:
    """Return pi / pi_ref = price / (c - gain), with the c that makes the sum of pi 1.

    Newton's method looks for the c at which 1 / sum(pi) is 1. This is a concave
    function of c. At the start, the best choices alone have probability 1, so the sum
    is at least 1; from there c only rises, and stops at the root.
    """
    possible = np.where(reference > 0.0, gains, -np.inf)
    below = np.maximum(possible.max(-1, keepdims=True) - gains, 0.0)
    weights = prices * reference
    gap = np.sum(weights * (below == 0.0), axis=-1, keepdims=True)  # c - the best gain
    for _ in range(NEWTON_STEPS):
        probs = weights / (gap + below)
        total = probs.sum(-1, keepdims=True)
        slope = np.sum(probs / (gap + below), axis=-1, keepdims=True)
        step = total * (total - 1.0) / slope
        gap = gap + step
        if np.all(np.abs(step) <= PRECISION * gap):
            break
    return prices / (gap + below)


def mean_advantages(
    rewards: Float[np.ndarray, "k Y"],
    probs: Float[np.ndarray, "k Y"],
    divide_by_deviation: bool,
    size: int | None = None,
    draws: Float[np.ndarray, "groups others"] | None = None,
) -> Float[np.ndarray, "k Y"]:
    """Return the mean advantage of each completion, over the others of its group.

        not divided      (r - E[r]) (n - 1) / n
        large groups     (r - E[r]) / sd(r)
        groups of n      E[ (r - mean) / (std + 1e-4) ],   the mean of drawn groups

    A rare and very bad reward makes sd(r) large, but most small groups do not hold it:
    their advantages are larger, as if beta were smaller.
    Source: Shao et al. (2024), section 4.1.2.

    Args:
        rewards: of all completions; one stands for those that are cut off.
        probs: of the policy.
        divide_by_deviation: whether advantages are divided by it, as in GRPO.
        size: n, for advantages that are not divided; by default many.
        draws: uniform numbers that draw the n - 1 others, for those that are divided.
    """
    centred = rewards - np.sum(probs * rewards, axis=1, keepdims=True)
    if not divide_by_deviation:
        return centred if size is None else centred * (size - 1) / size
    if draws is None:
        return centred / np.sqrt(np.sum(probs * centred**2, axis=1, keepdims=True))
    rows = zip(rewards, probs, strict=True)
    return np.stack([_in_drawn_groups(*row, draws) for row in rows])


def _in_drawn_groups(
    rewards: Float[np.ndarray, "Y"],
    probs: Float[np.ndarray, "Y"],
    draws: Float[np.ndarray, "groups others"],
) -> Float[np.ndarray, "Y"]:
    """Return the mean of (r - mean) / (std + 1e-4); between PLACES it is a line."""
    order = np.argsort(rewards)
    up_to = np.cumsum(probs[order])

    def quantile(shares: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        return rewards[order][np.searchsorted(up_to, shares * up_to[-1])]

    others = quantile(draws)
    likely = quantile((np.arange(PLACES) + 0.5) / PLACES)
    places = np.union1d(likely, np.linspace(rewards.min(), rewards.max(), PLACES))
    size = draws.shape[1] + 1
    mean = (others.sum(1, keepdims=True) + places) / size
    square = (np.sum(others**2, axis=1, keepdims=True) + places**2) / size
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    advantages = np.mean((places - mean) / (deviation + 1e-4), axis=0)
    return np.interp(rewards, places, advantages)


def _halve(
    low: Logs, high: Logs, is_too_low: Callable[[Logs], Bool[np.ndarray, "k"]]
) -> Logs:
    """Return, for each prompt, the number between low and high that is just enough."""
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        below = is_too_low(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def _rewards(problem: Problem) -> Float[np.ndarray, "k Y"]:
    """Return the learned rewards, and in the last column the penalty."""
    penalties = np.full((len(problem.learned), 1), problem.penalty)
    return np.hstack([problem.learned, penalties])


def _reference(problem: Problem) -> Float[np.ndarray, "k Y"]:
    """Return pi_ref, with one column for all completions that are cut off."""
    return np.exp(np.hstack(merge_cut_off(problem.reference)))
