"""The surrogate: what it promises, and the way it points."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises import inputs
from tests.policy_gradient.exercises.inputs import array

# Of all actions at once; by the log-probability and by the advantage.
values_and_slopes = jax.jit(jax.vmap(jax.value_and_grad(objectives.surrogate, (0, 2))))


def test_on_average_it_is_the_advantage_that_the_new_policy_would_have(rng):
    """Of actions of the old policy: sum_a pi_old(a) rho(a) A(a) = sum_a pi(a) A(a)."""
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    advantages = rng.normal(size=4)
    values, _ = values_and_slopes(new, old, array(advantages))
    average = np.exp(np.asarray(old, float)) @ np.asarray(values, float)
    expected = np.exp(np.asarray(new, float)) @ advantages
    assert_allclose(average, expected, rtol=1e-4, atol=1e-5)


def test_its_slope_is_the_ratio_times_the_advantage_which_is_data(rng):
    """At the old policy, where the ratio is 1, it is the policy gradient."""
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    advantages = array(rng.normal(size=4))
    for log_probs in (new, old):
        _, (by_log_prob, by_advantage) = values_and_slopes(log_probs, old, advantages)
        ratios = np.exp(np.asarray(log_probs, float) - np.asarray(old, float))
        assert_allclose(by_log_prob, ratios * advantages, rtol=1e-4, atol=1e-5)
        assert_allclose(by_advantage, 0.0)
