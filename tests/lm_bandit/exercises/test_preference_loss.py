"""The loss of the reward model, against Bradley and Terry's probabilities."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.reward_model import pairwise_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(pairwise_loss, (0, 1)))


def test_it_is_the_mean_surprise_at_the_answers(rng):
    """The chosen side wins with probability exp(r) / (exp(r) + exp(r'))."""
    chosen, rejected = rng.normal(0.0, 2.0, (2, 4))
    wins = np.exp(chosen) / (np.exp(chosen) + np.exp(rejected))
    loss, (up, down) = compiled(array(chosen), array(rejected))
    assert_allclose(loss, -np.mean(np.log(wins)), rtol=1e-4)
    assert_allclose(up, -(1 - wins) / 4, rtol=1e-3, atol=1e-6)
    assert_allclose(down, (1 - wins) / 4, rtol=1e-3, atol=1e-6)


def test_however_wrong_the_scores_are_it_stays_finite():
    loss, gradients = compiled(array([-200.0, 0.0]), array([200.0, 0.0]))
    assert_allclose(loss, (400.0 + np.log(2.0)) / 2, rtol=1e-5)
    assert np.all(np.isfinite(gradients))
