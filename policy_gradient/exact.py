"""The truth that sampled gradients estimate: J(theta) and its gradient, exactly.

A policy turns the MDP into a linear system, and its values are the solution:

    v_pi = r_pi + P_pi v_pi    with P_pi discounted, so    v_pi = (I - P_pi)^-1 r_pi
    J(theta) = E[G_0] = sum_s start(s) v_pi(s)

Every step is differentiable, the solve too, so automatic differentiation gives the
gradient of J without a single sample. The policy gradient theorem gives it a second
time, with no derivative of v or of the states that are visited:

    grad J = sum_s d(s) sum_a pi(a | s) A(s, a) grad log pi(a | s),   A = q - v
    d(s)   = sum_t gamma^t Pr{ S_t = s }     so    d = (I - P_pi^T)^-1 start

Where each state has preferences of its own, the softmax of them, it is even simpler:

    dJ / dh(s, a) = d(s) pi(a | s) A(s, a)

All of it in float64: at gamma = 1 the system is badly conditioned (36,000 on the
cliff), and float32 would not do.

Source: Sutton & Barto (2018), eq. 4.4 as a linear system, and section 13.2.
"""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree, Scalar

from mdp import MDP, action_values, evaluate
from policy_gradient.policies import Policy, policy_table
from policy_gradient.rollout import to_jax


def performance(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> float:
    """J = E[G_0] of a policy, by `mdp`'s linear solve in float64.

    Raises ValueError where gamma = 1 and, from some state that the policy reaches, the
    episode never ends.
    """
    return float(mdp.start @ evaluate(_only_reached(mdp, policy), policy))


def performance_within(
    mdp: MDP, policy: Float[np.ndarray, "S A"], time_limit: int
) -> float:
    """E[R_1 + gamma R_2 + ...] of the first `time_limit` steps of an episode."""
    values = np.zeros(mdp.num_states)
    for _ in range(time_limit):
        values = (policy * action_values(mdp, values)).sum(-1)
    return float(mdp.start @ values)


def reachable(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Bool[np.ndarray, "S"]:
    """The states that a policy visits with positive probability."""
    possible = (policy[:, :, None] * mdp.probs > 0) & (mdp.discounts > 0)
    reached, before = mdp.start > 0, 0
    while before < reached.sum():
        before = reached.sum()
        reached[mdp.next_states[possible & reached[:, None, None]]] = True
    return reached


def occupancy(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S"]:
    """d(s) = sum_t gamma^t Pr{S_t = s}: how much each state counts for J.

    The discounts of the way count, so that the sum over states is the expected length
    of an episode where gamma = 1, and at most 1 / (1 - gamma) else. It is the eta of
    Sutton & Barto (2018), eq. 9.2, with gamma in it; the on-policy distribution mu (eq.
    9.3) is, for gamma = 1, this divided by its sum.
    """
    weights = policy[:, :, None] * mdp.probs * _only_reached(mdp, policy).discounts
    system = np.eye(mdp.num_states)
    state, action, outcome = np.nonzero(weights)
    to = mdp.next_states[state, action, outcome]
    # Transposed: from next_state's row, what flows into it from each state.
    np.subtract.at(system, (to, state), weights[state, action, outcome])
    return np.linalg.solve(system, mdp.start)


def theorem_gradient(mdp: MDP, policy: Policy, params: PyTree) -> PyTree:
    """The gradient of J by the policy gradient theorem; equals `performance_gradient`.

        grad J = sum_s d(s) sum_a pi(a | s) A(s, a) grad log pi(a | s)

    Source: Sutton & Barto (2018), eq. 13.5, with d in the place of what it is
    proportional to; Sutton et al. (2000), theorem 1, for gamma < 1.
    """
    with jax.enable_x64(True):
        states = jnp.arange(mdp.num_states)
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        table = policy_table(policy, double, mdp.num_states)
        ended = _only_reached(mdp, table)
        values = evaluate(ended, table)
        advantages = action_values(ended, values) - values[:, None]
        weights = occupancy(mdp, table)[:, None] * table * advantages

        def objective(params):
            log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, states)
            return jnp.sum(weights * log_probs)

        return jax.tree.map(np.asarray, jax.jit(jax.grad(objective))(double))


def performance_gradient(mdp: MDP, policy: Policy, params: PyTree) -> PyTree:
    """The gradient of J with respect to the parameters, through the linear solve."""
    with jax.enable_x64(True):
        table, states = to_jax(mdp), jnp.arange(mdp.num_states)
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)

        def objective(params):
            log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, states)
            return _performance(table, jnp.exp(log_probs))

        return jax.tree.map(np.asarray, jax.jit(jax.grad(objective))(double))


def softmax_gradient(
    mdp: MDP, policy: Float[np.ndarray, "S A"]
) -> Float[np.ndarray, "S A"]:
    """The gradient d(s) pi(a | s) A(s, a) by the preferences of a tabular softmax.

    The theorem, with the score 1 - pi(a | s) at (s, a) and -pi(b | s) at its others
    (Sutton & Barto 2018, exercise 13.3). Source: Agarwal et al. (2021), lemma C.1.
    """
    ended = _only_reached(mdp, policy)
    values = evaluate(ended, policy)
    advantages = action_values(ended, values) - values[:, None]
    return occupancy(mdp, policy)[:, None] * policy * advantages


def fisher_information(
    mdp: MDP, policy: Policy, params: PyTree
) -> Float[np.ndarray, "D D"]:
    """F = sum_s d(s) sum_a pi(a | s) score score^T, with the parameters in one row.

    How much the policy changes, to second order: KL = dtheta^T F dtheta / 2, summed
    over the states as often as they count. Source: Kakade (2001), eq. 2.
    """
    with jax.enable_x64(True):
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        row, unravel = jax.flatten_util.ravel_pytree(double)
        table = policy_table(policy, double, mdp.num_states)

        def log_probs(row):
            states = jnp.arange(mdp.num_states)
            return jax.vmap(policy.apply, (None, 0))(unravel(row), states)[0]

        scores = np.asarray(jax.jit(jax.jacobian(log_probs))(row))
    weights = occupancy(mdp, table)[:, None] * table
    return np.einsum("sa,sai,saj->ij", weights, scores, scores)


def natural_gradient(mdp: MDP, policy: Policy, params: PyTree) -> PyTree:
    """F^-1 grad J: the steepest way up, by how much a step changes the policy.

    Of a tabular softmax it is the advantage itself, A(s, a), in every state that is
    visited, up to what is added to all preferences of a state. F is singular, and the
    shortest solution is taken. Source: Kakade (2001), theorem 1.
    """
    with jax.enable_x64(True):
        gradient = theorem_gradient(mdp, policy, params)
        row, unravel = jax.flatten_util.ravel_pytree(gradient)
        fisher = fisher_information(mdp, policy, params)
        shortest = np.linalg.lstsq(fisher, np.asarray(row), rcond=1e-12)[0]
        return jax.tree.map(np.asarray, unravel(jnp.asarray(shortest)))


def _only_reached(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> MDP:
    """What a policy would do where it never comes need not make sense: end it there."""
    reached = reachable(mdp, policy)
    discounts = np.where(reached[:, None, None], mdp.discounts, 0.0)
    return mdp._replace(discounts=discounts)


@jax.jit
def _performance(mdp: MDP, policy: Float[Array, "S A"]) -> Scalar:
    size = mdp.num_states
    weights = policy[:, :, None] * mdp.probs
    rewards = jnp.sum(weights * mdp.rewards, axis=(1, 2))
    from_states = jnp.arange(size)[:, None, None]
    transitions = jnp.zeros((size, size)).at[from_states, mdp.next_states]
    discounted = transitions.add(weights * mdp.discounts)
    return mdp.start @ jnp.linalg.solve(jnp.eye(size) - discounted, rewards)
