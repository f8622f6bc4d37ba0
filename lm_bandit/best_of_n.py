"""Best-of-n: no learning at all. Pull n completions of the reference, say the best.

    pi_n(y) = pi_ref(y) / P(r = r(y)) * ( P(r <= r(y))^n - P(r < r(y))^n )

It costs n completions for every answer, for ever, and there is no beta to choose: n
says how far from the reference it goes, KL(pi_n || pi_ref) <= log n - (n - 1) / n.
That is close to the frontier, which is why it is the thing to beat.

Source: Stiennon et al. (2020), section 3.4; Beirami et al. (2024), "Theoretical
guarantees on the best-of-n alignment policy".
"""

import numpy as np

from lm_bandit.exact import LogProbs, Problem, merge_cut_off


def best_of_n(problem: Problem, n: int) -> LogProbs:
    """The policy that pulls n completions of the reference and says the best, exactly.

    Of equals the first is said. Those that are cut off are one completion, as in
    `merge_cut_off`.
    """
    reference = merge_cut_off(problem.reference)
    log_probs = np.hstack(reference)
    scores = np.pad(problem.learned, [(0, 0), (0, 1)], constant_values=problem.penalty)
    rows = [_of_prompt(*row, n) for row in zip(log_probs, scores, strict=True)]
    return LogProbs(np.stack(rows)[:, :-1], np.stack(rows)[:, -1:])


def _of_prompt(log_probs, scores, n):
    _, ties = np.unique(scores, return_inverse=True)
    of_tie = np.bincount(ties, np.exp(log_probs))
    at_most = np.cumsum(of_tie)
    with np.errstate(divide="ignore"):  # of the worst of all, none is below
        below = np.log1p(-of_tie / at_most)  # log of P(r < r(y)) / P(r <= r(y))
    # In logarithms: the rarest are far rarer than rounding.
    log_best = n * np.log(at_most / at_most[-1]) + np.log(-np.expm1(n * below))
    return log_probs + (log_best - np.log(of_tie))[ties]
