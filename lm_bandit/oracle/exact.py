"""Exact values: sums over every completion of every prompt, without estimation.

    J(pi)  = E_x[ sum_y pi(y|x) ( r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ) ]
    pi*    = pi_ref(y|x) exp(r(x, y) / beta) / Z(x)
    J*     = E_x[ beta log Z(x) ],   Z(x) = sum_y pi_ref(y|x) exp(r(x, y) / beta)

    J* - J(pi)  =  beta KL(pi || pi*)

The log-probabilities come from the trie of all completions (`trie.py`). Completions
that end are scored one by one; the others are cut off and share one penalty. Prompts
are equally likely. Sums are in float64.

Source: Ziegler et al. (2019), eq. 2; Korbak et al. (2022) and Rafailov et al. (2023),
eqs. 4-5, for the optimum; Stiennon et al. (2020), appendix, for best-of-n.
Shapes: k prompts, E completions that end, M that are cut off.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.oracle.trie import LogProbs

NEVER = -1e9  # log-probability of a completion that is never written


class Value(NamedTuple):
    """The exact value of a policy; means over the prompts."""

    gold: float  # E[gold reward], the penalty where a completion does not end
    learned: float  # E[learned reward], likewise
    kl: float  # KL(pi || pi_ref), in nats per completion
    objective: float  # J = learned - beta kl


class Problem(NamedTuple):
    """Everything that the value of a policy depends on."""

    reference: LogProbs  # pi_ref
    gold: Float[np.ndarray, "k E"]  # what people think of each completion that ends
    learned: Float[np.ndarray, "k E"]  # what the reward model thinks: r(x, y)
    kl_weight: float  # beta
    penalty: float  # instead of either score where a completion does not end


def policy_value(problem: Problem, policy: LogProbs) -> Value:
    """Return E[gold], E[learned], KL(pi || pi_ref) and J of a policy.

    Source: Ziegler et al. (2019), eq. 2.
    """
    probs = LogProbs(*map(np.exp, policy))
    penalties = problem.penalty * probs.cut_off.sum(-1)
    gold = np.mean(np.sum(probs.ended * problem.gold, axis=-1) + penalties)
    learned = np.mean(np.sum(probs.ended * problem.learned, axis=-1) + penalties)
    divergence = kl(policy, problem.reference)
    objective = learned - problem.kl_weight * divergence
    return Value(float(gold), float(learned), divergence, float(objective))


def kl(policy: LogProbs, other: LogProbs) -> float:
    """Return KL(policy || other) in nats per completion, the mean over the prompts.

    `kl(policy, reference)` is the divergence in J: it punishes completions that the
    reference would not write. `kl(reference, policy)` punishes those that the policy
    lost.
    Source: Kullback & Leibler (1951), eq. 2.4.
    """
    pairs = zip(policy, other, strict=True)
    return float(np.mean(sum(np.sum(np.exp(p) * (p - q), axis=-1) for p, q in pairs)))


def entropy(policy: LogProbs) -> float:
    """Return H(pi) = - sum_y pi(y|x) log pi(y|x), in nats; the mean over the prompts.

    Source: Shannon (1948), section 6.
    """
    return float(-np.mean(sum(np.sum(np.exp(p) * p, axis=-1) for p in policy)))


def gap(problem: Problem, policy: LogProbs) -> float:
    """Return J* - J(pi) = beta KL(pi || pi*), which is never negative.

    Source: Korbak et al. (2022), whose objective this is, up to its sign.
    """
    return problem.kl_weight * kl(policy, optimum(problem))


def optimum(problem: Problem) -> LogProbs:
    """Return pi* = pi_ref exp(r / beta) / Z, the policy that maximises J.

    Source: Korbak et al. (2022); Rafailov et al. (2023), eq. 4.
    """
    log_z = log_partition(problem)[:, None]
    ended = problem.reference.ended + problem.learned / problem.kl_weight
    cut_off = problem.reference.cut_off + problem.penalty / problem.kl_weight
    return LogProbs(ended - log_z, cut_off - log_z)


def optimal_objective(problem: Problem) -> float:
    """Return J* = E_x[beta log Z(x)]. Source: Levine (2018), section 2."""
    return float(problem.kl_weight * log_partition(problem).mean())


def log_partition(problem: Problem) -> Float[np.ndarray, "k"]:
    """Return log Z(x) = log sum_y pi_ref(y|x) exp(r(x, y) / beta) of each prompt.

    Source: Rafailov et al. (2023), below eq. 4.
    """
    ended = problem.reference.ended + problem.learned / problem.kl_weight
    cut_off = problem.reference.cut_off + problem.penalty / problem.kl_weight
    return np.logaddexp(log_sum_exp(ended), log_sum_exp(cut_off))


def frontier(problem: Problem, kl_weights: Float[np.ndarray, "n"]) -> list[Value]:
    """Return the value of the optimum for each beta: no policy lies above these.

    Source: Gao et al. (2022) for the plane of reward and KL.
    """
    merged = problem._replace(reference=merge_cut_off(problem.reference))
    problems = [merged._replace(kl_weight=float(beta)) for beta in kl_weights]
    return [policy_value(each, optimum(each)) for each in problems]


def best_of_n(problem: Problem, n: int) -> LogProbs:
    """Return the policy that draws n completions and keeps the best by learned reward.

        pi_n(y) = pi_ref(y) [ F(r)^n - F_<(r)^n ] / [ F(r) - F_<(r) ],   r = r(x, y)

    F(r) and F_<(r) are the probabilities that one draw of pi_ref earns at most r, and
    less than r. Completions that tie, as all that are cut off do, share their
    probability as pi_ref does.
    Source: Stiennon et al. (2020), appendix; Beirami et al. (2024), section 3.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    ended, cut_off = map(np.copy, problem.reference)
    merged = merge_cut_off(problem.reference)
    for i, learned in enumerate(problem.learned):
        scores = np.append(learned, problem.penalty)
        _, level = np.unique(scores, return_inverse=True)  # from worst to best
        log_mass = np.full(level.max() + 1, -np.inf)  # log(F - F_<)
        np.logaddexp.at(log_mass, level, np.append(merged.ended[i], merged.cut_off[i]))
        log_up_to = np.logaddexp.accumulate(log_mass)  # log F
        # F^n - F_<^n = F^n [1 - (1 - share)^n], which loses no digits. A share that is
        # too small for a float64 gains n F^(n-1), as any small one does.
        share = np.exp(log_mass - log_up_to)
        share = np.clip(share, np.finfo(float).tiny, 1.0)
        with np.errstate(divide="ignore"):
            won = -np.expm1(n * np.log1p(-share)) / share
        gains = ((n - 1) * (log_up_to - log_up_to[-1]) + np.log(won))[level]
        ended[i] += gains[:-1]
        cut_off[i] += gains[-1]
    return LogProbs(ended, cut_off)


def best_of_n_kl_bound(n: int) -> float:
    """Return log n - (n - 1) / n, which KL(pi_n || pi_ref) never exceeds.

    It is reached only where no completion has a probability of its own; a finite set
    of completions always stays below.
    Source: Stiennon et al. (2020), appendix; Beirami et al. (2024), who prove it.
    """
    return float(np.log(n) - (n - 1) / n)


def merge_cut_off(policy: LogProbs) -> LogProbs:
    """Merge all completions that are cut off into one, [k, 1]: they earn the same.

    The optimum scales them all alike, so that its value stays the same.
    """
    return policy._replace(cut_off=log_sum_exp(policy.cut_off)[:, None])


def within_reach(problem: Problem, least: float) -> Problem:
    """Return the problem without completions to which pi_ref gives less than `least`.

    They get probability 0, and the penalty as a reward, so that none is the best. All
    that are cut off stay.
    """
    ended, cut_off = problem.reference
    is_likely = ended >= np.log(least)
    ended = np.where(is_likely, ended, NEVER)
    total = np.logaddexp(log_sum_exp(ended), log_sum_exp(cut_off))[:, None]
    return problem._replace(
        reference=LogProbs(ended - total, cut_off - total),
        learned=np.where(is_likely, problem.learned, problem.penalty),
    )


def log_sum_exp(x: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k"]:
    """Return log sum exp of each row, without overflow."""
    top = x.max(-1)
    return top + np.log(np.exp(x - top[:, None]).sum(-1))
