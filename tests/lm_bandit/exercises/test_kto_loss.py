"""KTO's loss, completion by completion."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.alternatives.kto import kto_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(kto_loss))
OKAY = np.array([True, False, False, True])


def test_what_is_gained_is_measured_against_the_standard(rng):
    log_ratios, kl = rng.normal(0.0, 3.0, 4), rng.uniform(0.5, 2.0)
    beta = rng.uniform(0.1, 0.9)
    values = []
    for log_ratio, okay in zip(log_ratios, OKAY, strict=True):
        h, z = beta * log_ratio, beta * kl
        values.append(1 / (1 + np.exp(-(h - z) if okay else -(z - h))))
    given = array(log_ratios), jnp.asarray(OKAY), array(kl)
    loss, slopes = compiled(*given, beta)
    assert_allclose(loss, 1 - np.mean(values), rtol=1e-4)
    steepness = beta * np.multiply(values, np.subtract(1, values)) / 4
    assert_allclose(slopes, np.where(OKAY, -steepness, steepness), rtol=1e-3)


def test_at_the_standard_a_label_pulls_most_and_far_from_it_hardly(rng):
    beta, kl = rng.uniform(0.3, 0.9), rng.uniform(0.5, 2.0)
    given = array([kl, kl - 30.0, kl + 30.0]), jnp.array([True] * 3), array(kl)
    loss, slopes = compiled(*given, beta)
    assert_allclose(loss, 0.5, rtol=1e-4)
    assert_allclose(slopes[0], -beta / 12, rtol=1e-4)
    assert (np.abs(slopes[1:]) < 1e-3).all()
