"""Scores as ordered words, against the chances of the ten, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.likelihoods import ordinal_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(ordinal_loss))


def test_a_score_of_at_most_k_is_as_likely_as_the_cut_says_and_all_ten_sum_to_1(rng):
    reward, cuts = rng.normal(), np.sort(rng.normal(0.0, 2.0, 9))
    probs = [
        np.exp(-float(compiled(array([reward]), jnp.array([score]), array(cuts))[0]))
        for score in range(1, 11)
    ]
    up_to = [*(1 / (1 + np.exp(reward - cuts))), 1.0]
    assert_allclose(np.cumsum(probs), up_to, rtol=1e-3)


def test_it_is_the_mean_over_answers(rng):
    rewards, scores = rng.normal(0.0, 2.0, 3), rng.integers(1, 11, 3)
    cuts = array(np.linspace(-4.0, 4.0, 9))
    alone = [
        float(compiled(array([r]), jnp.array([s]), cuts)[0])
        for r, s in zip(rewards, scores, strict=True)
    ]
    loss, _ = compiled(array(rewards), jnp.asarray(scores), cuts)
    assert_allclose(loss, np.mean(alone), rtol=1e-4)


def test_a_score_that_nobody_expected_is_a_large_surprise_and_finite():
    """Far away, log P falls by 1 for each step of the reward."""
    cuts = array(np.arange(-4.0, 5.0))
    for reward, sign in ((50.0, 1), (-50.0, -1)):
        near, _ = compiled(array([reward]), jnp.array([5]), cuts)
        far, slope = compiled(array([reward + 7 * sign]), jnp.array([5]), cuts)
        assert_allclose(far - near, 7.0, rtol=1e-4)
        assert_allclose(slope, [float(sign)], rtol=1e-4)
