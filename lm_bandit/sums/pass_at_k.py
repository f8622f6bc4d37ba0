"""The chance that one of k answers is right: exactly, from samples, and at the optimum.

    pass@k   =  E_x[ 1 - (1 - p(x))^k ],      p(x) = sum_y pi(y|x) r(x, y)
    sampled  =  1 - C(n - c, k) / C(n, k)     c of n answers to a prompt are right
    pi*:  odds of a right answer  =  exp(1 / beta) times those of pi_ref

With a reward of 0 or 1 the optimum is known without a list of completions: it raises
the odds of every prompt by one factor, and leaves the shares within the right answers,
and within the others, as they are. So p* >= p for every prompt, and pass@k of pi* is
never below that of pi_ref, for any k. Where the curve of a tuned policy crosses that of
its reference, training has lost prompts that the optimum keeps.

Source: Chen et al. (2021), section 2.1 and appendix A, for pass@k and its estimate.
Shapes: k prompts, E completions that end.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, logit

from lm_bandit.oracle.trie import LogProbs


def success_probs(
    policy: LogProbs, scores: Float[np.ndarray, "k E"]
) -> Float[np.ndarray, "k"]:
    """Return p(x), the probability of a right answer to each prompt.

    Texts that are cut off are wrong.
    """
    return np.sum(np.exp(policy.ended) * scores, axis=1)


def pass_at_k(
    success: Float[np.ndarray, "k"], tries: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Return E_x[1 - (1 - p(x))^k] for each number of tries, the mean over prompts.

    Source: Chen et al. (2021), section 2.1.
    """
    wrong = np.clip(1.0 - success, 0.0, 1.0)
    return np.mean(1.0 - wrong[:, None] ** tries, axis=0)


def estimated_pass_at_k(
    right: Int[np.ndarray, "*n"], drawn: int, tries: int
) -> Float[np.ndarray, "*n"]:
    """Return 1 - C(n - c, k) / C(n, k): an estimate of 1 - (1 - p)^k without bias.

        C(n - c, k) / C(n, k)  =  prod_{i = 0}^{k - 1} (n - c - i) / (n - i)

    It is the share of the subsets of k answers that hold a right one. The product has
    no large numbers in it. Where fewer than k answers are wrong, a factor is 0.
    Source: Chen et al. (2021), section 2.1 and appendix A.

    Args:
        right: c, the number of right answers, for each prompt.
        drawn: n, the answers that were drawn for each prompt; at least `tries`.
        tries: k.
    """
    wrong = drawn - np.asarray(right)[..., None]
    chosen = np.arange(tries)
    return 1.0 - np.prod((wrong - chosen) / (drawn - chosen), axis=-1)


def optimal_success(
    success: Float[np.ndarray, "*n"], kl_weight: float
) -> Float[np.ndarray, "*n"]:
    """Return p*(x), the chance of a right answer under pi*, from that under pi_ref.

        p*  =  p e / (p e + 1 - p),     e = exp(1 / beta)

    In log-odds that is a sum, which cannot overflow: log-odds* = log-odds + 1 / beta.
    Source: Korbak et al. (2022), for pi*; with a reward of 0 or 1 it sums to this.
    """
    log_odds = logit(success) + 1.0 / kl_weight
    return expit(log_odds)


def crossing(
    base: Float[np.ndarray, "k"],
    tuned: Float[np.ndarray, "k"],
    tries: Int[np.ndarray, "n"],
) -> int | None:
    """Return the first number of tries with which the base solves more; None if none.

    Both are given by the probability of a right answer to each prompt.
    Source: Yue et al. (2025), figure 2.
    """
    is_ahead = pass_at_k(base, tries) > pass_at_k(tuned, tries)
    return int(tries[is_ahead.argmax()]) if is_ahead.any() else None
