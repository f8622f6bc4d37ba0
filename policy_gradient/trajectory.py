"""The record of what a policy did: every algorithm learns from these arrays.

Time is indexed once: `rewards[t]` is R_{t+1}, which the action at t earned, and
`discounts[t]` is gamma, or 0 where that step ended the episode. There is no `done`.

Two events stop an episode, and only the first of them ends it:

    ended    discounts[t] = 0        nothing follows, so nothing is bootstrapped
    cut off  discounts[t] = gamma    the episode could go on from a state whose value
                                     is `next_values[t]`

Both set `continues[t] = 0`: the next row belongs to another episode.

Source: Sutton & Barto (2018), sections 3.3-3.4; Pardo et al. (2018) on cut-offs.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


class Trajectory(NamedTuple):
    """Time-major arrays of one environment; `vmap` adds other axes in front."""

    observations: PyTree  # [time, ...] O_t, what the policy saw
    actions: PyTree  # [time, ...] A_t
    log_probs: Float[Array, "time"]  # log pi(A_t | O_t) of the policy that acted
    rewards: Float[Array, "time"]  # R_{t+1}
    discounts: Float[Array, "time"]  # gamma, or 0 where the step ended the episode
    values: Float[Array, "time"]  # v(O_t), by the critic that acted; 0 without one
    next_values: Float[Array, "time"]  # v(O_{t+1}), of the state before any reset
    continues: Float[Array, "time"]  # 0 where row t + 1 belongs to another episode
    mask: Float[Array, "time"]  # 1 on rows that happened, 0 on padding


class Batch(NamedTuple):
    """The rows that an update learns from, in any order.

    A row holds one sample, or several: *n are the steps of an episode, the tokens of a
    text, or no axis at all.
    """

    observations: PyTree  # [rows, ...]
    actions: PyTree  # [rows, ...]
    log_probs: Float[Array, "rows *n"]  # of the policy that acted: never recomputed
    values: Float[Array, "rows *n"]  # of the critic that acted; 0 without one
    advantages: Float[Array, "rows *n"]
    value_targets: Float[Array, "rows *n"]
    weights: Float[Array, "rows *n"]  # of each sample in its row's sum; 0 on padding

    def mean_of_rows(self, x: Float[Array, "rows *n"]) -> Float[Array, ""]:
        """Return the mean over the rows of the weighted sum of x over each row."""
        return jnp.sum(self.weights * x) / len(self.weights)

    def mean_of_samples(self, x: Float[Array, "rows *n"]) -> Float[Array, ""]:
        """Return the weighted mean of x over all samples."""
        return masked_mean(x, self.weights)

    def as_single_samples(self) -> "Batch":
        """Return the batch [n, time] as n * time rows of one sample each."""
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), self)


def batch_of(
    trajectories: Trajectory,
    advantages: Float[Array, "n time"],
    value_targets: Float[Array, "n time"],
) -> Batch:
    """Return trajectories and their estimates as a batch: each trajectory is a row."""
    return Batch(
        observations=trajectories.observations,
        actions=trajectories.actions,
        log_probs=trajectories.log_probs,
        values=trajectories.values,
        advantages=advantages,
        value_targets=value_targets,
        weights=trajectories.mask,
    )


def masked_mean(x: Float[Array, "*n"], mask: Float[Array, "*n"]) -> Float[Array, ""]:
    """Return the mean of x over the rows that happened, or 0 if there are none."""
    return jnp.sum(x * mask) / jnp.maximum(jnp.sum(mask), 1.0)
