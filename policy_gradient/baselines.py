"""Baselines: the return to expect, whatever the action.

    E[ b grad log pi(A|S) ]  =  b grad sum_a pi(a|S)  =  b grad 1  =  0

Anything that does not depend on the action may therefore be subtracted from the return:
the expected gradient stays the same, and its variance changes. A trajectory becomes
likelier if its return is above the baseline, and less likely if it is below.

    none             0
    constant         one number that never changes
    average          the mean return of the batch: it depends on the action a little
    leave one out    the mean return of the *other* episodes: it does not
    value            v(S_t), learned beside the policy
    optimal          the constant with the least variance

Source: Williams (1992); Greensmith et al. (2004), section 4; Sutton & Barto (2018),
section 13.4.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from policy_gradient.config import Baseline
from policy_gradient.trajectory import Trajectory, masked_mean


def subtract(
    returns: Float[Array, "episodes time"],
    baseline: float | Float[Array, "..."],
    mask: Float[Array, "episodes time"],
) -> Float[Array, "episodes time"]:
    """Return G_t - b on each row that happened, and 0 on padding.

    One number b for all rows is the constant baseline; shape [episodes, 1] is one for
    each episode, and [episodes, time] one for each row.

    Source: Williams (1992), section 4; Sutton & Barto (2018), eq. 13.11.
    """
    return (returns - baseline) * mask


def subtract_named(
    name: Baseline,
    returns: Float[Array, "episodes time"],
    trajectories: Trajectory,
    constant: float | Float[Array, ""],
) -> Float[Array, "episodes time"]:
    """Return G_t - b with the baseline of that name; `constant` is for "constant"."""
    baseline: float | Array
    match name:
        case "none":
            baseline = 0.0
        case "constant":
            baseline = constant
        case "average":
            baseline = average(returns, trajectories.mask)
        case "leave_one_out":
            baseline = leave_one_out(returns, trajectories.mask)
        case "value":
            baseline = trajectories.values
    return subtract(returns, baseline, trajectories.mask)


def average(
    returns: Float[Array, "episodes time"], mask: Float[Array, "episodes time"]
) -> Float[Array, ""]:
    """Mean return of all rows that happened.

    It contains the sample from which it is subtracted. With n episodes of one step each
    this multiplies the expected gradient by exactly 1 - 1/n. Source: Kool et al.
    (2019), section 3.
    """
    return masked_mean(returns, mask)


def leave_one_out(
    returns: Float[Array, "episodes time"], mask: Float[Array, "episodes time"]
) -> Float[Array, "episodes 1"]:
    """Mean return of all rows of the other episodes, for each of at least two.

    Source: Kool et al. (2019), section 3.
    """
    totals = jnp.sum(returns * mask, axis=1)
    lengths = jnp.sum(mask, axis=1)
    return ((totals.sum() - totals) / (lengths.sum() - lengths))[:, None]


def leave_one_out_mean(x: Float[Array, "n"]) -> Float[Array, "n"]:
    """Mean of the other samples, for each of n >= 2: a baseline without bias.

    The mean of *all* samples contains the sample itself, so subtracting it multiplies
    the expected gradient by 1 - 1/n. Source: Kool et al. (2019), section 3.
    """
    return (jnp.sum(x) - x) / (x.shape[0] - 1)


def optimal_constant(
    gradients: Float[Array, "episodes d"], scores: Float[Array, "episodes d"]
) -> Float[Array, ""]:
    """Return the constant b with the least variance of `gradients - b * scores`.

        b  =  E[ <gradient, score> ] / E[ |score|^2 ]

    A row of `gradients` is an episode's estimate without a baseline. A row of `scores`
    is what a baseline of 1 subtracts from it. The result is close to the mean return,
    but weighs each return by how much its episode moves the parameters.

    Source: Greensmith et al. (2004), theorem 8; Peters & Schaal (2008), eq. 17.
    """
    return jnp.sum(gradients * scores) / jnp.sum(scores**2)
