"""Gradient estimates from one episode: a weight for the score of each action.

    grad J  =  E[ sum_t weight_t grad log pi(A_t | S_t) ]

The log-derivative trick gives the first of them: the probability of a whole trajectory
is a product, its logarithm a sum, and the world's part of it does not depend on theta.

    whole return       G_0              all rewards, also those before the action
    reward to go       gamma^t G_t      an action cannot change the past: less noise
    as most code has   G_t              without gamma^t: not the gradient of J

If another policy b acted in the episode, each reward is multiplied by the importance
ratio of the actions up to it, and the weights are made of these rewards:

    importance ratio   R_{t+1} prod_{k <= t} pi(A_k | S_k) / b(A_k | S_k)

Source: Williams (1992); Sutton & Barto (2018), sections 13.3 and 5.9, p. 328 for
gamma^t; Nota & Thomas (2020) on what is left without it.
"""

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float, PyTree

from policy_gradient.advantages import discounts_to_date, reward_to_go
from policy_gradient.policies import Policy
from policy_gradient.trajectory import Trajectory


def whole_return(trajectory: Trajectory) -> Float[Array, "time"]:
    """The return G_0 of the whole episode, for every action.

    Source: Williams (1992); Sutton & Barto (2018), section 13.3.
    """
    return jnp.full_like(trajectory.rewards, reward_to_go(trajectory)[0])


def discounted_reward_to_go(trajectory: Trajectory) -> Float[Array, "time"]:
    """The discounted return gamma^t G_t after each action, as J = E[G_0] counts it.

    Source: Sutton & Barto (2018), p. 328.
    """
    return discounts_to_date(trajectory) * reward_to_go(trajectory)


def undiscounted_reward_to_go(trajectory: Trajectory) -> Float[Array, "time"]:
    """The return G_t after each action, without the weight gamma^t.

    Source: Nota & Thomas (2020).
    """
    return reward_to_go(trajectory)


def as_if_on_policy(
    policy: Policy, params: PyTree, trajectory: Trajectory
) -> Trajectory:
    """Return another policy's episode, with rewards times their importance ratios.

    Only the actions before a reward can cause it. Their ratio has fewer factors than
    that of the whole episode, and less noise. It is meant for the reward to go.
    Source: Sutton & Barto (2018), eqs. 5.3 and 5.14 (per-decision).
    """
    log_probs = _log_probs(policy, params, trajectory)
    log_ratios = log_probs - trajectory.log_probs * trajectory.mask
    ratios = stop_gradient(jnp.exp(jnp.cumsum(log_ratios)))
    return trajectory._replace(rewards=ratios * trajectory.rewards)


def gradient(
    policy: Policy,
    params: PyTree,
    trajectory: Trajectory,
    weights: Float[Array, "time"],
) -> PyTree:
    """Gradient estimate sum_t weight_t grad log pi(A_t | S_t) from one episode.

    Source: Sutton & Barto (2018), section 13.3.
    """

    def objective(params: PyTree) -> Float[Array, ""]:
        return jnp.sum(stop_gradient(weights) * _log_probs(policy, params, trajectory))

    return jax.grad(objective)(params)


def _log_probs(
    policy: Policy, params: PyTree, trajectory: Trajectory
) -> Float[Array, "time"]:
    """Return log pi(A_t | S_t) of every row, and 0 on padding."""
    log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, trajectory.observations)
    taken = jnp.take_along_axis(log_probs, trajectory.actions[:, None], axis=1)[:, 0]
    return taken * trajectory.mask
