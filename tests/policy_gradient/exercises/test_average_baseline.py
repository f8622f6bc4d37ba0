"""The average baseline, against the rows taken one at a time."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import baselines
from tests.policy_gradient.exercises import inputs, oracles
from tests.policy_gradient.exercises.inputs import array

average = jax.jit(baselines.average)


def test_it_is_the_mean_of_the_rows_that_happened(rng):
    mask = inputs.mask(rng)
    returns = rng.normal(2.0, 3.0, mask.shape)
    got = average(array(returns), array(mask))
    assert got.shape == ()
    expected = oracles.mean_return(returns, mask)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_what_stands_on_padding_does_not_count(rng):
    mask = inputs.mask(rng)
    returns = rng.normal(2.0, 3.0, mask.shape)
    got = average(array(np.where(mask, returns, 77.0)), array(mask))
    assert_allclose(got, oracles.mean_return(returns, mask), rtol=1e-5, atol=1e-5)
