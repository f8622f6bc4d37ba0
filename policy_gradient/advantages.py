"""How much better was it than expected?

    return           G_t = R_{t+1} + gamma G_{t+1}
    TD error         delta_t = R_{t+1} + gamma v(S_{t+1}) - v(S_t)
    GAE              A_t = delta_t + gamma lambda A_{t+1}

All three are one backward recursion. It stops at the end of an episode because the
discount there is 0, and at a cut-off because `continues` is 0. With lambda = 1 the
advantage is the return minus the value; with lambda = 0 it is the TD error.

A baseline is anything that does not look at the action: subtracting it changes the
variance of the gradient and not its expectation.

Source: Sutton & Barto (2018), eqs. 3.9, 6.5, 13.10; Schulman et al. (2016), eq. 16.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from policy_gradient.trajectory import Trajectory


def generalized_advantages(
    trajectory: Trajectory, trace_decay: float | Float[Array, ""]
) -> Float[Array, "time"]:
    """GAE(lambda): the TD errors, summed backwards with weight gamma lambda.

    Source: Schulman et al. (2016), eq. 16.
    """
    _, _, _, rewards, discounts, values, next_values, continues, _ = trajectory
    td_errors = rewards + discounts * next_values - values

    def backward(advantage, step):
        td_error, trace = step
        advantage = td_error + trace * advantage
        return advantage, advantage

    # The trace is cut wherever the next row is another episode's.
    traces = trace_decay * discounts * continues
    start = jnp.zeros_like(td_errors[0])
    _, advantages = jax.lax.scan(backward, start, (td_errors, traces), reverse=True)
    return advantages


def reward_to_go(trajectory: Trajectory) -> Float[Array, "time"]:
    """G_t = R_{t+1} + gamma G_{t+1}, within the episode: GAE(1) over values of 0.

    Source: Sutton & Barto (2018), eq. 3.9.
    """
    zeros = jnp.zeros_like(trajectory.rewards)
    return generalized_advantages(
        trajectory._replace(values=zeros, next_values=zeros), 1.0
    )


def discounts_to_date(trajectory: Trajectory) -> Float[Array, "time"]:
    """gamma^t, counted from the start of the episode that row t belongs to.

    The policy gradient of J = E[G_0] weighs step t by it (Sutton & Barto 2018, p. 328);
    most code leaves it out, and then follows the gradient of something else.
    """

    def forward(weight, step):
        discount, goes_on = step
        following = jnp.where(goes_on > 0, weight * discount, 1.0)
        return following, weight

    start = jnp.ones_like(trajectory.discounts[0])
    steps = (trajectory.discounts, trajectory.continues)
    return jax.lax.scan(forward, start, steps)[1]


def leave_one_out_mean(x: Float[Array, "n"]) -> Float[Array, "n"]:
    """For each of n >= 2 samples, the mean of the others: a baseline without bias.

    The mean of *all* samples contains the sample itself, so subtracting it shrinks the
    expected gradient by 1 - 1/n. Source: Kool et al. (2019), section 3.
    """
    return (jnp.sum(x) - x) / (x.shape[0] - 1)
