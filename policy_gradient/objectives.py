"""The losses of policy-gradient methods, one sample each; callers `vmap` and average.

    score function      log pi(a|s) A                  its gradient is A grad log pi
    importance ratio    rho = pi(a|s) / pi_old(a|s)
    surrogate           rho A                          the same gradient at pi = pi_old
    clipped surrogate   min(rho A, clip(rho, 1 - eps, 1 + eps) A)

Each is an objective: to be raised. A loss is what is lowered: its negative.

Source: Williams (1992); Sutton & Barto (2018), eq. 13.8; Schulman et al. (2015),
eq. 14; Schulman et al. (2017), eqs. 6-7.
"""

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def score_function(log_prob: Scalar, advantage: Scalar) -> Scalar:
    """Log pi(a|s) A, whose gradient is the REINFORCE estimate A grad log pi(a|s).

    The advantage is data: no gradient flows through it.
    Source: Williams (1992); Sutton & Barto (2018), eq. 13.8.
    """
    return log_prob * stop_gradient(advantage)


def clipped_surrogate(
    log_prob: Scalar, old_log_prob: Scalar, advantage: Scalar, clip: float | Scalar
) -> Scalar:
    """min(rho A, clip(rho, 1 - eps, 1 + eps) A) with rho = pi / pi_old.

    The minimum makes it a pessimist: a ratio beyond the clip range earns nothing more,
    while one on the wrong side of 1 is still corrected, however far away it is.
    Source: Schulman et al. (2017), eq. 7.
    """
    ratio = jnp.exp(log_prob - old_log_prob)
    clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def value_loss(value: Scalar, target: Scalar) -> Scalar:
    """(v(s) - target)^2 / 2; the target is data. Source: Sutton & Barto, eq. 9.1."""
    return 0.5 * (value - stop_gradient(target)) ** 2


def entropy(log_probs: Float[Array, "A"]) -> Scalar:
    """H(pi) = - sum_a pi(a) log pi(a), in nats; an action of probability 0 adds 0."""
    probs = jnp.exp(log_probs)
    return -jnp.sum(jnp.where(probs > 0, probs * log_probs, 0.0))
