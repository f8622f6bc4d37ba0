"""Estimates of the KL divergence, against sums over all actions."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises import inputs, oracles

# Of all actions at once: callers map it, and compile it.
estimates = jax.jit(jax.vmap(objectives.kl_estimates))


def test_k1_and_k3_are_right_on_average(rng):
    log_probs, reference = inputs.log_policy(rng), inputs.log_policy(rng)
    policy = np.exp(np.asarray(log_probs, float))
    kl = oracles.kl(policy, np.exp(np.asarray(reference, float)))
    k1, _, k3 = (np.asarray(k, float) for k in estimates(log_probs, reference))
    assert_allclose(policy @ k1, kl, rtol=1e-4, atol=1e-5)
    assert_allclose(policy @ k3, kl, rtol=1e-4, atol=1e-5)


def test_each_is_what_its_formula_says(rng):
    log_probs, reference = inputs.log_policy(rng), inputs.log_policy(rng)
    d = np.asarray(log_probs, float) - np.asarray(reference, float)
    k1, k2, k3 = estimates(log_probs, reference)
    assert_allclose(k1, d, rtol=1e-4, atol=1e-5)
    assert_allclose(k2, d**2 / 2, rtol=1e-4, atol=1e-5)
    assert_allclose(k3, np.exp(-d) - 1 + d, rtol=1e-4, atol=1e-5)
    assert np.all(np.asarray(k3) >= 0.0)
