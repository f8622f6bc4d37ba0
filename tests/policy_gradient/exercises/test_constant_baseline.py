"""Returns above a constant, against the rows taken one at a time."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import baselines
from tests.policy_gradient.exercises import inputs
from tests.policy_gradient.exercises.inputs import array

subtract = jax.jit(baselines.subtract)


def test_every_row_that_happened_is_held_against_the_same_number(rng):
    mask = inputs.mask(rng)
    returns = rng.normal(2.0, 3.0, mask.shape)
    for baseline in (-1.5, 0.0, 4.0):
        got = np.asarray(subtract(array(returns), array(baseline), array(mask)))
        for row, happened in np.ndenumerate(mask):
            expected = returns[row] - baseline if happened else 0.0
            assert_allclose(got[row], expected, rtol=1e-5, atol=1e-5)


def test_it_moves_every_advantage_by_as_much_and_so_no_order(rng):
    """The expected score is 0: what all rows share cancels from the gradient."""
    mask = inputs.mask(rng)
    returns = array(rng.normal(2.0, 3.0, mask.shape))
    above = subtract(returns, array(0.0), array(mask))
    below = subtract(returns, array(2.5), array(mask))
    assert_allclose(above - below, 2.5 * mask, rtol=1e-5, atol=1e-5)
