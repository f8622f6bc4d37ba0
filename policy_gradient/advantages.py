"""Advantages: by how much was the outcome of an action better than expected?

    return           G_t = R_{t+1} + gamma G_{t+1}
    TD error         delta_t = R_{t+1} + gamma v(S_{t+1}) - v(S_t)
    GAE              A_t = delta_t + gamma lambda A_{t+1}

Returns and GAE are one backward recursion. It stops at the end of an episode because
the discount there is 0, and at a cut-off because `continues` is 0. With lambda = 1 the
advantage is the return minus the value; with lambda = 0 it is the TD error.

Source: Sutton & Barto (2018), eqs. 3.9, 6.5, 7.1; Schulman et al. (2016), eq. 16.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from policy_gradient.trajectory import Trajectory


def td_errors(trajectory: Trajectory) -> Float[Array, "time"]:
    """TD errors R_{t+1} + gamma v(S_{t+1}) - v(S_t); after an ending, v is 0.

    Source: Sutton & Barto (2018), eq. 6.5.
    """
    x = trajectory
    return x.rewards + x.discounts * x.next_values - x.values


def generalized_advantages(
    trajectory: Trajectory, trace_decay: float | Float[Array, ""]
) -> Float[Array, "time"]:
    """GAE(lambda): the sum over k of (gamma lambda)^k delta_{t+k}, in one episode.

        A_t = delta_t + gamma lambda A_{t+1},   0 after the last row of an episode

    Source: Schulman et al. (2016), eq. 16.
    """

    def backward(
        advantage: Float[Array, ""], step: tuple[Float[Array, ""], Float[Array, ""]]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        td_error, trace = step
        advantage = td_error + trace * advantage
        return advantage, advantage

    # The trace is cut wherever the next row belongs to another episode.
    traces = trace_decay * trajectory.discounts * trajectory.continues
    steps = (td_errors(trajectory), traces)
    start = jnp.zeros_like(traces[0])
    return jax.lax.scan(backward, start, steps, reverse=True)[1]


def reward_to_go(trajectory: Trajectory) -> Float[Array, "time"]:
    """Return G_t, the discounted sum of the rewards that follow in the same episode.

        G_t = R_{t+1} + gamma G_{t+1},   0 after the last row of an episode

    The trajectory may hold several episodes. An episode that was cut off adds nothing
    for what would have followed.
    Source: Sutton & Barto (2018), eq. 3.9.
    """
    # This is GAE(1) of a critic whose values are all 0.
    zeros = jnp.zeros_like(trajectory.rewards)
    return generalized_advantages(
        trajectory._replace(values=zeros, next_values=zeros), 1.0
    )


def n_step_advantages(trajectory: Trajectory, n: int) -> Float[Array, "time"]:
    """n-step advantages R_{t+1} + ... + gamma^n v(S_{t+n}) - v(S_t).

    Where the episode or the rows stop within n steps, the value there is used instead.
    Source: Sutton & Barto (2018), eq. 7.1.
    """
    errors = td_errors(trajectory)
    traces = trajectory.discounts * trajectory.continues
    advantages, weights = jnp.zeros_like(errors), jnp.ones_like(errors)
    for _ in range(n):
        advantages = advantages + weights * errors
        weights = weights * traces
        # Move on by one step; beyond the last row there is nothing.
        errors, traces = (jnp.append(x[1:], 0.0) for x in (errors, traces))
    return advantages


def discounts_to_date(trajectory: Trajectory) -> Float[Array, "time"]:
    """The weight gamma^t of each row, with t counted from the start of its episode.

    The policy gradient of J = E[G_0] weighs step t by it. Most code leaves it out, and
    then does not follow the gradient of J. Source: Sutton & Barto (2018), p. 328.
    """

    def forward(
        weight: Float[Array, ""], step: tuple[Float[Array, ""], Float[Array, ""]]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        discount, goes_on = step
        following = jnp.where(goes_on > 0, weight * discount, 1.0)
        return following, weight

    start = jnp.ones_like(trajectory.discounts[0])
    steps = (trajectory.discounts, trajectory.continues)
    return jax.lax.scan(forward, start, steps)[1]


def normalize(advantages: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Shift and scale advantages to mean 0 and standard deviation 1.

    The size of a gradient step then no longer depends on the unit of the rewards. The
    PPO paper does not have it, but its authors' code does. Source: Huang et al. (2022),
    detail 7.

    The deviation divides by n, as in the authors' code, and 1e-8 is added to it. That
    of Stable-Baselines3, TRL and verl divides by n - 1, so that their advantages are
    sqrt((n - 1) / n) of these; TRL and verl add the 1e-8 to the variance.
    """
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)
