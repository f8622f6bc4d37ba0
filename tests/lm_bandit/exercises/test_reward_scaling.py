"""Scaling, against what is real, written out; and what it may not change."""

from functools import partial

import jax
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.rewards import scaled
from tests.lm_bandit.inputs import array, mask

compiled = jax.jit(scaled, static_argnames="how")


def test_only_what_is_real_is_counted(rng):
    x, real = rng.normal(1.0, 2.0, (3, 4)), np.asarray(mask(rng, 3, 4))
    counted = x[real > 0]
    deviation = np.sqrt(np.mean((counted - counted.mean()) ** 2))
    both = array(x), array(real)
    expected = np.where(real > 0, x / deviation, 0.0)
    assert_allclose(compiled(*both, "scale"), expected, rtol=1e-4, atol=1e-6)
    expected = np.where(real > 0, (x - counted.mean()) / deviation, 0.0)
    assert_allclose(compiled(*both, "whiten"), expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(compiled(*both, "none"), both[0])


def test_scaled_rewards_keep_their_signs_and_whitened_ones_forget_a_constant(rng):
    real = array(np.ones((2, 4)))
    x = rng.uniform(-9.0, -1.0, (2, 4))
    assert (compiled(array(x), real, "scale") < 0).all()
    of, more = (compiled(array(x + c), real, "whiten") for c in (0.0, 5.0))
    assert_allclose(of, more, rtol=1e-3, atol=1e-4)


def test_numbers_that_are_all_equal_stay_finite():
    same = partial(compiled, array([2.0, 2.0]), array([1.0, 1.0]))
    assert_allclose(same("whiten"), 0.0)
    assert np.isfinite(same("scale")).all()
