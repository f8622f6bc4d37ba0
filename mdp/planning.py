"""Planning: the model is known, so the values can be computed instead of learned.

    value iteration      v(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]
    exact evaluation     v_pi  =   (I - gamma T_pi)^{-1} r_pi

Value iteration repeats the optimality backup. Where gamma < 1 each sweep shrinks the
distance to v* by gamma, so the change from one sweep to the next says how far off the
values still are. Evaluation needs no sweeps: for a fixed policy the Bellman equation is
linear, and is solved as such.

Source: Sutton & Barto (2018), sections 4.1 and 4.4; the stopping rule is Puterman
(1994), theorem 6.3.1.  Shapes: S states, A actions.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mdp.bellman import action_values, greedy_policy, optimality_backup, state_values
from mdp.checks import require
from mdp.model import MDP

# An outcome rarer than this changes no float64 row sum near 1: it counts as impossible.
RAREST = np.finfo(float).eps

# Policies are often learned in float32, and their rows sum to 1 as well as that allows.
ROUNDING = 1e-6


class Solution(NamedTuple):
    """What a solver found, and how it got there."""

    values: Float[np.ndarray, "S"]  # v
    action_values: Float[np.ndarray, "S A"]  # q, one backup from the values
    policy: Float[np.ndarray, "S A"]  # greedy for q, splitting ties equally
    residuals: Float[np.ndarray, "sweeps"]  # largest change of a value in each sweep
    converged: bool  # False if the sweeps ran out before the promise was kept


def value_iteration(
    mdp: MDP, epsilon: float = 1e-9, max_sweeps: int = 100_000
) -> Solution:
    """v* by sweeps of the optimality backup, all states at once, beginning with v = 0.

        v(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    Stops when no value changed by more than `largest_change(mdp, epsilon)`. If gamma
    < 1, `converged` then promises |values - v*| <= epsilon / 2 in every state, up to
    the rounding of float64. If gamma = 1 nothing bounds the error by the change, and
    `converged` says just that no value changed by more than epsilon in the last sweep.
    Where the agent could earn for ever, or cannot but lose for ever, the values have no
    limit: the sweeps run out, and `converged` is False.

    Source: S&B section 4.4.
    """
    stop_at = largest_change(mdp, epsilon)
    values = np.zeros(mdp.num_states)
    residuals = []
    converged = False
    while not converged and len(residuals) < max_sweeps:
        new_values = optimality_backup(mdp, values)
        # The absolute change: values fall as well as rise.
        residuals.append(np.abs(new_values - values).max())
        converged = bool(residuals[-1] <= stop_at)
        values = new_values
    q = action_values(mdp, values)
    return Solution(values, q, greedy_policy(mdp, q), np.array(residuals), converged)


def largest_change(mdp: MDP, epsilon: float) -> float:
    """The change between two sweeps that puts the new values within epsilon / 2 of v*.

        epsilon (1 - gamma) / (2 gamma)

    Here gamma is the largest discount of any possible outcome. If gamma = 0 the first
    sweep is exact, whatever it changed. If gamma = 1 there is no such bound, and
    epsilon itself is returned. Source: Puterman (1994), theorem 6.3.1.
    """
    gamma = largest_discount(mdp)
    if gamma == 0:
        return np.inf
    if gamma == 1:
        return epsilon
    return epsilon * (1 - gamma) / (2 * gamma)


def largest_discount(mdp: MDP) -> float:
    """The gamma by which a sweep shrinks errors: the largest that can happen."""
    return float(mdp.discounts.max(where=mdp.probs > 0, initial=0.0))


def evaluate(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S"]:
    """v_pi, exact: the Bellman equation of a fixed policy, solved as a linear system.

        (I - gamma T_pi) v_pi = r_pi,   r_pi(s) = sum_a pi(a | s) r(s, a),
        gamma T_pi(s, s') = sum_a pi(a | s) sum_r p(s', r | s, a) gamma

    Source: S&B section 4.1.

    Raises:
        ValueError: the policy is not one, or gamma = 1 and from some state it never
            ends the episode, so that what it earns has no finite sum.
    """
    policy = np.asarray(policy, float)
    _check_policy(mdp, policy)
    stuck = np.flatnonzero(_never_ends(mdp, policy))
    if stuck.size:
        raise ValueError(
            "policy must end the episode from every state where gamma is 1, "
            f"got one that never does from state {stuck[0]}"
        )
    weights = policy[:, :, None] * mdp.probs * mdp.discounts
    state = np.arange(mdp.num_states)[:, None, None]
    discounted = np.zeros((mdp.num_states, mdp.num_states))
    np.add.at(discounted, (state, mdp.next_states), weights)
    rewards = state_values(policy, mdp.expected_rewards)
    return np.linalg.solve(np.eye(mdp.num_states) - discounted, rewards)


def _never_ends(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Bool[np.ndarray, "S"]:
    """True for the states that no outcome with a discount below 1 can ever follow."""
    possible = policy[:, :, None] * mdp.probs > RAREST
    ends = (possible & (mdp.discounts < 1)).any((1, 2))
    num_known = 0
    while ends.sum() > num_known:
        num_known = ends.sum()
        ends = ends | (possible & ends[mdp.next_states]).any((1, 2))
    return ~ends


def _check_policy(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> None:
    """Raise unless every row is a distribution over the actions that are available."""
    if policy.shape != mdp.available.shape:
        expected = mdp.available.shape
        raise ValueError(f"policy must have shape {expected}, got {policy.shape}")
    require(policy >= 0, "policy", "s a", "be at least 0", policy)
    require(
        mdp.available | (policy == 0), "policy", "s a", "be 0: no such move", policy
    )
    totals = policy.sum(-1)
    require(np.abs(totals - 1) < ROUNDING, "policy", "s", "sum to 1", totals)
