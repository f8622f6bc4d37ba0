"""The softmax policy, against exponentials one at a time."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from policy_gradient.policies import softmax_log_probs
from tests.policy_gradient.exercises import inputs, oracles
from tests.policy_gradient.exercises.inputs import array


def test_a_preference_counts_by_its_exponential_among_what_is_available(rng):
    case = inputs.preferences(rng)
    probs = jnp.exp(softmax_log_probs(**case))
    assert_allclose(probs, oracles.policy(**case), rtol=1e-5)
    assert_allclose(probs.sum(), 1.0, rtol=1e-6)
    assert_array_equal(probs[~case["available"]], 0.0)


def test_only_differences_of_preferences_count_however_large_they_are(rng):
    case = inputs.preferences(rng)
    available = case["available"]
    there = softmax_log_probs(**case)[available]
    for shift in (100.0, -100.0):
        shifted = softmax_log_probs(case["preferences"] + shift, available)
        assert_allclose(shifted[available], there, atol=1e-4)


def test_what_can_never_be_done_leaves_the_gradient_finite(rng):
    """Its probability is 0, and 0 times its log-probability is not nan."""
    case = inputs.preferences(rng)
    log_probs = softmax_log_probs(**case)
    assert np.isfinite(jnp.sum(jnp.exp(log_probs) * log_probs))


def test_callers_map_and_compile_it():
    preferences = array([[0.0, 1.0, 2.0, 3.0], [1.0, -1.0, 0.0, 9.0]])
    available = jnp.array([[True, True, True, True], [True, True, False, False]])
    log_probs = jax.jit(jax.vmap(softmax_log_probs))(preferences, available)
    for row, *case in zip(log_probs, preferences, available, strict=True):
        assert_allclose(jnp.exp(row), oracles.policy(*case), rtol=1e-5)
