"""The mean return of the others, against the rows taken one at a time."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import baselines
from tests.policy_gradient.exercises import inputs, oracles
from tests.policy_gradient.exercises.inputs import array

leave_one_out = jax.jit(baselines.leave_one_out)


def test_it_is_the_mean_of_the_rows_of_the_others(rng):
    mask = inputs.mask(rng)
    returns = rng.normal(2.0, 3.0, mask.shape)
    got = leave_one_out(array(returns), array(mask))
    assert got.shape == (3, 1)
    expected = [[oracles.mean_return(returns, mask, without=i)] for i in range(3)]
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_no_episode_has_a_say_in_its_own_baseline(rng):
    """For this reason it is unbiased, and the mean of all is not."""
    mask = inputs.mask(rng)
    returns = rng.normal(2.0, 3.0, mask.shape)
    before = leave_one_out(array(returns), array(mask))
    for i in range(3):
        other = returns + 50.0 * (np.arange(3) == i)[:, None]
        after = leave_one_out(array(other), array(mask))
        assert_allclose(after[i], before[i], rtol=1e-4, atol=1e-4)
        assert np.all(np.delete(np.asarray(after - before), i) > 1.0)
