"""Normalised advantages: mean 0, deviation 1, and the same order."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import advantages
from tests.policy_gradient.exercises.inputs import array

normalize = jax.jit(advantages.normalize)


def test_the_whole_batch_has_mean_0_and_deviation_1(rng):
    given = rng.normal(-9.0, 4.0, (3, 4))
    got = np.asarray(normalize(array(given)), float)
    assert got.shape == (3, 4)
    assert_allclose(got.mean(), 0.0, atol=1e-5)
    assert_allclose(got.std(), 1.0, rtol=1e-4)
    expected = (given - np.mean(given)) / np.sqrt(np.mean((given - given.mean()) ** 2))
    assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_neither_the_unit_nor_the_origin_of_rewards_matters(rng):
    given = rng.normal(0.0, 1.0, (3, 4))
    once, again = normalize(array(given)), normalize(array(30.0 * given + 5.0))
    assert_allclose(once, again, atol=1e-4)


def test_where_all_are_the_same_there_is_nothing_to_learn():
    assert_allclose(normalize(array(np.full((3, 4), 2.0))), 0.0)
