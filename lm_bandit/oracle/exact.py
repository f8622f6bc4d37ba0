"""The oracle: every completion of every prompt, so that nothing need be estimated.

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


class Value(NamedTuple):
    """What a policy is worth, exactly; means over the prompts."""

    gold: float  # E[gold reward], the penalty where a completion does not end
    learned: float  # E[learned reward], likewise
    kl: float  # KL(pi || pi_ref), in nats per completion
    objective: float  # J = learned - beta kl


class Problem(NamedTuple):
    """Everything that the value of a policy depends on."""

    reference: LogProbs  # pi_ref
    gold: Float[np.ndarray, "k E"]
    learned: Float[np.ndarray, "k E"]
    kl_weight: float  # beta
    penalty: float  # instead of either score where a completion does not end


def policy_value(problem: Problem, policy: LogProbs) -> Value:
    """E[gold], E[learned], KL(pi || pi_ref) and J of a policy."""
    probs = LogProbs(*map(np.exp, policy))
    penalties = problem.penalty * probs.cut_off.sum(-1)
    gold = np.mean(np.sum(probs.ended * problem.gold, axis=-1) + penalties)
    learned = np.mean(np.sum(probs.ended * problem.learned, axis=-1) + penalties)
    divergence = kl(policy, problem.reference)
    objective = learned - problem.kl_weight * divergence
    return Value(float(gold), float(learned), divergence, float(objective))


def kl(policy: LogProbs, other: LogProbs) -> float:
    """KL(policy || other) in nats per completion, the mean over the prompts.

    `kl(policy, reference)` is what RLHF charges for: it punishes what the reference
    would not say. `reverse_kl` punishes what the policy no longer says.
    """
    pairs = zip(policy, other, strict=True)
    return float(np.mean(sum(np.sum(np.exp(p) * (p - q), axis=-1) for p, q in pairs)))


def reverse_kl(policy: LogProbs, reference: LogProbs) -> float:
    """KL(pi_ref || pi), the other way round."""
    return kl(reference, policy)


def entropy(policy: LogProbs) -> float:
    """H(pi) = - sum_y pi(y|x) log pi(y|x), in nats; the mean over the prompts."""
    return float(-np.mean(sum(np.sum(np.exp(p) * p, axis=-1) for p in policy)))


def gap(problem: Problem, policy: LogProbs) -> float:
    """J* - J(pi) = beta KL(pi || pi*): what is left to gain, and never negative."""
    return problem.kl_weight * kl(policy, optimum(problem))


def optimum(problem: Problem) -> LogProbs:
    """pi* = pi_ref exp(r / beta) / Z, the best policy there is for this objective."""
    log_z = log_partition(problem)[:, None]
    ended = problem.reference.ended + problem.learned / problem.kl_weight
    cut_off = problem.reference.cut_off + problem.penalty / problem.kl_weight
    return LogProbs(ended - log_z, cut_off - log_z)


def optimal_objective(problem: Problem) -> float:
    """J* = E_x[beta log Z(x)]."""
    return float(problem.kl_weight * log_partition(problem).mean())


def log_partition(problem: Problem) -> Float[np.ndarray, "k"]:
    """Log Z(x) = log sum_y pi_ref(y|x) exp(r(x, y) / beta)."""
    ended = problem.reference.ended + problem.learned / problem.kl_weight
    cut_off = problem.reference.cut_off + problem.penalty / problem.kl_weight
    return np.logaddexp(_log_sum_exp(ended), _log_sum_exp(cut_off))


def frontier(problem: Problem, kl_weights: Float[np.ndarray, "n"]) -> list[Value]:
    """The best that can be had: the value of the optimum for each beta."""
    merged = problem._replace(reference=merge_cut_off(problem.reference))
    problems = [merged._replace(kl_weight=float(beta)) for beta in kl_weights]
    return [policy_value(each, optimum(each)) for each in problems]


def best_of_n(problem: Problem, n: int) -> LogProbs:
    """The policy that draws n completions of pi_ref and keeps the best learned reward.

        pi_n(y) = pi_ref(y) [ F(r)^n - F_<(r)^n ] / [ F(r) - F_<(r) ],   r = r(x, y)

    F(r) and F_<(r) are the chances that one draw earns at most, and less than, r. Those
    that tie, as all that are cut off do, share their chance as pi_ref does.
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
    """KL(pi_n || pi_ref) <= log n - (n - 1) / n, equal only for atomless rewards.

    A finite set of completions always has some: there it is less.
    Source: Stiennon et al. (2020), appendix; Beirami et al. (2024), who prove it.
    """
    return float(np.log(n) - (n - 1) / n)


def merge_cut_off(policy: LogProbs) -> LogProbs:
    """All completions that are cut off as one, [k, 1]: they earn the same penalty.

    The optimum scales them all alike, so its value stays what it was.
    """
    return policy._replace(cut_off=_log_sum_exp(policy.cut_off)[:, None])


def _log_sum_exp(x):
    top = x.max(-1)
    return top + np.log(np.exp(x - top[:, None]).sum(-1))
