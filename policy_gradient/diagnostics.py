"""Numbers to watch during training; every algorithm reports the same ones.

    entropy              falls as the policy becomes certain; 0 too soon is a fault
    approximate KL       how far one update moved the policy
    clip fraction        the share of samples whose ratio has left PPO's clip range
    explained variance   of the critic: 1 is perfect, 0 is no better than a constant
    gradient norm        a jump is a warning
    first ratio          pi / pi_old before the first step: 1, or there is a bug

Source: Schulman (2020), "Approximating KL divergence"; Huang et al. (2022).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Scalar

from policy_gradient.objectives import exp_above_tangent, importance_ratio
from policy_gradient.policies import Evaluation
from policy_gradient.trajectory import Batch, masked_mean


class Diagnostics(NamedTuple):
    """Measurements of one update: means over its steps, except `first_ratio`."""

    loss: Float[Array, "..."]
    entropy: Float[Array, "..."]  # of the policy, in nats
    approx_kl: Float[Array, "..."]  # KL(pi_old || pi): E[rho - 1 - log rho], >= 0
    clip_fraction: Float[Array, "..."]  # of samples whose ratio is out of range
    explained_variance: Float[Array, "..."]  # of the targets, by the critic that acted
    gradient_norm: Float[Array, "..."]  # before it is cut
    first_ratio: Float[Array, "..."]  # pi / pi_old at the first step: must be 1


class History(NamedTuple):
    """One row per update: what was sampled, then its `Diagnostics`."""

    steps: Int[Array, "..."]  # of all environments, since training began
    episode_return: Float[Array, "..."]  # mean G_0 of those that stopped; nan if none
    loss: Float[Array, "..."]
    entropy: Float[Array, "..."]
    approx_kl: Float[Array, "..."]
    clip_fraction: Float[Array, "..."]
    explained_variance: Float[Array, "..."]
    gradient_norm: Float[Array, "..."]
    first_ratio: Float[Array, "..."]


def measure(
    loss: Scalar,
    now: Evaluation,
    batch: Batch,
    clip: float | Scalar = float("inf"),
) -> Diagnostics:
    """Return the diagnostics of one gradient step; its norm is 0 until it is known.

    Args:
        loss: the loss at the present parameters.
        now: the batch's actions, evaluated at the present parameters.
        batch: the samples; those of weight 0 do not count.
        clip: eps of PPO's clip range; infinite for algorithms that do not clip.

    The clip fraction counts |rho - 1| > eps, as in the authors' code and in
    Stable-Baselines3. TRL and verl count only where the clip acts, which is where the
    clipped term is the smaller one: rho > 1 + eps with A > 0, or rho < 1 - eps with
    A < 0. Theirs is never above ours. No clip fraction of values is reported.
    """
    ratios = jnp.vectorize(importance_ratio)(now.log_prob, batch.log_probs)
    outside = (jnp.abs(ratios - 1.0) > clip).astype(ratios.dtype)
    return Diagnostics(
        loss=loss,
        entropy=masked_mean(now.entropy, batch.weights),
        approx_kl=approximate_kl(now.log_prob, batch.log_probs, batch.weights),
        clip_fraction=masked_mean(outside, batch.weights),
        explained_variance=explained_variance(
            batch.values, batch.value_targets, batch.weights
        ),
        gradient_norm=jnp.zeros_like(loss),
        first_ratio=masked_mean(ratios, batch.weights),
    )


def approximate_kl(
    log_probs: Float[Array, "*n"],
    old_log_probs: Float[Array, "*n"],
    mask: Float[Array, "*n"],
) -> Scalar:
    """KL(pi_old || pi), estimated from samples of pi_old: mean of rho - 1 - log rho.

    Source: Schulman (2020), "Approximating KL divergence", the estimator k3.
    """
    return masked_mean(exp_above_tangent(log_probs - old_log_probs), mask)


def explained_variance(
    values: Float[Array, "*n"], targets: Float[Array, "*n"], mask: Float[Array, "*n"]
) -> Scalar:
    """1 - Var[target - v] / Var[target]: 1 for a perfect critic, 0 for a constant one.

    It is also 0 where the targets do not vary.
    """

    def variance(x: Float[Array, "*n"]) -> Scalar:
        return masked_mean((x - masked_mean(x, mask)) ** 2, mask)

    total = variance(targets)
    varies = total > 0
    share = variance(targets - values) / jnp.where(varies, total, 1.0)
    return jnp.where(varies, 1.0 - share, 0.0)


def mean_of_finished(returns: Float[Array, "*n"]) -> Scalar:
    """Return the mean of the entries that are not nan, or nan if there are none.

    The return of an episode that has not stopped yet is nan.
    """
    finished = ~jnp.isnan(returns)
    total = jnp.sum(jnp.where(finished, returns, 0.0))
    return jnp.where(finished.any(), total / jnp.maximum(finished.sum(), 1), jnp.nan)
