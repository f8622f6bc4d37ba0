"""The importance ratio, and what it is for."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises import inputs
from tests.policy_gradient.exercises.inputs import array

# Of all actions at once: callers map it, compile it and differentiate it.
ratios_and_slopes = jax.jit(jax.vmap(jax.value_and_grad(objectives.importance_ratio)))


def test_it_is_the_ratio_of_the_probabilities_and_grows_with_the_new_one(rng):
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    ratios, slopes = ratios_and_slopes(new, old)
    expected = np.exp(np.asarray(new, float)) / np.exp(np.asarray(old, float))
    assert_allclose(ratios, expected, rtol=1e-5)
    assert_allclose(slopes, expected, rtol=1e-5)  # d rho / d log pi = rho


def test_with_it_samples_of_one_policy_speak_for_another(rng):
    """sum_a pi_old(a) rho(a) f(a) = sum_a pi(a) f(a)."""
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    worth = rng.normal(size=4)
    ratios, _ = ratios_and_slopes(new, old)
    weighted = np.exp(np.asarray(old, float)) * np.asarray(ratios, float)
    expected = np.exp(np.asarray(new, float)) @ worth
    assert_allclose(weighted @ worth, expected, rtol=1e-4, atol=1e-5)


def test_it_is_1_where_nothing_has_changed():
    log_prob = array([-0.5, -1.0, -2.0, -3.0])
    assert_allclose(ratios_and_slopes(log_prob, log_prob)[0], 1.0)
