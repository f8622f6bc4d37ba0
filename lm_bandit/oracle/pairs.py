"""The end of DPO on a finite set of pairs, with a table as the policy.

    loss  =  mean over pairs of  - p log sigmoid(h(y) - h(y')) - (1 - p) log(...),
    h     =  beta log(pi / pi_ref),      p  =  sigmoid(r(y) - r(y'))

A pair fixes one difference: at the minimum h(y) - h(y') = r(y) - r(y'). Completions
that pairs connect, directly or through others, form an island. Inside it every
difference is right; between islands, and for completions in no pair, the loss says
nothing, and its minimum is not unique. A table that follows the gradient from pi_ref
ends at one of these minima: each pair raises one logit by what it takes from the other,
so the mean change of an island is 0.

    logit  =  log pi_ref + ( r - mean of r over the island ) / beta

With pairs without end there is one island, and this is pi*. If a pair is answered by a
draw instead of its probability p, an island in which nobody ever loses to someone below
has no minimum: its differences grow without end.

Source: Rafailov et al. (2023), section 4; Hunter (2004), section 2, for connected
comparisons.
Shapes: k prompts, n pairs of each, Y = E + M completions: all that end, and the others.
"""

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lm_bandit.oracle.exact import Problem, log_sum_exp
from lm_bandit.oracle.trie import LogProbs


def fitted_to_pairs(problem: Problem, pairs: Int[np.ndarray, "k n 2"]) -> LogProbs:
    """Return the table at which DPO's loss on these pairs is least, nearest to pi_ref.

    Each pair holds the numbers of two completions: first those that end, then those
    that are cut off. Source: Rafailov et al. (2023), section 4.
    """
    num_ended = problem.learned.shape[1]
    ended, cut_off = map(np.copy, problem.reference)
    for i, drawn in enumerate(pairs):
        seen, numbers = np.unique(drawn, return_inverse=True)
        first, second = numbers.reshape(drawn.shape).T
        links = coo_array((np.ones(len(first)), (first, second)), [len(seen)] * 2)
        _, island = connected_components(links, directed=False)
        is_cut_off = seen >= num_ended
        rewards = np.full(len(seen), problem.penalty)
        rewards[~is_cut_off] = problem.learned[i, seen[~is_cut_off]]
        mean = np.bincount(island, rewards) / np.bincount(island)
        changes = (rewards - mean[island]) / problem.kl_weight
        ended[i, seen[~is_cut_off]] += changes[~is_cut_off]
        cut_off[i, seen[is_cut_off] - num_ended] += changes[is_cut_off]
    total = np.logaddexp(log_sum_exp(ended), log_sum_exp(cut_off))[:, None]
    return LogProbs(ended - total, cut_off - total)


def drawn_pairs(
    problem: Problem, count: int, rng: np.random.Generator
) -> Int[np.ndarray, "k n 2"]:
    """Return `count` pairs of completions of each prompt, drawn from the reference.

    Source: Rafailov et al. (2023), section 4, "DPO outline".
    """
    drawn = []
    for i in range(len(problem.learned)):
        probs = np.exp(np.concatenate([each[i] for each in problem.reference]))
        drawn.append(rng.choice(len(probs), (count, 2), p=probs / probs.sum()))
    return np.array(drawn)
