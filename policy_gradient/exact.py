"""The truth that sampled gradients estimate: J(theta) and its gradient, exactly.

A policy turns the MDP into a linear system whose solution is its values:

    v_pi = r_pi + P_pi v_pi    with P_pi discounted, so    v_pi = (I - P_pi)^-1 r_pi
    J(theta) = E[G_0] = sum_s start(s) v_pi(s)

Every step is differentiable, also the solve, so that automatic differentiation gives
the gradient of J without a single sample. The policy gradient theorem gives the same
gradient, without a derivative of v or of the states that are visited:

    grad J = sum_s d(s) sum_a pi(a | s) A(s, a) grad log pi(a | s),   A = q - v
    d(s)   = sum_t gamma^t Pr{ S_t = s }     so    d = (I - P_pi^T)^-1 start

Where each state has its own preferences, the gradient by them is simpler still:

    dJ / dh(s, a) = d(s) pi(a | s) A(s, a)

All of it is computed in float64: at gamma = 1 the system is badly conditioned (36,000
on the cliff), so that float32 is not enough.

Source: Sutton & Barto (2018), eq. 4.4 as a linear system, and section 13.2.
Shapes: S states, A actions, *n any number of policies, D parameters in one row.
"""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree, Scalar

from mdp import MDP, action_values, bellman_system, evaluate, reachable
from policy_gradient.policies import Policy, policy_table
from policy_gradient.rollout import to_jax

# An episode that is expected to last for more steps counts as one that never ends.
LONGEST = 1e9

# Stacked systems are solved in parts of at most this many entries.
ENTRIES_AT_ONCE = 4_000_000


def performance(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> float:
    """J = E[G_0] of one policy, by the linear solve in float64.

    Source: Sutton & Barto (2018), eq. 13.4, with eq. 4.4.

    Raises:
        ValueError: gamma = 1 and, from some state that the policy reaches, the episode
            never ends.
    """
    return float(mdp.start @ evaluate(_only_reached(mdp, policy), policy))


def performances(
    mdp: MDP, policies: Float[np.ndarray, "*n S A"], time_limit: int
) -> Float[np.ndarray, "*n"]:
    """J of each policy, or J of the first `time_limit` steps if an episode never ends.

    It is `performance` of many policies at once. J is nan for a policy with entries
    that are not finite. Source: Sutton & Barto (2018), eq. 13.4, with eq. 4.4.
    """
    cut_off = never_ends(mdp, policies)
    ends = np.isfinite(policies).all((-2, -1)) & ~cut_off
    result = np.full(cut_off.shape, np.nan)
    result[ends] = _solve_many(mdp, policies[ends], mdp.expected_rewards)
    result[cut_off] = performances_within(mdp, policies[cut_off], time_limit)
    return result


def performances_within(
    mdp: MDP, policies: Float[np.ndarray, "n S A"], time_limit: int
) -> Float[np.ndarray, "n"]:
    """E[R_1 + gamma R_2 + ...] over the first `time_limit` steps, for each policy.

        v  <-  r_pi + P_pi v        from v = 0, once for each step

    Source: Sutton & Barto (2018), eq. 4.5.
    """
    result = np.zeros(len(policies))
    weights = mdp.probs * mdp.discounts
    for part in _parts(policies):
        values = np.zeros((len(policies[part]), mdp.num_states))
        for _ in range(time_limit):
            following = (weights * values[:, mdp.next_states]).sum(-1)
            values = (policies[part] * (mdp.expected_rewards + following)).sum(-1)
        result[part] = values @ mdp.start
    return result


def never_ends(
    mdp: MDP, policies: Float[np.ndarray, "*n S A"]
) -> Bool[np.ndarray, "*n"]:
    """Return True where gamma = 1 and the episode never ends, or lasts LONGEST steps.

    The expected number of steps is the value of a reward of 1 in each step. It stays
    finite because gamma is reduced by a last digit.
    """
    result = np.zeros(policies.shape[:-2], bool)
    if mdp.discounts.max() == 1:
        finite = np.isfinite(policies).all((-2, -1))
        mortal = mdp._replace(discounts=mdp.discounts * (1 - 1e-3 / LONGEST))
        one_a_step = np.ones(mdp.available.shape)
        result[finite] = _solve_many(mortal, policies[finite], one_a_step) > LONGEST
    return result


def occupancy(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S"]:
    """d(s) = sum_t gamma^t Pr{S_t = s}: the weight of each state in J.

    The sum over states is the expected length of an episode if gamma = 1, and at most
    1 / (1 - gamma) otherwise. d is eta of Sutton & Barto (2018), eq. 9.2, with gamma in
    it. If gamma = 1, their on-policy distribution mu (eq. 9.3) is d divided by its sum.
    """
    reached = reachable(mdp, policy)[:, None]
    # Transposed: row s' holds what flows into s' from each state.
    return np.linalg.solve(bellman_system(mdp, policy * reached).T, mdp.start)


def theorem_gradient(mdp: MDP, policy: Policy, params: PyTree) -> PyTree:
    """Gradient of J by the policy gradient theorem; equals `performance_gradient`.

        grad J = sum_s d(s) sum_a pi(a | s) A(s, a) grad log pi(a | s)

    Source: Sutton & Barto (2018), eq. 13.5, with d in place of the mu that it is
    proportional to; Sutton et al. (2000), theorem 1, for gamma < 1.
    """
    with jax.enable_x64(True):
        states = jnp.arange(mdp.num_states)
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        weights = softmax_gradient(mdp, policy_table(policy, double, mdp.num_states))

        def objective(params: PyTree) -> Scalar:
            log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, states)
            return jnp.sum(weights * log_probs)

        return jax.tree.map(np.asarray, jax.jit(jax.grad(objective))(double))


def performance_gradient(mdp: MDP, policy: Policy, params: PyTree) -> PyTree:
    """Gradient of J by the parameters, by differentiating the linear solve.

    Source: Sutton & Barto (2018), eqs. 4.4 and 13.4.
    """
    with jax.enable_x64(True):
        table, states = to_jax(mdp), jnp.arange(mdp.num_states)
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)

        def objective(params: PyTree) -> Scalar:
            log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, states)
            return _differentiable_performance(table, jnp.exp(log_probs))

        return jax.tree.map(np.asarray, jax.jit(jax.grad(objective))(double))


def softmax_gradient(
    mdp: MDP, policy: Float[np.ndarray, "S A"]
) -> Float[np.ndarray, "S A"]:
    """Gradient d(s) pi(a | s) A(s, a) of J by the preferences of a tabular softmax.

    d(s) is the discounted number of visits of s, and A(s, a) = q(s, a) - v(s). This is
    the policy gradient theorem with the score of a softmax: 1 - pi(a | s) at (s, a)
    itself, and -pi(b | s) at the other actions b (Sutton & Barto 2018, exercise 13.3).
    Source: Agarwal et al. (2021), lemma C.1.
    """
    ended = _only_reached(mdp, policy)
    values = evaluate(ended, policy)
    advantages = action_values(ended, values) - values[:, None]
    return occupancy(mdp, policy)[:, None] * policy * advantages


def fisher_information(
    mdp: MDP, policy: Policy, params: PyTree
) -> Float[np.ndarray, "D D"]:
    """F = sum_s d(s) sum_a pi(a | s) score score^T, with the parameters in one row.

    It measures to second order how much the policy changes: the KL divergence, summed
    over the states with weights d, is dtheta^T F dtheta / 2. Source: Kakade (2001),
    eq. 2.
    """
    with jax.enable_x64(True):
        double = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        row, unravel = jax.flatten_util.ravel_pytree(double)
        table = policy_table(policy, double, mdp.num_states)

        def log_probs(row: Float[Array, "D"]) -> Float[Array, "S A"]:
            states = jnp.arange(mdp.num_states)
            return jax.vmap(policy.apply, (None, 0))(unravel(row), states)[0]

        scores = np.asarray(jax.jit(jax.jacobian(log_probs))(row))
    weights = occupancy(mdp, table)[:, None] * table
    return np.einsum("sa,sai,saj->ij", weights, scores, scores)


def natural_gradient(mdp: MDP, policy: Policy, params: PyTree) -> PyTree:
    """F^-1 grad J: the direction that raises J most for a given change of the policy.

    For a tabular softmax it is the advantage A(s, a) in every state that is visited, up
    to a number that is added to all preferences of a state. F is singular, so the
    shortest solution is taken. Source: Kakade (2001), theorem 1.
    """
    with jax.enable_x64(True):
        gradient = theorem_gradient(mdp, policy, params)
        row, unravel = jax.flatten_util.ravel_pytree(gradient)
        fisher = fisher_information(mdp, policy, params)
        shortest = np.linalg.lstsq(fisher, np.asarray(row), rcond=1e-12)[0]
        return jax.tree.map(np.asarray, unravel(jnp.asarray(shortest)))


def _only_reached(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> MDP:
    """Return the MDP with an end at every state that the policy never reaches.

    The policy need not make sense there: its episode need not end.
    """
    reached = reachable(mdp, policy)
    discounts = np.where(reached[:, None, None], mdp.discounts, 0.0)
    return mdp._replace(discounts=discounts)


def _solve_many(
    mdp: MDP,
    policies: Float[np.ndarray, "n S A"],
    rewards: Float[np.ndarray, "S A"],
) -> Float[np.ndarray, "n"]:
    """Return start . (I - P_pi)^-1 r_pi for each policy, some of them at a time."""
    result = np.zeros(len(policies))
    for part in _parts(policies):
        acting = policies[part] * reachable(mdp, policies[part])[:, :, None]
        totals = (acting * rewards).sum(-1)
        values = np.linalg.solve(bellman_system(mdp, acting), totals[..., None])
        result[part] = values[..., 0] @ mdp.start
    return result


def _parts(policies: Float[np.ndarray, "n S A"]) -> list[slice]:
    """Return slices of the policies whose systems fit into ENTRIES_AT_ONCE."""
    size = max(1, ENTRIES_AT_ONCE // policies.shape[-2] ** 2)
    return [slice(i, i + size) for i in range(0, len(policies), size)]


@jax.jit
def _differentiable_performance(mdp: MDP, policy: Float[Array, "S A"]) -> Scalar:
    """J of one policy, as `performance`, in operations that jax can differentiate."""
    size = mdp.num_states
    weights = policy[:, :, None] * mdp.probs
    rewards = jnp.sum(weights * mdp.rewards, axis=(1, 2))
    from_states = jnp.arange(size)[:, None, None]
    transitions = jnp.zeros((size, size)).at[from_states, mdp.next_states]
    discounted = transitions.add(weights * mdp.discounts)
    return mdp.start @ jnp.linalg.solve(jnp.eye(size) - discounted, rewards)
