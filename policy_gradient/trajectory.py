"""What a policy did and what came of it: the one record that every algorithm reads.

Time is indexed once and for all: `rewards[t]` is R_{t+1}, what the action at t earned,
and `discounts[t]` is gamma, or 0 where that step ended the episode. There is no `done`.

Two different things stop an episode, and only one of them ends it:

    ended    discounts[t] = 0        nothing follows, so nothing is bootstrapped
    cut off  discounts[t] = gamma    the state went on being worth `next_values[t]`

Both set `continues[t] = 0`: the next row belongs to another episode.

Source: Sutton & Barto (2018), sections 3.3-3.4; Pardo et al. (2018) on cut-offs.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


class Trajectory(NamedTuple):
    """Time-major arrays of one environment; `vmap` adds the others in front."""

    observations: PyTree  # [time, ...] O_t, what the policy saw
    actions: PyTree  # [time, ...] A_t
    log_probs: Float[Array, "time"]  # log pi(A_t | O_t) of the policy that acted
    rewards: Float[Array, "time"]  # R_{t+1}
    discounts: Float[Array, "time"]  # gamma, or 0 where the step ended the episode
    values: Float[Array, "time"]  # v(O_t), by the critic that acted; 0 without one
    next_values: Float[Array, "time"]  # v(O_{t+1}), of the state before any reset
    continues: Float[Array, "time"]  # 0 where row t + 1 belongs to another episode
    mask: Float[Array, "time"]  # 1 on rows that happened, 0 on padding


def masked_mean(x: Float[Array, "*n"], mask: Float[Array, "*n"]) -> Float[Array, ""]:
    """The mean of the rows that happened; 0 where none did."""
    return jnp.sum(x * mask) / jnp.maximum(jnp.sum(mask), 1.0)
