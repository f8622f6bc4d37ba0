"""Evaluation: the exact values of a fixed policy, by one linear solve.

    v_pi  =  r_pi + gamma T_pi v_pi      so      (I - gamma T_pi) v_pi  =  r_pi

For a fixed policy the Bellman equation is linear in its S unknowns: no sweeps are
needed. It has exactly one solution if the policy is sure to meet a discount below 1.
With gamma < 1 that is always so. With gamma = 1 it is so if the policy ends the episode
from every state (such a policy is called *proper*).

Source: Sutton & Barto (2018), section 4.1; Bertsekas & Tsitsiklis (1991), "An analysis
of stochastic shortest path problems", for proper policies.
Shapes: S states, A actions, B outcomes per pair, *n any number of policies.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.bellman import state_values
from mdp.checks import numbers, require_policy
from mdp.model import MDP

# Up to this many states a dense solve is quick, whatever the pattern of transitions.
# Beyond it, S^2 numbers are too many, and most of them are 0.
DENSE_STATES = 2000

# An outcome rarer than this changes no float64 row sum near 1: it counts as impossible.
RAREST = np.finfo(float).eps

NEVER = np.iinfo(int).max  # number of steps to a state that cannot be reached


def evaluate(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S"]:
    """Return v_pi, the exact values of a policy: the solution of a linear system.

        (I - gamma T_pi) v_pi = r_pi,   r_pi(s) = sum_a pi(a | s) r(s, a)

    Source: Sutton & Barto (2018), section 4.1, with eq. 4.4.

    Raises:
        ValueError: `policy` is not a policy; or gamma = 1 and from some state it never
            ends the episode, so that its return has no finite mean.
    """
    policy = numbers(policy, "policy")
    _check_policy(mdp, policy)
    ends, _ = ways_to_end(mdp, policy)
    if not ends.all():
        raise ValueError(
            "policy must end the episode from every state where gamma is 1, "
            f"got one that never does from state {ends.argmin()}"
        )
    rewards = state_values(policy, mdp.expected_rewards)
    # A large system has few entries that are not 0: it is solved as a sparse one.
    if mdp.num_states > DENSE_STATES:
        return _solve_sparse(mdp, policy, rewards)
    system = bellman_system(mdp, policy)
    return np.linalg.solve(system, rewards)


def bellman_system(
    mdp: MDP, policies: Float[np.ndarray, "*n S A"]
) -> Float[np.ndarray, "*n S S"]:
    """Return I - gamma T_pi, the matrix of the Bellman equation, for each policy.

        gamma T_pi(s, s') = sum_a pi(a | s) sum_r p(s', r | s, a) gamma

    Its inverse is sum_t (gamma T_pi)^t: the entry (s, s') is the expected discounted
    number of visits of s' from s. So it turns rewards into values, and from the other
    side the start distribution into the visits of every state.

    Nothing is checked. A row of `policies` that is all 0 makes its state an end.
    Source: Sutton & Barto (2018), eq. 4.4; Puterman (1994), theorem 6.1.1.
    """
    weights = policies[..., None] * mdp.probs * mdp.discounts
    system = np.tile(np.eye(mdp.num_states), (*policies.shape[:-2], 1, 1))
    state = np.arange(mdp.num_states)[:, None, None]
    # Not `system[index] -= weights`: of outcomes with equal s' that keeps only one.
    index: Any = (..., state, mdp.next_states)
    np.subtract.at(system, index, weights)
    return system


def reachable(
    mdp: MDP, policies: Float[np.ndarray, "*n S A"]
) -> Bool[np.ndarray, "*n S"]:
    """Return True for the states that a policy visits with positive probability.

    The episode begins in a state of `mdp.start`, and what follows an outcome with
    discount 0 is not visited.
    """
    shape = (*policies.shape[:-2], mdp.num_states)
    possible = (policies[..., None] * mdp.probs > 0) & (mdp.discounts > 0)
    found = np.broadcast_to(mdp.start > 0, shape).ravel()
    # One graph for all policies: each has S nodes of its own, numbered in a row.
    row, action, outcome = np.nonzero(possible.reshape(-1, *mdp.probs.shape[1:]))
    state = row % mdp.num_states
    next_state = row - state + mdp.next_states[state, action, outcome]
    return (_steps_from(found, row, next_state) < NEVER).reshape(shape)


def ways_to_end(
    mdp: MDP, policy: Float[np.ndarray, "S A"] | None = None
) -> tuple[Bool[np.ndarray, "S"], Int[np.ndarray, "S"]]:
    """Return the states from which a discount below 1 can follow, and actions to it.

    The search runs backwards: first the states with such an outcome, then those with an
    outcome that leads to one of them, and so on. Taking these actions is sure to meet
    such a discount, because from each of finitely many states there is a positive
    probability of going straight to it.

    If a policy is given, only the actions that it takes count.
    """
    taken = mdp.probs if policy is None else policy[:, :, None] * mdp.probs
    possible = taken > RAREST
    ending = possible & (mdp.discounts < 1)
    state, action, outcome = np.nonzero(possible)
    next_state = mdp.next_states[state, action, outcome]
    steps = _steps_from(ending.any((1, 2)), next_state, state)
    # An action leads to the end if one of its outcomes is nearer to it than the state.
    nearest = np.where(ending, -1, steps[mdp.next_states])
    leads = (possible & (nearest < steps[:, None, None])).any(-1)
    return steps < NEVER, leads.argmax(-1)


def _steps_from(
    found: Bool[np.ndarray, "nodes"],
    sources: Int[np.ndarray, "edges"],
    targets: Int[np.ndarray, "edges"],
) -> Int[np.ndarray, "nodes"]:
    """Return the fewest edges from the found nodes to each node, or NEVER."""
    steps, step = np.where(found, 0, NEVER), 0
    while True:
        step += 1
        leads = steps[sources] < step
        new = targets[leads]
        new = new[steps[new] == NEVER]
        if not new.size:
            return steps
        steps[new] = step
        sources, targets = sources[~leads], targets[~leads]


def _solve_sparse(
    mdp: MDP, policy: Float[np.ndarray, "S A"], rewards: Float[np.ndarray, "S"]
) -> Float[np.ndarray, "S"]:
    """Solve (I - gamma T_pi) v = r as a sparse system; repeated entries add up."""
    # Not at the top: scipy's sparse solvers double the time that `import mdp` takes.
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import spsolve

    weights = policy[:, :, None] * mdp.probs * mdp.discounts
    state, action, outcome = np.nonzero(weights)
    entries = weights[state, action, outcome]
    next_state = mdp.next_states[state, action, outcome]
    shape = (mdp.num_states, mdp.num_states)
    discounted = csc_array((entries, (state, next_state)), shape=shape)
    return spsolve(eye_array(mdp.num_states, format="csc") - discounted, rewards)


def _check_policy(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> None:
    """Raise ValueError unless every row is a distribution over available actions."""
    if policy.shape != mdp.available.shape:
        expected = mdp.available.shape
        raise ValueError(f"policy must have shape {expected}, got {policy.shape}")
    require_policy(policy, mdp.available, "policy")
