"""Planning: solvers that compute the best values from a known model.

    value iteration            sweep    v(s)  <-  max_a sum p [ r + gamma v(s') ]
    policy iteration           repeat   v  <-  v_pi exactly,   pi  <-  greedy for v
    modified policy iteration  repeat   v  <-  a few sweeps towards v_pi,   pi likewise

All three repeat two steps: compute the values of a policy, and improve the policy by
these values. They differ in how exact the values are before the next improvement: one
sweep, the exact solution, or in between. Each states how far from v* it can still be.

Source: Sutton & Barto (2018), sections 4.3, 4.4 and 4.6; the stopping rule is Puterman
(1994), theorem 6.3.1.  Shapes: S states, A actions.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mdp.bellman import action_values, greedy_policy, optimality_backup
from mdp.evaluation import evaluate, ways_to_end
from mdp.model import MDP

# A gain that is less than this share of the largest value may be a rounding error.
ROUNDING = 1e-13


class Solution(NamedTuple):
    """The result of a solver, and the record of its sweeps."""

    values: Float[np.ndarray, "S"]  # v
    action_values: Float[np.ndarray, "S A"]  # q, one backup from the values
    policy: Float[np.ndarray, "S A"]  # greedy for q, splitting ties equally
    residuals: Float[np.ndarray, "sweeps"]  # largest change of a value in each sweep
    converged: bool  # False if the sweeps ran out first


def value_iteration(
    mdp: MDP, epsilon: float = 1e-9, max_sweeps: int = 100_000
) -> Solution:
    """Return v* by sweeps of the optimality backup over all states, from v = 0.

        v(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    It stops when no value changed by more than `largest_change(mdp, epsilon)`. If gamma
    < 1, `converged` then promises |values - v*| <= epsilon / 2 in every state, up to
    the rounding of float64. If gamma = 1 the change does not bound the error, and
    `converged` means only that no value changed by more than epsilon in the last sweep.
    Where the agent could earn for ever, or must lose for ever, the values have no
    limit: as long as a sweep adds more than epsilon, the sweeps run out, and
    `converged` is False. An endless way that earns nothing has the value 0 here, while
    `policy_iteration` leaves out policies that never end.

    Source: Sutton & Barto (2018), section 4.4; Puterman (1994), section 6.3.
    """
    stop_at = largest_change(mdp, epsilon)
    values = np.zeros(mdp.num_states)
    residuals: list[float] = []
    converged = False
    while not converged and len(residuals) < max_sweeps:
        new_values = optimality_backup(mdp, values)
        # The absolute change: values fall as well as rise.
        residuals.append(np.abs(new_values - values).max())
        converged = bool(residuals[-1] <= stop_at)
        values = new_values
    return _solution(mdp, values, residuals, converged)


def value_iteration_in_place(
    mdp: MDP, epsilon: float = 1e-9, max_sweeps: int = 100_000
) -> Solution:
    """Return v* by value iteration in one array: each state uses the newest values.

        v(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ],   s = 0, 1, ...

    Numerical analysts call it Gauss-Seidel. A change can travel through many states in
    one sweep if it travels in their order, so fewer sweeps are needed. But a loop over
    states is slow in Python, where `value_iteration` updates all of them at once. It
    stops, and promises, as `value_iteration` does.

    Source: Sutton & Barto (2018), section 4.1 ("in place") and 4.4; Puterman (1994),
    section 6.3.3.
    """
    stop_at = largest_change(mdp, epsilon)
    values = np.zeros(mdp.num_states)
    residuals: list[float] = []
    converged = False
    while not converged and len(residuals) < max_sweeps:
        largest = 0.0
        for s in range(mdp.num_states):
            targets = mdp.rewards[s] + mdp.discounts[s] * values[mdp.next_states[s]]
            new_value = (mdp.probs[s] * targets).sum(-1)[mdp.available[s]].max()
            largest = max(largest, abs(new_value - values[s]))
            values[s] = new_value
        residuals.append(largest)
        converged = bool(largest <= stop_at)
    return _solution(mdp, values, residuals, converged)


def policy_iteration(
    mdp: MDP, epsilon: float = 1e-9, max_iterations: int = 1000
) -> Solution:
    """Return v* by policy iteration: evaluate exactly, improve greedily, repeat.

        v      <-  v_pi
        pi(s)  <-  argmax_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    An action is replaced only by one that is better by more than a rounding error, so
    that ties cannot flip for ever. The values rise with every change, and there are
    finitely many policies, so it ends. It stops when no action would gain more than
    epsilon (1 - gamma) / 2 (epsilon, where gamma = 1). For gamma < 1, `converged` then
    promises |values - v*| <= epsilon / 2. Usually no gain is left at all, and the
    values are v*.

    If gamma = 1, v* is the best of the policies that end the episode from every state.
    The values are exactly those of such a policy, and `converged` promises that no
    other action would gain more than epsilon in one step. With epsilon 0, none gains
    more than rounding, and the values are v* up to the rounding of float64.

    `residuals` holds the largest gain that was left after each evaluation.
    Source: Sutton & Barto (2018), section 4.3; Puterman (1994), section 6.4; Bertsekas
    & Yu (2016), "Stochastic shortest path problems under weak conditions", for gamma 1.

    Raises:
        ValueError: gamma = 1, and from some state no policy ends the episode, or the
            agent can earn for ever without ending it.
    """
    gamma = largest_discount(mdp)
    actions, values = _policy_that_ends(mdp)
    residuals: list[float] = []
    converged = False
    while not converged and len(residuals) < max_iterations:
        q = np.where(mdp.available, action_values(mdp, values), -np.inf)
        gains = q.max(-1) - np.take_along_axis(q, actions[:, None], -1)[:, 0]
        residuals.append(gains.max())
        stop_at = _smallest_gain(mdp, values, gamma, epsilon)
        improved = np.where(gains > stop_at, q.argmax(-1), actions)
        converged = bool(gains.max() <= stop_at)
        if not converged:
            improved_values = _evaluate_actions(mdp, improved)
            # Improvement raises the values; what does not was a rounding error.
            converged = bool(improved_values.sum() <= values.sum())
        if not converged:
            actions, values = improved, improved_values
    return _solution(mdp, values, residuals, converged)


def modified_policy_iteration(
    mdp: MDP, epsilon: float = 1e-9, max_sweeps: int = 100_000, num_sweeps: int = 20
) -> Solution:
    """Return v* by improving the policy after every few sweeps of its evaluation.

        pi(s)  <-  argmax_a q(s, a)
        v(s)   <-  max_a q(s, a),  and then `num_sweeps` times
        v(s)   <-  sum_{s', r} p(s', r | s, pi(s)) [ r + gamma v(s') ]

    A sweep over one action for each state costs 1 / A of a sweep over all actions, and
    no linear system is solved. It stops, and promises, as `value_iteration` does. If
    gamma = 1 it begins with the values of a policy that ends the episode, and from
    there they only rise. With `num_sweeps` 0 it is value iteration; with very many it
    is policy iteration.

    Source: Puterman (1994), section 6.5; Sutton & Barto (2018), section 4.6.

    Raises:
        ValueError: gamma = 1, and from some state no policy ends the episode.
    """
    stop_at = largest_change(mdp, epsilon)
    values = np.zeros(mdp.num_states)
    if largest_discount(mdp) == 1:
        _, values = _policy_that_ends(mdp)
    residuals: list[float] = []
    converged = False
    while not converged and len(residuals) < max_sweeps:
        q = np.where(mdp.available, action_values(mdp, values), -np.inf)
        new_values = q.max(-1)
        residuals.append(np.abs(new_values - values).max())
        converged = bool(residuals[-1] <= stop_at)
        values = new_values
        if not converged:
            # argmax, not greedy_actions: an action that is 1e-8 worse would lower v.
            only_greedy = _restrict(mdp, q.argmax(-1))
            for _ in range(num_sweeps):
                values = optimality_backup(only_greedy, values)
    return _solution(mdp, values, residuals, converged)


def largest_change(mdp: MDP, epsilon: float) -> float:
    """Return the change in a sweep that puts the values within epsilon / 2 of v*.

        epsilon (1 - gamma) / (2 gamma)

    Gamma is the largest discount of any possible outcome. If gamma = 0 the first sweep
    is exact, and the bound is infinite. If gamma = 1 there is no such bound, and the
    result is epsilon itself. Source: Puterman (1994), theorem 6.3.1.
    """
    gamma = largest_discount(mdp)
    if gamma == 0:
        return np.inf
    if gamma == 1:
        return epsilon
    return epsilon * (1 - gamma) / (2 * gamma)


def largest_discount(mdp: MDP) -> float:
    """Return gamma: the largest discount of any possible outcome."""
    return float(mdp.discounts.max(where=mdp.probs > 0, initial=0.0))


def _solution(
    mdp: MDP, values: Float[np.ndarray, "S"], residuals: list[float], converged: bool
) -> Solution:
    """Complete the values with the action values and the greedy policy."""
    q = action_values(mdp, values)
    return Solution(values, q, greedy_policy(mdp, q), np.array(residuals), converged)


def _policy_that_ends(mdp: MDP) -> tuple[Int[np.ndarray, "S"], Float[np.ndarray, "S"]]:
    """Return actions that are sure to meet a discount below 1, and their values."""
    ends, actions = ways_to_end(mdp)
    if not ends.all():
        raise ValueError(
            "mdp must let the agent end the episode where gamma is 1, "
            f"got no way to do so from state {ends.argmin()}"
        )
    return actions, _evaluate_actions(mdp, actions)


def _smallest_gain(
    mdp: MDP, values: Float[np.ndarray, "S"], gamma: float, epsilon: float
) -> float:
    """Return the gain of an action below which policy iteration ignores it."""
    if gamma < 1:
        return epsilon * (1 - gamma) / 2
    # A tie that only rounding breaks must stay one: the policy might never end.
    largest = np.abs(mdp.probs * mdp.rewards).max() + np.abs(values).max()
    return max(epsilon, float(ROUNDING * largest))


def _evaluate_actions(
    mdp: MDP, actions: Int[np.ndarray, "S"]
) -> Float[np.ndarray, "S"]:
    """Return v_pi of the policy that takes these actions."""
    only = _restrict(mdp, actions)
    ends, _ = ways_to_end(only)
    if not ends.all():
        # The improvement of a policy that ends can only be endless if the agent earns
        # more than 0 on an endless round.
        raise ValueError(
            "mdp must not let the agent earn for ever where gamma is 1, "
            f"got a way to do so from state {ends.argmin()}"
        )
    return evaluate(only, np.ones((mdp.num_states, 1)))


def _restrict(mdp: MDP, actions: Int[np.ndarray, "S"]) -> MDP:
    """Return the MDP with one action left in every state; its v* is their v_pi."""
    one = (np.arange(mdp.num_states), actions)
    probs, next_states, rewards, discounts = (x[one][:, None] for x in mdp[:4])
    available = np.ones((mdp.num_states, 1), bool)
    return MDP(probs, next_states, rewards, discounts, available, mdp.start)
