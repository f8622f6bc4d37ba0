"""The losses of policy-gradient methods, one sample each; callers `vmap` and average.

    score function      log pi(a|s) A                  its gradient is A grad log pi
    importance ratio    rho = pi(a|s) / pi_old(a|s)
    surrogate           rho A                          the same gradient at pi = pi_old
    clipped surrogate   min(rho A, clip(rho, 1 - eps, 1 + eps) A)

Each is an objective: to be raised. A loss is what is lowered: its negative.

Source: Williams (1992); Sutton & Barto (2018), eq. 13.8; Schulman et al. (2015),
eq. 14; Schulman et al. (2017), eqs. 6-7.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


class KLEstimates(NamedTuple):
    """Three estimates of KL(pi || pi_ref) from one sample of pi."""

    k1: Scalar  # unbiased, and often negative
    k2: Scalar  # biased, never negative, quiet
    k3: Scalar  # unbiased and never negative


def score_function(log_prob: Scalar, advantage: Scalar) -> Scalar:
    """Log pi(a|s) A, whose gradient is the REINFORCE estimate A grad log pi(a|s).

    The advantage is data: no gradient flows through it.
    Source: Williams (1992); Sutton & Barto (2018), eq. 13.8.
    """
    return log_prob * stop_gradient(advantage)


def score_function_loss(
    log_probs: Float[Array, "episodes time"],
    advantages: Float[Array, "episodes time"],
    weights: Float[Array, "episodes time"],
) -> Scalar:
    """Minus the sum of log pi A over each episode, a mean over the episodes.

    `weights` is 0 on padding; elsewhere 1, or gamma^t. A sum of products: each action
    is credited with its own advantage. And a sum over time, as J is one number for a
    whole episode, however long. Source: Sutton & Barto (2018), section 13.3.
    """
    scores = jax.vmap(jax.vmap(score_function))(log_probs, advantages)
    return -jnp.sum(weights * scores, axis=1).mean()


def importance_ratio(log_prob: Scalar, old_log_prob: Scalar) -> Scalar:
    """pi(a|s) / pi_old(a|s): how much likelier the action became since it was taken.

    Source: Sutton & Barto (2018), eq. 5.3, for one step.
    """
    return jnp.exp(log_prob - old_log_prob)


def surrogate(log_prob: Scalar, old_log_prob: Scalar, advantage: Scalar) -> Scalar:
    """Rho A: the expected advantage of pi, from samples of pi_old.

    Source: Schulman et al. (2015), eq. 14; Schulman et al. (2017), eq. 6.
    """
    return importance_ratio(log_prob, old_log_prob) * stop_gradient(advantage)


def clipped_surrogate(
    log_prob: Scalar, old_log_prob: Scalar, advantage: Scalar, clip: float | Scalar
) -> Scalar:
    """min(rho A, clip(rho, 1 - eps, 1 + eps) A) with rho = pi / pi_old.

    The minimum makes it a pessimist: a ratio beyond the clip range earns nothing more,
    while one on the wrong side of 1 is still corrected, however far away it is.
    Source: Schulman et al. (2017), eq. 7.
    """
    ratio = importance_ratio(log_prob, old_log_prob)
    clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    advantage = stop_gradient(advantage)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def clipped_surrogate_loss(
    log_probs: Float[Array, "rows *n"],
    old_log_probs: Float[Array, "rows *n"],
    advantages: Float[Array, "rows *n"],
    weights: Float[Array, "rows *n"],
    clip: float | Scalar,
) -> Scalar:
    """Minus the weighted sum of clipped surrogates over each row, a mean over the rows.

    A number is an action, with a ratio and a clip of its own: a row of one is a single
    action, be it a whole text; a row of many is a text token by token. `weights` is 0
    on padding. Source: Schulman et al. (2017), eq. 7.
    """
    numbers = map(jnp.ravel, (log_probs, old_log_probs, advantages))
    surrogates = jax.vmap(clipped_surrogate, (0, 0, 0, None))(*numbers, clip)
    return -jnp.sum(jnp.ravel(weights) * surrogates) / len(weights)


def value_loss(value: Scalar, target: Scalar) -> Scalar:
    """(v(s) - target)^2 / 2; the target is data. Source: Sutton & Barto, eq. 9.1."""
    return 0.5 * (value - stop_gradient(target)) ** 2


def clipped_value_loss(
    value: Scalar, old_value: Scalar, target: Scalar, clip: float | Scalar
) -> Scalar:
    """The larger of two losses: of v(s), and of v(s) kept within eps of the old value.

    A pessimist too: a critic that has moved by more than eps learns no more from this
    sample, unless it moved away from the target. Not in the paper, but in its authors'
    code (Huang et al. 2022, detail 9, who also found that it seldom helps).
    """
    near = old_value + jnp.clip(value - old_value, -clip, clip)
    return jnp.maximum(value_loss(value, target), value_loss(near, target))


def entropy(log_probs: Float[Array, "A"]) -> Scalar:
    """H(pi) = - sum_a pi(a) log pi(a), in nats; an action of probability 0 adds 0."""
    probs = jnp.exp(log_probs)
    return -jnp.sum(jnp.where(probs > 0, probs * log_probs, 0.0))


def kl_estimates(log_prob: Scalar, reference_log_prob: Scalar) -> KLEstimates:
    """KL(pi || pi_ref) from one sample of pi, with d = log pi - log pi_ref.

        k1 = d        k2 = d^2 / 2        k3 = exp(-d) - 1 + d

    The mean of k1 is the KL; k3 adds exp(-d) - 1, whose mean is 0, so that no sample is
    negative. Where the samples come from pi_ref, k3 of the ratio the other way round,
    exp(d) - 1 - d, is what estimates KL(pi_ref || pi). Source: Schulman (2020),
    "Approximating KL divergence".
    """
    difference = log_prob - reference_log_prob
    return KLEstimates(
        k1=difference,
        k2=0.5 * difference**2,
        k3=jnp.exp(-difference) - 1.0 + difference,
    )
