"""The entropy, against its definition and its two extremes."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises import inputs, oracles
from tests.policy_gradient.exercises.inputs import array


def entropy_of_softmax(preferences):
    return objectives.entropy(jax.nn.log_softmax(preferences))


# By the preferences: callers compile it and differentiate it.
value_and_gradient = jax.jit(jax.value_and_grad(entropy_of_softmax))


def test_it_is_the_expected_surprise_in_nats(rng):
    log_probs = inputs.log_policy(rng)
    expected = oracles.entropy(np.exp(np.asarray(log_probs, float)))
    assert_allclose(objectives.entropy(log_probs), expected, rtol=1e-5)


def test_the_uniform_policy_has_the_most_and_a_certain_one_has_none():
    uniform = array(np.log(np.full(4, 0.25)))
    assert_allclose(objectives.entropy(uniform), np.log(4), rtol=1e-6)
    assert_allclose(objectives.entropy(array(-1e9, 0.0, -1e9, -1e9)), 0.0)


def test_its_gradient_says_how_to_spread_out(rng):
    """By the preferences of a softmax it is -pi(a) (log pi(a) + H)."""
    log_probs = inputs.log_policy(rng)
    entropy, gradient = value_and_gradient(log_probs + 1.0)
    policy = np.exp(np.asarray(log_probs, float))
    expected = -policy * (np.log(policy) + oracles.entropy(policy))
    assert_allclose(entropy, oracles.entropy(policy), rtol=1e-4)
    assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)
