"""The exact gradient, against closed forms and finite differences."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from policy_gradient import exact
from policy_gradient.policies import policy_table, tabular_softmax


@pytest.fixture
def random_policy(small):
    policy = tabular_softmax(small)
    rng = np.random.default_rng(2)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), policy.init())
    return policy, params


def test_performance_is_the_value_of_the_start(small, random_policy):
    table = policy_table(*random_policy, 4)
    expected = small.start @ mdp.evaluate(small, table)
    assert exact.performance(small, table) == pytest.approx(expected, abs=1e-12)


def test_what_a_policy_would_do_where_it_never_comes_does_not_matter():
    cliff = mdp.worlds.cliff_walking()
    greedy = mdp.value_iteration(cliff).policy
    greedy[0] = [0, 0, 0, 1]  # for ever against the wall, in a corner off the way
    with pytest.raises(ValueError, match="from state 0"):
        mdp.evaluate(cliff, greedy)
    assert exact.performance(cliff, greedy) == pytest.approx(-13, abs=1e-12)


def test_the_gradient_of_a_bandit_is_pi_times_advantage():
    """The slope d J / d h(a) = pi(a) (r(a) - J), Sutton & Barto (2018), section 2.8."""
    rewards = np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    ends = np.zeros((2, 3, 2))
    ends[..., 1] = 1
    bandit = mdp.from_arrays(ends, rewards, 0.9, terminal=[1])
    policy = tabular_softmax(bandit)
    params = policy.init()._replace(preferences=np.array([[0.3, 1.0, -0.5], [0, 0, 0]]))
    pi = policy_table(policy, params, 2)[0]
    expected = pi * (rewards[0] - pi @ rewards[0])
    got = exact.performance_gradient(bandit, policy, params)
    assert_allclose(got.preferences[0], expected, atol=1e-7)


def test_the_gradient_agrees_with_finite_differences(small, random_policy):
    policy, params = random_policy
    gradient = exact.performance_gradient(small, policy, params).preferences
    log_softmax = jax.nn.log_softmax

    def performance(preferences):
        with jax.enable_x64(True):
            masked = np.where(small.available, preferences, -np.inf)
            return exact.performance(small, np.exp(np.asarray(log_softmax(masked))))

    for s, a in np.ndindex(4, 3):
        nudge = np.zeros((4, 3))
        nudge[s, a] = 1e-6
        rise = performance(params.preferences + nudge)
        fall = performance(params.preferences - nudge)
        assert gradient[s, a] == pytest.approx((rise - fall) / 2e-6, abs=1e-7)


def test_the_uniform_policy_is_improved_along_the_gradient():
    """One small step raises J by the step times the squared norm, to first order."""
    cliff = mdp.worlds.cliff_walking()
    policy = tabular_softmax(cliff)
    params = policy.init()
    gradient = exact.performance_gradient(cliff, policy, params)
    before = exact.performance(cliff, policy_table(policy, params, 48))
    step = 1e-9
    with jax.enable_x64(True):
        moved = jax.tree.map(lambda x, g: np.float64(x) + step * g, params, gradient)
        after = exact.performance(cliff, policy_table(policy, moved, 48))
    squared_norm = np.sum(gradient.preferences**2)
    assert (after - before) / step == pytest.approx(squared_norm, rel=0.01)
