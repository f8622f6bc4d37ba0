"""Estimates of the gradient from one episode: what each action's score is weighted by.

    grad J  =  E[ sum_t weight_t grad log pi(A_t | S_t) ]

The log-derivative trick gives the first of them: the probability of a whole trajectory
is a product, its logarithm a sum, and the world's part of it does not depend on theta.

    whole return       G_0              all that was earned, also before the action
    reward to go       gamma^t G_t      an action cannot change the past: less noise
    as most code has   G_t              without gamma^t: the gradient of something else

Where the episode is one of another policy, b, a reward counts as much more as its
actions so far are likelier now, and the weights are made of such rewards:

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
    """G_0 for every action of the episode."""
    return jnp.full_like(trajectory.rewards, reward_to_go(trajectory)[0])


def discounted_reward_to_go(trajectory: Trajectory) -> Float[Array, "time"]:
    """gamma^t G_t: what followed the action, as J = E[G_0] counts it."""
    return discounts_to_date(trajectory) * reward_to_go(trajectory)


def undiscounted_reward_to_go(trajectory: Trajectory) -> Float[Array, "time"]:
    """G_t: what followed the action, as it counts from there."""
    return reward_to_go(trajectory)


def as_if_on_policy(
    policy: Policy, params: PyTree, trajectory: Trajectory
) -> Trajectory:
    """The episode of another policy, each reward times the ratio of the way to it.

    Only the actions before a reward could bring it about: so fewer factors, and less
    noise, than with the ratio of the whole episode. For the reward to go.
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
    """sum_t weight_t grad log pi(A_t | S_t), over one episode."""

    def objective(params):
        return jnp.sum(stop_gradient(weights) * _log_probs(policy, params, trajectory))

    return jax.grad(objective)(params)


def _log_probs(policy, params, trajectory) -> Float[Array, "time"]:
    """Log pi(A_t | S_t) of every row; 0 on padding."""
    log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, trajectory.observations)
    taken = jnp.take_along_axis(log_probs, trajectory.actions[:, None], axis=1)[:, 0]
    return taken * trajectory.mask
