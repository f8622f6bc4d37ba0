"""Objectives of policy-gradient methods for one sample; callers `vmap` and average.

    score function      log pi(a|s) A                  its gradient is A grad log pi
    importance ratio    rho = pi(a|s) / pi_old(a|s)
    surrogate           rho A                          the same gradient at pi = pi_old
    clipped surrogate   min(rho A, clip(rho, 1 - eps, 1 + eps) A)

An objective is raised. A loss is lowered: it is the negative of an objective.

Source: Williams (1992); Sutton & Barto (2018), eq. 13.8; Schulman et al. (2015),
eq. 14; Schulman et al. (2017), eqs. 6-7.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

Scalar = Float[Array, ""]  # one number


class KLEstimates(NamedTuple):
    """Three estimates of KL(pi || pi_ref) from one sample of pi."""

    k1: Scalar  # unbiased, and often negative
    k2: Scalar  # biased, never negative, of small variance
    k3: Scalar  # unbiased and never negative


def score_function(log_prob: Scalar, advantage: Scalar) -> Scalar:
    """Log pi(a|s) A: its gradient is the REINFORCE estimate A grad log pi(a|s).

    The advantage is data: no gradient flows through it.
    Source: Williams (1992); Sutton & Barto (2018), eq. 13.8.
    """
    return log_prob * stop_gradient(advantage)


def score_function_loss(
    log_probs: Float[Array, "episodes time"],
    advantages: Float[Array, "episodes time"],
    weights: Float[Array, "episodes time"],
) -> Scalar:
    """Minus the sum of log pi A over each episode, as a mean over the episodes.

    `weights` is 0 on padding, and 1 or gamma^t elsewhere. It is a sum of products: each
    action is credited with its own advantage. It is a sum over time, because J is one
    number for a whole episode, however long. Source: Sutton & Barto (2018), section
    13.3.
    """
    scores = jax.vmap(jax.vmap(score_function))(log_probs, advantages)
    return -jnp.sum(weights * scores, axis=1).mean()


def importance_ratio(log_prob: Scalar, old_log_prob: Scalar) -> Scalar:
    """Return rho = pi(a|s) / pi_old(a|s), by which the action became likelier.

    Source: Sutton & Barto (2018), eq. 5.3, for one step.
    """
    return jnp.exp(log_prob - old_log_prob)


def surrogate(log_prob: Scalar, old_log_prob: Scalar, advantage: Scalar) -> Scalar:
    """Return rho A; its mean over samples of pi_old is the expected advantage of pi.

    rho = pi(a|s) / pi_old(a|s) is the importance ratio. The advantage A is data: no
    gradient flows through it.
    Source: Schulman et al. (2015), eq. 14; Schulman et al. (2017), eq. 6.
    """
    return importance_ratio(log_prob, old_log_prob) * stop_gradient(advantage)


def clipped_surrogate(
    log_prob: Scalar, old_log_prob: Scalar, advantage: Scalar, clip: float | Scalar
) -> Scalar:
    """Return min(rho A, clip(rho, 1 - eps, 1 + eps) A) with rho = pi / pi_old.

    The minimum is pessimistic: a ratio beyond the clip range gains nothing more, but a
    ratio on the wrong side of 1 is still corrected, however far away it is. The
    advantage is data: no gradient flows through it.
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
    """Minus the weighted sum of clipped surrogates over each row, as a mean over rows.

    Each number is one action, with its own ratio and its own clip. A row of one number
    is a single action, which may be a whole text; a row of many numbers is a text token
    by token. `weights` is 0 on padding. Source: Schulman et al. (2017), eq. 7.
    """
    surrogates = jax.vmap(clipped_surrogate, (0, 0, 0, None))(
        log_probs.ravel(), old_log_probs.ravel(), advantages.ravel(), clip
    )
    return -jnp.sum(weights.ravel() * surrogates) / len(weights)


def value_loss(value: Scalar, target: Scalar) -> Scalar:
    """Half of the squared error (v(s) - target)^2 / 2; the target is data.

    Source: Sutton & Barto (2018), eqs. 9.1 and 9.7.
    """
    return 0.5 * (value - stop_gradient(target)) ** 2


def clipped_value_loss(
    value: Scalar, old_value: Scalar, target: Scalar, clip: float | Scalar
) -> Scalar:
    """The larger of two losses: of v(s), and of v(s) kept within eps of the old value.

    It is pessimistic too: a critic that has moved by more than eps learns no more from
    this sample, unless it moved away from the target. The PPO paper does not have it,
    but its authors' code does. Source: Huang et al. (2022), detail 9; they also found
    that it seldom helps.
    """
    near = old_value + jnp.clip(value - old_value, -clip, clip)
    return jnp.maximum(value_loss(value, target), value_loss(near, target))


def entropy(log_probs: Float[Array, "A"]) -> Scalar:
    """Entropy H(pi) = - sum_a pi(a) log pi(a), in nats.

    An action of probability 0 adds 0. Source: Shannon (1948), section 6.
    """
    probs = jnp.exp(log_probs)
    return -jnp.sum(jnp.where(probs > 0, probs * log_probs, 0.0))


def kl_estimates(log_prob: Scalar, reference_log_prob: Scalar) -> KLEstimates:
    """Estimates of KL(pi || pi_ref) from one sample of pi, d = log pi - log pi_ref.

        k1 = d        k2 = d^2 / 2        k3 = exp(-d) - 1 + d

    The mean of k1 is the KL. k3 adds exp(-d) - 1, whose mean is 0, and thereby makes
    every sample at least 0. If the samples come from pi_ref instead, KL(pi_ref || pi)
    is estimated by k3 with the sign of d changed, exp(d) - 1 - d.
    Source: Schulman (2020), "Approximating KL divergence".
    """
    difference = log_prob - reference_log_prob
    return KLEstimates(
        k1=difference,
        k2=0.5 * difference**2,
        k3=exp_above_tangent(-difference),
    )


def exp_above_tangent(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return exp(x) - 1 - x >= 0, with nearly all digits that the number type holds.

        x^2/2 (1 + x/3 (1 + x/4 (1 + ...)))     where |x| < 1/2

    Written as it stands, the difference of numbers near 1 is mostly rounding: in
    float32 half of the results at |x| = 1e-4 are negative. Source: Higham (2002),
    "Accuracy and stability of numerical algorithms", section 1.14, on expm1.
    """
    is_small = jnp.abs(x) < 0.5
    # Both branches are computed, and must have finite gradients.
    small = jnp.where(is_small, x, 0.0)
    series = jnp.ones_like(x)
    for n in reversed(range(3, 12)):
        series = 1.0 + small / n * series
    return jnp.where(is_small, 0.5 * small**2 * series, jnp.expm1(x) - x)
