"""Baselines, against single rows and over all outcomes of a small experiment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import baselines
from policy_gradient.baselines import leave_one_out_mean
from tests.policy_gradient import inputs, oracles
from tests.policy_gradient.inputs import array


def returns_and_mask(rng):
    mask = inputs.mask(rng)
    return rng.normal(2.0, 3.0, mask.shape), mask


subtract = jax.jit(baselines.subtract)


def test_a_constant_baseline_is_subtracted_from_every_row_that_happened(rng):
    returns, mask = returns_and_mask(rng)
    for baseline in (-1.5, 0.0, 4.0):
        got = np.asarray(subtract(array(returns), array(baseline), array(mask)))
        for row, happened in np.ndenumerate(mask):
            expected = returns[row] - baseline if happened else 0.0
            assert_allclose(got[row], expected, rtol=1e-5, atol=1e-5)


def test_a_constant_baseline_shifts_all_advantages_equally(rng):
    """The expected score is 0: what all rows share cancels from the gradient."""
    returns, mask = returns_and_mask(rng)
    above = subtract(array(returns), array(0.0), array(mask))
    below = subtract(array(returns), array(2.5), array(mask))
    assert_allclose(above - below, 2.5 * mask, rtol=1e-5, atol=1e-5)


average = jax.jit(baselines.average)


def test_the_average_is_the_mean_of_the_rows_that_happened(rng):
    returns, mask = returns_and_mask(rng)
    got = average(array(returns), array(mask))
    assert got.shape == ()
    expected = oracles.mean_return(returns, mask)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_the_average_ignores_padding(rng):
    returns, mask = returns_and_mask(rng)
    got = average(array(np.where(mask, returns, 77.0)), array(mask))
    assert_allclose(got, oracles.mean_return(returns, mask), rtol=1e-5, atol=1e-5)


leave_one_out = jax.jit(baselines.leave_one_out)


def test_leave_one_out_is_the_mean_of_the_other_episodes(rng):
    returns, mask = returns_and_mask(rng)
    got = leave_one_out(array(returns), array(mask))
    assert got.shape == (3, 1)
    expected = [[oracles.mean_return(returns, mask, without=i)] for i in range(3)]
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_leave_one_out_does_not_depend_on_the_episode_itself(rng):
    """For this reason it is unbiased, and the mean of all is not."""
    returns, mask = returns_and_mask(rng)
    before = leave_one_out(array(returns), array(mask))
    for i in range(3):
        other = returns + 50.0 * (np.arange(3) == i)[:, None]
        after = leave_one_out(array(other), array(mask))
        assert_allclose(after[i], before[i], rtol=1e-4, atol=1e-4)
        assert np.all(np.delete(np.asarray(after - before), i) > 1.0)


def test_leaving_one_out_is_unbiased_and_the_batch_mean_is_not():
    """Against a mean that contains the sample, gradients shrink by 1 - 1/n.

    Over all outcomes of n = 3 rolls of a biased coin, E[(r - b) score] is exact.
    """
    p, rewards = 0.3, np.array([2.0, -1.0])
    score = np.array([1 / p, -1 / (1 - p)])  # d log pi / d p of heads and tails
    true_gradient = rewards[0] - rewards[1]  # d/dp of p r_0 + (1 - p) r_1
    with_others = with_all = 0.0
    for rolls in np.ndindex(2, 2, 2):
        probability = np.prod([[p, 1 - p][roll] for roll in rolls])
        r = rewards[list(rolls)]
        others = np.asarray(leave_one_out_mean(jnp.asarray(r)))
        with_others += probability * np.mean((r - others) * score[list(rolls)])
        with_all += probability * np.mean((r - r.mean()) * score[list(rolls)])
    assert with_others == pytest.approx(true_gradient, rel=1e-5)
    assert with_all == pytest.approx((1 - 1 / 3) * true_gradient, rel=1e-5)
