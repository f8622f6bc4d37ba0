"""Sutton & Barto's short corridor: states that look alike (figures 13.1, 13.2)."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mdp
from policy_gradient import exact, policies, reinforce
from policy_gradient.config import ReinforceConfig

NUM_RUNS = 40
BEST = 2 - np.sqrt(2)  # p(right) of the best policy, as all states look alike
OPTIMUM = -(6 + 4 * np.sqrt(2))


@pytest.fixture
def corridor():
    return mdp.worlds.short_corridor()


def blind(corridor):
    """Features of the action only, as in example 13.1; starts at p(right) = 0.05."""
    features = np.zeros((4, 2, 2))
    features[:, [0, 1], [0, 1]] = 1.0
    start = policies.LinearParams(jnp.array([np.log(19.0), 0.0]), jnp.zeros(1))
    return policies.linear(corridor, features)._replace(init=lambda key: start)


def returns(corridor, step_sizes, baseline, value_weight=0.0):
    """G_0 of 400 episodes, averaged over the runs, for each step size."""
    config = ReinforceConfig(
        num_updates=400,
        num_episodes=1,
        time_limit=200,
        optimizer="sgd",
        baseline=baseline,
        value_weight=value_weight,
    )
    configs = [replace(config, step_size=step_size) for step_size in step_sizes]
    configs = jax.tree.map(lambda *values: jnp.array(values), *configs)

    def learn(config, key):
        return reinforce.train(key, corridor, config, blind(corridor))[1].episode_return

    keys = jax.random.split(jax.random.key(0), NUM_RUNS)
    runs = jax.jit(jax.vmap(jax.vmap(learn, (None, 0)), (0, None)))
    return np.asarray(runs(configs, keys)).mean(1)


def test_the_best_policy_of_equal_features_is_stochastic(corridor):
    policy = blind(corridor)

    def value_and_slope(p):
        theta = np.array([0.0, np.log(p / (1 - p))])
        params = policies.LinearParams(theta, np.zeros(1))
        gradient = exact.performance_gradient(corridor, policy, params).theta
        with jax.enable_x64(True):
            table = policies.policy_table(policy, params, 4)
        return exact.performance(corridor, table), gradient[1]

    best, slope = value_and_slope(BEST)
    assert best == pytest.approx(OPTIMUM, abs=1e-9)
    assert slope == pytest.approx(0.0, abs=1e-9)
    assert value_and_slope(BEST - 0.1)[1] > 0.1
    assert value_and_slope(BEST + 0.1)[1] < -0.1


@pytest.mark.slow
def test_figure_13_1_small_steps_are_slow_and_larger_ones_reach_the_optimum(corridor):
    """Means of 40 runs over episodes 50-100 and 300-400, as read off the figure.

    The standard error of such a mean is below 1.5 in the first band, and 0.5 later.
    """
    large, small = returns(corridor, [2.0**-12, 2.0**-14], "none")
    assert -33 < large[50:100].mean() < -22
    assert -15 < large[300:].mean() < -12
    assert -58 < small[50:100].mean() < -45
    assert -29 < small[300:].mean() < -20


@pytest.mark.slow
def test_figure_13_2_a_baseline_reaches_the_optimum_in_a_hundred_episodes(corridor):
    """Steps 2^-9 for theta and 2^-6 for w: sixteen times those without a baseline."""
    (curve,) = returns(corridor, [2.0**-9], "value", value_weight=8.0)
    assert -22 < curve[50:100].mean() < OPTIMUM + 0.5
    assert OPTIMUM - 1.2 < curve[100:200].mean() < OPTIMUM + 0.5
    assert OPTIMUM - 1.0 < curve[300:].mean() < OPTIMUM + 0.5
