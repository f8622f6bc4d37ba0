"""Scores read on the scales of those who gave them."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.likelihoods import score_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(score_loss, (0, 2, 3)))


def drawn(rng):
    """Rewards, scores, offsets and scales of four answers."""
    rewards, offsets = rng.normal(0.0, 1.0, 4), rng.normal(5.0, 1.0, 4)
    return rewards, rng.integers(1, 11, 4), offsets, rng.uniform(0.5, 2.0, 4)


def test_it_is_the_squared_error_of_what_the_annotator_would_say(rng):
    rewards, scores, offsets, scales = drawn(rng)
    errors = [
        s - (a + b * r)
        for r, s, a, b in zip(rewards, scores, offsets, scales, strict=True)
    ]
    given = array(rewards), jnp.asarray(scores), array(offsets), array(scales)
    loss, slopes = compiled(*given)
    assert_allclose(loss, np.mean(np.square(errors)), rtol=1e-4)
    expected = np.multiply(-0.5, [errors * scales, errors, errors * rewards])
    for slope, by_hand in zip(slopes, expected, strict=True):
        assert_allclose(slope, by_hand, rtol=1e-3, atol=1e-5)


def test_a_strict_and_a_lenient_annotator_of_one_opinion_cost_nothing(rng):
    reward = rng.normal()
    offsets = np.array([3.0, 6.0]) - np.array([1.0, 2.0]) * reward
    given = (
        array([reward, reward]),
        jnp.array([3, 6]),
        array(offsets),
        array([1.0, 2.0]),
    )
    assert_allclose(compiled(*given)[0], 0.0, atol=1e-9)
