"""The end of GRPO where k3 is charged for each token, solved prefix by prefix.

    pi(a|s)  =  beta pi_ref(a|s) / ( c_s - q(s, a) ),     q(s, a) = E[ A(r) | s, a ]

`groups.py` has the fixed point for a price on whole completions. The loss of `grpo.py`
charges k3 for each token instead. At which policy is its expected update 0? Let s be a
prefix, a the next token, w(y) the weight of each token of a completion y, and A(r) the
mean advantage of a completion that earns r, over the others of its group. For k3 with
the completions held fixed, grad k3 = (1 - pi_ref / pi) grad log pi. So at the policy
that wrote the completions, the expected update is

    sum_s d(s) sum_a pi(a|s) B(s, a) grad log pi(a|s)

    B(s, a)  =  E[ w A ]  -  beta E[ w ] ( 1 - pi_ref(a|s) / pi(a|s) )

d(s) is the probability that the policy itself writes s, and both means are over what it
writes after s and a. A table has its own logits for each prefix: the update is 0 where
B is equal for all tokens of a prefix. Solved for pi, with u = E[w], this is

    pi(a|s)  =  beta u pi_ref(a|s) / ( c_s - E[ w A ] + beta u )

Where all tokens weigh the same (Dr. GRPO, and DAPO in large batches), it is the first
equation. No price is in q: a token pays for itself, and not for the prefixes to which
it leads, because d(s) is not differentiated. So this update is the gradient of no
objective.

The advantages of completions are given. So the prefixes are solved from the longest to
the shortest. A depends on the policy (`groups.mean_advantages`): it is guessed, and the
solution gives the next guess. Without the division, and with it in large groups, A is
exact. For small groups it is a mean over drawn ones, an estimate.

The clip is left out (it does nothing where pi wrote the batch), and so are the weights
of dynamic sampling.

Source: derived here, with grad k3 as in Schulman (2020), "Approximating KL divergence",
and Shao et al. (2024), eqs. 3-4; Vojnovic & Yun (2025) for whole completions.
Shapes: k prompts, E completions that end, M that are cut off, Y = E + 1, with one for
all that are cut off; W words, N prefixes of one length.
"""

import numpy as np
from jaxtyping import Float

from lm_bandit.oracle.exact import LogProbs, Problem
from lm_bandit.oracle.groups import mean_advantages, reverse_kl_ratios

GROUPS = 2000  # that are drawn to find A, where they are small
STEP = 0.7  # towards the next guess of A
ROUNDS, SETTLED = 80, 1e-9  # of guessing A; a change that is small enough
DRAWN_ROUNDS = 20  # where A is an estimate

Advantages = Float[np.ndarray, "k Y"]
Level = Float[np.ndarray, "k N"]  # a number for each prefix of one length
Choices = Float[np.ndarray, "k N choices"]  # and for each token after it


def fixed_point_by_prefix(
    problem: Problem,
    divide_by_deviation: bool = True,
    sequence_mean: bool = True,
    size: int | None = None,
    rng: np.random.Generator | None = None,
) -> LogProbs:
    """Return the policy at which the expected update of GRPO's loss is 0.

    Source: derived above.

    Args:
        problem: the reference, the rewards and beta; every completion that is cut off
            has a column of its own.
        divide_by_deviation: whether advantages are divided by it, as in GRPO.
        sequence_mean: whether a token weighs 1 / the length of its completion, as in
            GRPO; otherwise all tokens weigh the same.
        size: n, the completions of a group; by default many.
        rng: draws groups of n, if advantages are divided; by default n is large there.
    """
    reference, (prompts, num_ended) = problem.reference, problem.learned.shape
    words = 1 + (reference.cut_off.shape[1] - 1) // num_ended  # E (W - 1) = M - 1
    # All words at which a completion is cut off earn the same: one stands for them.
    cut_off = np.exp(reference.cut_off).reshape(prompts, -1, words).sum(-1)
    chances = LogProbs(np.exp(reference.ended), cut_off)
    penalties = np.full((prompts, 1), problem.penalty)
    rewards = np.hstack([problem.learned, penalties])
    draws = None if rng is None or size is None else rng.random((GROUPS, size - 1))

    def guess_at(ratios: LogProbs) -> Advantages:
        ended, cut_off = map(np.multiply, chances, ratios)
        probs = np.column_stack([ended, cut_off.sum(1)])
        return mean_advantages(rewards, probs, divide_by_deviation, size, draws)

    ratios = LogProbs(*map(np.ones_like, chances))
    advantages = guess_at(ratios)
    for _ in range(ROUNDS if draws is None else DRAWN_ROUNDS):
        ratios = _solved(chances, problem.kl_weight, advantages, words, sequence_mean)
        guess = guess_at(ratios)
        if np.all(np.abs(guess - advantages) < SETTLED):
            break
        # A part of the old guess keeps the guesses from swinging to and fro.
        advantages += STEP * (guess - advantages)
    log_ratios = np.log(ratios.ended), np.repeat(np.log(ratios.cut_off), words, axis=1)
    return LogProbs(*map(np.add, reference, log_ratios))


def _solved(
    chances: LogProbs,
    kl_weight: float,
    advantages: Advantages,
    words: int,
    sequence_mean: bool,
) -> LogProbs:
    """Return pi / pi_ref of each completion for these advantages.

    Args:
        chances: pi_ref, with one column for each prefix after which all is cut off.
        kl_weight: beta.
        advantages: of completions that end; the last is that of all others.
        words: W.
        sequence_mean: whether a token weighs 1 / the length of its completion.
    """
    firsts = [0]  # the number of the first prefix of each length
    while firsts[-1] < chances.ended.shape[1]:
        firsts.append(words * firsts[-1] + 1)
    longest = len(firsts) - 1
    written = chances.cut_off
    weight = np.full_like(written, 1.0 / longest if sequence_mean else 1.0)
    credit = weight * advantages[:, -1:]
    levels = []
    for depth in reversed(range(longest)):
        level = slice(firsts[depth], firsts[depth + 1])
        ends = np.full_like(chances.ended[:, level], 1.0)
        if sequence_mean:
            ends /= depth + 1
        weights = _choices(ends, weight)
        credits = _choices(ends * advantages[:, level], credit)
        tokens = _choices(chances.ended[:, level], written)
        written = tokens.sum(-1)
        given = _given_prefix(tokens, written[..., None])
        prices = kl_weight * weights
        ratios = reverse_kl_ratios(given, credits - prices, prices)
        weight, credit = (np.sum(given * ratios * x, -1) for x in (weights, credits))
        levels.append(ratios)
    return _along_paths(levels[::-1])


def _along_paths(levels: list[Float[np.ndarray, "k _ _"]]) -> LogProbs:
    """Return the products of numbers of tokens along the path to each completion."""
    ended, before = [], np.ones(levels[0].shape[:2])
    for level in levels:
        ended.append(before * level[..., 0])
        before = (before[..., None] * level[..., 1:]).reshape(len(before), -1)
    return LogProbs(np.concatenate(ended, axis=1), before)


def _choices(end: Level, longer: Float[np.ndarray, "k longer"]) -> Choices:
    """Return the numbers of the end of text, and of each word, after each prefix."""
    return np.concatenate([end[..., None], longer.reshape(*end.shape, -1)], axis=-1)


def _given_prefix(tokens: Choices, written: Float[np.ndarray, "k N 1"]) -> Choices:
    """Return pi_ref(a|s); equal numbers after a prefix that pi_ref never writes."""
    even = np.full_like(tokens, 1.0 / tokens.shape[-1])
    return np.divide(tokens, written, out=even, where=written > 0.0)
