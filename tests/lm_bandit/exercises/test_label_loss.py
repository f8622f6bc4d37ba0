"""Labels, against the chance of each."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.likelihoods import label_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(label_loss))
OKAY = np.array([True, False, True, False, False])


def test_it_is_the_mean_surprise_at_the_labels(rng):
    rewards = rng.normal(0.0, 1.5, 5)
    p = np.exp(rewards) / (1 + np.exp(rewards))
    surprises = -np.log(np.where(OKAY, p, 1 - p))
    loss, slopes = compiled(array(rewards), jnp.asarray(OKAY))
    assert_allclose(loss, surprises.mean(), rtol=1e-4)
    assert_allclose(slopes, (p - OKAY) / 5, rtol=1e-3, atol=1e-6)


def test_however_wrong_the_rewards_are_it_stays_finite():
    loss, slopes = compiled(array([-200.0, 200.0]), jnp.array([True, False]))
    assert_allclose(loss, 200.0, rtol=1e-5)
    assert_allclose(slopes, [-0.5, 0.5], rtol=1e-5)
