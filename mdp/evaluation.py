"""Evaluation: what a fixed policy earns, exactly, by a linear solve.

    v_pi  =  r_pi + gamma T_pi v_pi      so      v_pi  =  (I - gamma T_pi)^{-1} r_pi

For a fixed policy the Bellman equation is linear in its S unknowns: no sweeps are
needed. It has one solution whenever the policy is sure to meet a discount below 1:
always if gamma < 1, and if gamma = 1 when it ends the episode from every state (when it
is *proper*).

Source: Sutton & Barto (2018), section 4.1.  Shapes: S states, A actions.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.bellman import state_values
from mdp.checks import require
from mdp.model import MDP

# Up to this many states a dense solve is quick and cannot be upset by any pattern of
# transitions; beyond it, S^2 numbers are too many, and most of them are 0.
DENSE_STATES = 2000

# An outcome rarer than this changes no float64 row sum near 1: it counts as impossible.
RAREST = np.finfo(float).eps

# Policies are often learned in float32, and their rows sum to 1 as well as that allows.
ROUNDING = 1e-6


def evaluate(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S"]:
    """v_pi, exact: the Bellman equation of a fixed policy, solved as a linear system.

        (I - gamma T_pi) v_pi = r_pi,   r_pi(s) = sum_a pi(a | s) r(s, a),
        gamma T_pi(s, s') = sum_a pi(a | s) sum_r p(s', r | s, a) gamma

    Beyond DENSE_STATES states the system is solved as a sparse one. Source: S&B
    section 4.1.

    Raises:
        ValueError: the policy is not one, or gamma = 1 and from some state it never
            ends the episode, so that what it earns has no finite sum.
    """
    policy = np.asarray(policy, float)
    _check_policy(mdp, policy)
    ends, _ = ways_to_end(mdp, policy)
    if not ends.all():
        raise ValueError(
            "policy must end the episode from every state where gamma is 1, "
            f"got one that never does from state {ends.argmin()}"
        )
    rewards = state_values(policy, mdp.expected_rewards)
    weights = policy[:, :, None] * mdp.probs * mdp.discounts  # gamma T_pi, unsummed
    state, action, outcome = np.nonzero(weights)
    entries = weights[state, action, outcome]
    next_state = mdp.next_states[state, action, outcome]
    if mdp.num_states <= DENSE_STATES:
        # Not `system[...] -= entries`: of outcomes with equal s' that keeps only one.
        system = np.eye(mdp.num_states)
        np.subtract.at(system, (state, next_state), entries)
        return np.linalg.solve(system, rewards)
    return _solve_sparse(state, next_state, entries, rewards)


def ways_to_end(
    mdp: MDP, policy: Float[np.ndarray, "S A"] | None = None
) -> tuple[Bool[np.ndarray, "S"], Int[np.ndarray, "S"]]:
    """From which states a discount below 1 can ever follow, and the action towards it.

    Grown backwards: first the states with such an outcome, then those with an outcome
    that leads to one of them, and so on. Whoever takes these actions is sure to arrive,
    since from each of finitely many states there is a chance of a straight way out.

    If a policy is given, only the actions that it takes are counted.
    """
    taken = mdp.probs if policy is None else policy[:, :, None] * mdp.probs
    possible = taken > RAREST
    leads = (possible & (mdp.discounts < 1)).any(-1)
    ends, actions = leads.any(-1), leads.argmax(-1)
    while not ends.all():
        leads = (possible & ends[mdp.next_states]).any(-1)
        found = leads.any(-1) & ~ends
        if not found.any():
            break
        ends, actions = ends | found, np.where(found, leads.argmax(-1), actions)
    return ends, actions


def _solve_sparse(state, next_state, entries, rewards):
    """Solve (I - gamma T_pi) v = r from the entries of gamma T_pi; repeats add up."""
    # Not at the top: scipy's sparse solvers double the time that `import mdp` takes.
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import spsolve

    size = (len(rewards), len(rewards))
    discounted = csc_array((entries, (state, next_state)), shape=size)
    return spsolve(eye_array(len(rewards), format="csc") - discounted, rewards)


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
