"""Large worlds: inexact policy iteration, made fast.  Outside the reading order.

    pi   <-  greedy for v
    v    <-  v + d      where  (I - gamma T_pi) d = T v - v,  solved roughly

As in `mdp.planning.policy_iteration` the policy is improved greedily and then
evaluated, but only roughly: to evaluate exactly a policy that the next round will throw
away is wasted work. It stops on bounds for v* from above and below (see `mdp.bounds`).

The table of outcomes is kept in one of two forms:

- Few outcomes, as on a grid: compiled (`mdp.compiled_table`). The evaluation is by
  BiCGSTAB: a sweep carries news one state further, where a step of BiCGSTAB fits the
  correction to all that is known so far.
- Many outcomes, as in a random world: a sparse matrix of scipy's, and the evaluation is
  by sweeps, since there news is everywhere after a few of them.

Source: Mrkaic (2002), "Policy iteration accelerated with Krylov methods"; Puterman
(1994), section 6.5, for modified policy iteration.
Shapes: S states, A actions, B outcomes per pair.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from mdp.bellman import greedy_policy
from mdp.bounds import bounds_on_error, one_gamma
from mdp.fast.compiled_table import MAX_SWEEPS, compiled
from mdp.model import MDP
from mdp.planning import Solution

# Evaluate until this share of the change is left, or that one if no more than so many
# states changed their action, for then the policy is here to stay.
ROUGHLY, CLOSELY, FEW_CHANGES = 0.05, 1e-6, 10

# After so many rounds evaluate by sweeps, which are slow and sure.
PATIENCE = 40

# Up to so many outcomes in a state it pays to write them all out and compile them.
FEW_OUTCOMES = 64


def solve_large(mdp: MDP, epsilon: float = 1e-6, max_rounds: int = 1000) -> Solution:
    """v* by inexact policy iteration: for worlds with very many states.

        pi(s)  <-  argmax_a q(s, a);    v  <-  roughly (I - gamma T_pi)^{-1} r_pi

    Promises what `value_iteration` promises: if gamma < 1, `converged` means |values -
    v*| <= epsilon / 2 in every state; if gamma = 1, that no value changed by more than
    epsilon in the last backup. `values` are the maxima of `action_values`. `residuals`
    holds the largest change in each round's backup. The first call for a new shape may
    compile for a few seconds.
    """
    _, num_actions, num_outcomes = mdp.probs.shape
    form = compiled if num_actions * num_outcomes <= FEW_OUTCOMES else sparse
    least, most = expected_discounts(mdp)
    residuals, old_actions = [], -1
    with jax.enable_x64(True):
        table, values = form(mdp)
        while True:
            q, best, actions = table.improve(values)
            change = best - values
            shift, error = map(float, bounds_on_error(change, least, most))
            residuals.append(float(abs(change).max()))
            converged = error <= epsilon / 2
            if converged or len(residuals) == max_rounds:
                break
            stays = (actions != old_actions).sum() <= FEW_CHANGES
            share, old_actions = CLOSELY if stays else ROUGHLY, actions
            patient = len(residuals) < PATIENCE
            values = values + table.correction(actions, change, share, patient)
        action_values = np.where(mdp.available, q() + shift, 0.0)
    values = action_values.max(-1, where=mdp.available, initial=-np.inf)
    policy = greedy_policy(mdp, action_values)
    return Solution(values, action_values, policy, np.array(residuals), converged)


def expected_discounts(mdp: MDP) -> tuple[float, float]:
    """The smallest and the largest expected discount of any available pair."""
    gamma = one_gamma(mdp.discounts)
    if gamma is not None:
        return gamma, gamma
    expected = np.einsum("sab,sab->sa", mdp.probs, mdp.discounts)[mdp.available]
    return expected.min(), expected.max()


class SparseTable(NamedTuple):
    """Gamma T as sparse rows of B entries, one row for every pair."""

    weights: Float[np.ndarray, "SA B"]  # times `discount`: probability times discount
    next_states: Int[np.ndarray, "SA B"]
    discount: float
    rewards: Float[np.ndarray, "S A"]  # expected; -inf where unavailable

    def improve(self, values: Float[np.ndarray, "S"]):
        """One backup: q, the best of it, and the first action that has it."""
        expected = self.rows(self.weights, self.next_states) @ (self.discount * values)
        q = self.rewards + expected.reshape(self.rewards.shape)
        actions = q.argmax(-1)
        return lambda: q, q[np.arange(len(q)), actions], actions

    def correction(self, actions, change, share, patient=False):
        """The sum of (gamma T_pi)^k change, until what is added is roughly even."""
        pairs = np.arange(len(actions)) * self.rewards.shape[1] + actions
        policy = self.rows(self.weights[pairs], self.next_states[pairs])
        step = correction = change
        enough = share * np.ptp(change)
        for _ in range(MAX_SWEEPS):
            step = policy @ (self.discount * step)
            correction = correction + step
            if np.ptp(step) <= enough:
                break
        return correction

    def rows(self, weights, next_states) -> csr_array:
        """These rows as a matrix of scipy's."""
        starts = np.arange(0, weights.size + 1, weights.shape[1], dtype=np.int32)
        shape = len(weights), len(self.rewards)
        return csr_array((weights.ravel(), next_states.ravel(), starts), shape=shape)


def sparse(mdp: MDP) -> tuple[SparseTable, Float[np.ndarray, "S"]]:
    """The MDP as sparse rows; and the best reward of every state, to begin with."""
    num_outcomes = mdp.probs.shape[-1]
    # The usual case, one gamma and no ends, needs no array of products.
    weights, discount = mdp.probs, one_gamma(mdp.discounts)
    if discount is None:
        weights, discount = mdp.probs * mdp.discounts, 1.0
    rewards = np.einsum("sab,sab->sa", mdp.probs, mdp.rewards)
    rewards[~mdp.available] = -np.inf
    table = SparseTable(
        weights.reshape(-1, num_outcomes),
        # 32-bit from the start: else scipy looks for the largest before every product.
        mdp.next_states.astype(np.int32).reshape(-1, num_outcomes),
        discount,
        rewards,
    )
    return table, rewards.max(-1)
