"""Sutton & Barto's short corridor: states that look alike (figures 13.1, 13.2)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mdp
from policy_gradient import exact, policies, reinforce
from policy_gradient.config import ReinforceConfig

NUM_RUNS = 40
BEST = 2 - np.sqrt(2)  # p(right): with these eyes, to be undecided is optimal
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


def returns(corridor, num_episodes, step_size, baseline, value_weight=0.0):
    """G_0 of every episode, averaged over the runs."""
    config = ReinforceConfig(
        num_updates=num_episodes,
        num_episodes=1,
        time_limit=200,
        optimizer="sgd",
        step_size=step_size,
        baseline=baseline,
        value_weight=value_weight,
    )

    def learn(key):
        return reinforce.train(key, corridor, config, blind(corridor))[1]

    keys = jax.random.split(jax.random.key(0), NUM_RUNS)
    return np.asarray(jax.jit(jax.vmap(learn))(keys).episode_return).mean(0)


def test_the_best_policy_of_who_cannot_see_is_a_stochastic_one(corridor):
    policy = blind(corridor)

    def of(p):
        theta = np.array([0.0, np.log(p / (1 - p))])
        params = policies.LinearParams(theta, np.zeros(1))
        gradient = exact.performance_gradient(corridor, policy, params).theta
        with jax.enable_x64(True):
            table = policies.policy_table(policy, params, 4)
        return exact.performance(corridor, table), gradient[1]

    best, slope = of(BEST)
    assert best == pytest.approx(OPTIMUM, abs=1e-9)
    assert slope == pytest.approx(0.0, abs=1e-9)
    assert of(BEST - 0.1)[1] > 0.1
    assert of(BEST + 0.1)[1] < -0.1


def test_figure_13_1_small_steps_are_slow_and_larger_ones_get_there(corridor):
    """Means of 40 runs over episodes 50-100 and 300-400, as read off the figure.

    The standard error of such a mean is below 1.5 in the first band, and 0.5 later.
    """
    curves = {k: returns(corridor, 400, 2.0**k, "none") for k in (-12, -13, -14)}
    early = {k: curve[50:100].mean() for k, curve in curves.items()}
    late = {k: curve[300:].mean() for k, curve in curves.items()}
    assert -33 < early[-12] < -22
    assert -45 < early[-13] < -33
    assert -58 < early[-14] < -45
    assert -15 < late[-12] < -12
    assert -20 < late[-13] < -14.5
    assert -29 < late[-14] < -20


def test_figure_13_2_with_a_baseline_it_is_there_after_a_hundred_episodes(corridor):
    """Steps 2^-9 for theta and 2^-6 for w: sixteen times those without a baseline."""
    curve = returns(corridor, 400, 2.0**-9, "value", value_weight=8.0)
    assert -22 < curve[50:100].mean() < OPTIMUM + 0.5
    assert OPTIMUM - 1.2 < curve[100:200].mean() < OPTIMUM + 0.5
    assert OPTIMUM - 1.0 < curve[300:].mean() < OPTIMUM + 0.5
