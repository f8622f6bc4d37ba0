"""What to look at while it learns: the same few numbers for every algorithm.

    entropy              falls as the policy makes up its mind; to 0 too soon is a fault
    approximate KL       how far one update moved the policy
    clip fraction        how many samples have left PPO's clip range
    explained variance   of the returns, by the critic: 1 is perfect, 0 is a constant
    gradient norm        a jump is a warning
    first ratio          pi / pi_old before the first step: 1, or there is a bug

Source: Schulman (2020), "Approximating KL divergence"; Huang et al. (2022).
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree, Scalar

from policy_gradient.policies import Evaluation
from policy_gradient.trajectory import Trajectory, masked_mean


class Diagnostics(NamedTuple):
    """How an update went: means over its gradient steps, but for `first_ratio`."""

    loss: Float[Array, "..."]
    entropy: Float[Array, "..."]  # of the policy, in nats
    approx_kl: Float[Array, "..."]  # KL(pi_old || pi): E[rho - 1 - log rho], >= 0
    clip_fraction: Float[Array, "..."]  # of samples whose ratio is out of range
    explained_variance: Float[Array, "..."]  # of the targets, by the critic that acted
    gradient_norm: Float[Array, "..."]  # before it is cut
    first_ratio: Float[Array, "..."]  # pi / pi_old at the first step: must be 1


class History(NamedTuple):
    """One row per update: what was sampled, then the `Diagnostics`."""

    steps: Int[Array, "..."]  # of the environments, so far
    episode_return: Float[Array, "..."]  # mean G_0 of those that stopped; nan if none
    loss: Float[Array, "..."]
    entropy: Float[Array, "..."]
    approx_kl: Float[Array, "..."]
    clip_fraction: Float[Array, "..."]
    explained_variance: Float[Array, "..."]
    gradient_norm: Float[Array, "..."]
    first_ratio: Float[Array, "..."]


def of_one_step(
    loss: Scalar,
    gradient: PyTree,
    before: Evaluation,
    after: Evaluation,
    trajectories: Trajectory,
    targets: Float[Array, "n time"],
) -> Diagnostics:
    """Of an update with one gradient step, of which nothing is clipped."""
    mask = trajectories.mask
    return Diagnostics(
        loss=loss,
        entropy=masked_mean(before.entropy, mask),
        approx_kl=approximate_kl(after.log_prob, trajectories.log_probs, mask),
        clip_fraction=jnp.zeros_like(loss),
        explained_variance=explained_variance(trajectories.values, targets, mask),
        gradient_norm=optax.tree.norm(gradient),
        first_ratio=masked_mean(
            jnp.exp(before.log_prob - trajectories.log_probs), mask
        ),
    )


def approximate_kl(
    log_probs: Float[Array, "*n"],
    old_log_probs: Float[Array, "*n"],
    mask: Float[Array, "*n"],
) -> Scalar:
    """KL(pi_old || pi) from samples of pi_old: the mean of rho - 1 - log rho."""
    log_ratios = log_probs - old_log_probs
    return masked_mean(jnp.exp(log_ratios) - 1.0 - log_ratios, mask)


def explained_variance(
    values: Float[Array, "*n"], targets: Float[Array, "*n"], mask: Float[Array, "*n"]
) -> Scalar:
    """1 - Var[target - v] / Var[target]: 1 for a perfect critic, 0 for a constant one.

    0 too where the targets do not vary.
    """

    def variance(x):
        return masked_mean((x - masked_mean(x, mask)) ** 2, mask)

    of_targets = variance(targets)
    varies = of_targets > 0
    share = variance(targets - values) / jnp.where(varies, of_targets, 1.0)
    return jnp.where(varies, 1.0 - share, 0.0)


def mean_where_known(x: Float[Array, "*n"]) -> Scalar:
    """The mean of what is not nan, as is the return of an episode that goes on."""
    known = ~jnp.isnan(x)
    total = jnp.sum(jnp.where(known, x, 0.0))
    return jnp.where(known.any(), total / jnp.maximum(known.sum(), 1), jnp.nan)
