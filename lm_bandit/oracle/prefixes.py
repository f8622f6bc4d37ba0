"""The end of GRPO where k3 is charged for each token, solved prefix by prefix.

    pi(a|s)  =  b pi_ref(a|s) / ( c_s - q(s, a) ),      b = beta sd_pi(r)

`groups.py` has the fixed point for a price on whole completions. The loss of `grpo.py`
charges k3 for each token instead. At which policy is its expected update 0? Let s be a
prefix, a the next token, and w(y) the weight of each token of a completion y. For k3
with the completions held fixed, grad k3 = (1 - pi_ref / pi) grad log pi. So at the
policy that wrote the completions, the expected update is

    sum_s d(s) sum_a pi(a|s) B(s, a) grad log pi(a|s)

    B(s, a)  =  E[ w (r - m) / sd ]  -  beta E[ w ] ( 1 - pi_ref(a|s) / pi(a|s) )

d(s) is the probability that the policy itself writes s, both means are over what it
writes after s and a, and m and sd are the mean and the deviation of its rewards. A
table has its own logits for each prefix: the update is 0 where B is equal for all
tokens of a prefix. Solved for pi, with u = E[w] and b = beta sd, this is

    pi(a|s)  =  b u pi_ref(a|s) / ( c_s - E[ w (r - m) ] + b u )

Where all tokens weigh the same (Dr. GRPO, and DAPO in large batches), it is the first
equation, and q(s, a) is the expected reward after s and a. No price is in q: a token
pays for itself, and not for the prefixes to which it leads, because d(s) is not
differentiated. So this update is the gradient of no objective.

After the last token the rewards are known. So the prefixes are solved from the longest
to the shortest. m and b depend on the policy: they are guessed, and the solution gives
the next guess.

The clip is left out (it does nothing where pi wrote the batch), and so are the weights
of dynamic sampling. With the division, groups are taken as large.

Source: derived here, with grad k3 as in Schulman (2020), "Approximating KL divergence",
and Shao et al. (2024), eqs. 3-4; Vojnovic & Yun (2025) for whole completions.
Shapes: k prompts, E completions that end, M that are cut off, W words, C tokens, N
prefixes of one length; W^C = M.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.oracle.exact import LogProbs, Problem
from lm_bandit.oracle.groups import FixedPoint, reverse_kl_ratios
from lm_bandit.oracle.trie import completion_log_probs

ROUNDS, SETTLED = 200, 1e-9  # of guessing m and b; a change that is small enough

PerPrompt = Float[np.ndarray, "k"]
Level = Float[np.ndarray, "k N"]  # a number for each prefix of one length
Choices = Float[np.ndarray, "k N choices"]  # and for each token after it


class Outlook(NamedTuple):
    """Means over the completions that a policy writes after a prefix."""

    credit: Float[np.ndarray, "k *N"]  # E[w r]
    weight: Float[np.ndarray, "k *N"]  # u = E[w]
    reward: Float[np.ndarray, "k *N"]  # E[r]
    square: Float[np.ndarray, "k *N"]  # E[r^2]


def fixed_point_by_prefix(
    problem: Problem,
    divide_by_deviation: bool = True,
    sequence_mean: bool = True,
    size: int | None = None,
) -> FixedPoint:
    """Return the policy at which the expected update of GRPO's loss is 0.

    Source: derived above.

    Args:
        problem: the reference, the rewards and beta; every completion that is cut off
            has a column of its own.
        divide_by_deviation: whether advantages are divided by it, as in GRPO.
        sequence_mean: whether a token weighs 1 / the length of its completion, as in
            GRPO; otherwise all tokens weigh the same.
        size: n, if the mean of a group of n contains the completion itself: without the
            division b is beta n / (n - 1). By default groups are large.
    """
    grows = 1.0 if divide_by_deviation or size is None else size / (size - 1)
    kl_weights = np.full(len(problem.learned), problem.kl_weight * grows)
    mean = np.zeros_like(kl_weights)
    for _ in range(ROUNDS):
        ratios, start = _solved(problem, mean, kl_weights, sequence_mean)
        change = np.abs(start.reward - mean)
        mean = start.reward
        if divide_by_deviation:
            deviation = np.sqrt(start.square - mean**2)
            # The geometric mean with the old b keeps the guesses from swinging.
            guess = np.sqrt(kl_weights * problem.kl_weight * deviation)
            change = np.maximum(change, np.abs(guess / kl_weights - 1.0))
            kl_weights = guess
        if np.all(change < SETTLED):
            break
    changes = completion_log_probs(np.log(np.concatenate(ratios, axis=1)))
    ended, cut_off = map(np.add, problem.reference, changes)
    return FixedPoint(LogProbs(ended, cut_off), kl_weights)


def _solved(
    problem: Problem, mean: PerPrompt, kl_weights: PerPrompt, sequence_mean: bool
) -> tuple[list[Choices], Outlook]:
    """Return pi / pi_ref of each token for this m and b, and the outlook at the start.

    The ratios come level by level, short prefixes first.
    """
    reference = problem.reference
    prompts, num_ended = reference.ended.shape
    words = 1 + (reference.cut_off.shape[1] - 1) // num_ended  # E (W - 1) = M - 1
    firsts = [0]  # the number of the first prefix of each level
    while firsts[-1] < num_ended:
        firsts.append(words * firsts[-1] + 1)
    length = len(firsts) - 1

    # All words at which a completion is cut off earn the same: one stands for them.
    written = np.exp(reference.cut_off).reshape(prompts, -1, words).sum(-1)
    after = _outlook(np.full_like(written, problem.penalty), length, sequence_mean)
    found = []
    for depth in reversed(range(length)):
        level = slice(firsts[depth], firsts[depth + 1])
        ended = _outlook(problem.learned[:, level], depth + 1, sequence_mean)
        ahead = Outlook(*map(_choices, ended, after))
        chosen = _choices(np.exp(reference.ended[:, level]), written)
        written = chosen.sum(-1)
        given = _given_prefix(chosen, written[..., None])
        prices = kl_weights[:, None, None] * ahead.weight
        gains = ahead.credit - mean[:, None, None] * ahead.weight - prices
        ratios = reverse_kl_ratios(given, gains, prices)
        after = Outlook(*(np.sum(given * ratios * each, axis=-1) for each in ahead))
        of_words = np.broadcast_to(ratios[..., 1:], (*written.shape, words))
        found.append(np.concatenate([ratios[..., :1], of_words], axis=-1))
    return found[::-1], Outlook(*(each[:, 0] for each in after))


def _outlook(rewards: Level, length: int, sequence_mean: bool) -> Outlook:
    """Return what is known of completions of this length, which have these rewards."""
    weight = np.full_like(rewards, 1.0 / length if sequence_mean else 1.0)
    return Outlook(weight * rewards, weight, rewards, rewards**2)


def _choices(end: Level, longer: Float[np.ndarray, "k longer"]) -> Choices:
    """Return the numbers of the end of text, and of each word, after each prefix."""
    return np.concatenate([end[..., None], longer.reshape(*end.shape, -1)], axis=-1)


def _given_prefix(chosen: Choices, written: Float[np.ndarray, "k N 1"]) -> Choices:
    """Return pi_ref(a|s); equal numbers after a prefix that pi_ref never writes."""
    even = np.full_like(chosen, 1.0 / chosen.shape[-1])
    return np.divide(chosen, written, out=even, where=written > 0.0)
