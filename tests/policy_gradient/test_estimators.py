"""Gradient estimates, against the exact gradient: by all trajectories, no sampling."""

from functools import partial

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from policy_gradient import baselines, estimators, exact, reinforce
from policy_gradient.advantages import discounts_to_date
from policy_gradient.config import ReinforceConfig
from policy_gradient.enumeration import enumerate_trajectories, moments
from policy_gradient.policies import evaluator, policy_table, tabulate
from tests.policy_gradient import inputs

KINDS = [
    estimators.whole_return,
    estimators.discounted_reward_to_go,
    estimators.undiscounted_reward_to_go,
]
BASELINES = ["none", "constant", "average", "leave_one_out", "value"]


@pytest.fixture
def ladder():
    """Three rungs, two actions; an episode has one, two or three steps. gamma 0.7.

    Action 1 climbs more often; each rung has its own rewards, of both signs.
    """
    return mdp.from_outcomes(
        [
            [[(0.6, 1, 1.0, False), (0.4, 3, -2.0, True)], [(1.0, 1, -0.5, False)]],
            [[(1.0, 2, 0.5, False)], [(0.7, 2, -1.0, False), (0.3, 3, 4.0, True)]],
            [[(1.0, 3, 3.0, True)], [(0.5, 3, -3.0, True), (0.5, 3, 6.0, True)]],
            [[], []],
        ],
        0.7,
        terminal=[3],
        start=0,
    )


def all_trajectories(world, policy, params):
    with jax.enable_x64(True):
        tables = tabulate(policy, doubles(params), world.num_states)
    return enumerate_trajectories(world, tables, time_limit=3)


def one_episode(policy, params, weigh, rows):
    """The estimate from a batch of one."""
    first = jax.tree.map(lambda x: x[0], rows)
    found = estimators.gradient(policy, doubles(params), first, weigh(first))
    return found.preferences


def test_the_probabilities_of_all_trajectories_sum_to_1_and_their_returns_to_j(ladder):
    policy, params = inputs.tabular(ladder, 0)
    every = all_trajectories(ladder, policy, params)
    assert every.probs.sum() == pytest.approx(1.0, abs=1e-12)
    returns = every.trajectories.rewards * every.trajectories.mask
    discounts = 0.7 ** np.arange(3)
    with jax.enable_x64(True):
        expected = exact.performance(ladder, policy_table(policy, params, 4))
    assert every.probs @ (returns @ discounts) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("weigh", KINDS[:2])
def test_the_estimate_from_one_episode_is_the_gradient_in_expectation(
    ladder, weigh, seed
):
    policy, params = inputs.tabular(ladder, seed)
    every = all_trajectories(ladder, policy, params)
    truth = exact.performance_gradient(ladder, policy, params).preferences.ravel()
    mean, _ = moments(partial(one_episode, policy, params, weigh), every)
    assert_allclose(mean, truth, atol=1e-9)
    assert np.abs(truth).max() > 0.05


def test_without_gamma_to_the_t_it_is_another_gradient(ladder):
    """Equal at gamma 1, else not even parallel: Nota & Thomas (2020)."""
    policy, params = inputs.tabular(ladder, 0)
    cosines = {}
    for gamma in (1.0, 0.7):
        world = ladder.with_discount(gamma)
        every = all_trajectories(world, policy, params)
        truth = exact.performance_gradient(world, policy, params).preferences.ravel()
        mean, _ = moments(partial(one_episode, policy, params, KINDS[2]), every)
        cosines[gamma] = mean @ truth / np.linalg.norm(mean) / np.linalg.norm(truth)
    assert cosines[1.0] > 1 - 1e-12
    assert cosines[0.7] < 0.99


def test_what_came_before_the_action_is_only_noise(ladder):
    policy, params = inputs.tabular(ladder, 0)
    every = all_trajectories(ladder, policy, params)
    whole, to_go = (
        moments(partial(one_episode, policy, params, weigh), every).variance.sum()
        for weigh in KINDS[:2]
    )
    assert to_go < 0.9 * whole


@pytest.mark.parametrize("seed", range(2))
def test_importance_ratios_make_up_for_the_policy_that_acted(ladder, seed):
    policy, acted = inputs.tabular(ladder, seed)
    _, params = inputs.tabular(ladder, seed + 10)
    every = all_trajectories(ladder, policy, acted)
    truth = exact.performance_gradient(ladder, policy, params).preferences.ravel()

    def weigh(row):
        row = estimators.as_if_on_policy(policy, doubles(params), row)
        return estimators.discounted_reward_to_go(row)

    corrected, plain = (
        moments(partial(one_episode, policy, params, kind), every).mean
        for kind in (weigh, KINDS[1])
    )
    assert_allclose(corrected, truth, atol=1e-9)
    assert np.abs(plain - truth).max() > 0.1


@pytest.mark.parametrize("baseline", BASELINES)
def test_no_baseline_but_the_average_changes_the_expectation(ladder, baseline):
    """By all pairs of episodes. The average of both episodes contains each of them."""
    policy, params = inputs.tabular(ladder, 0)
    every = all_trajectories(ladder, policy, params)
    truth = exact.performance_gradient(ladder, policy, params).preferences.ravel()
    found = of_reinforce(ladder, policy, params, every, baseline)
    error = np.abs(found.mean - truth).max()
    assert (error > 0.02) if baseline == "average" else (error < 1e-9)


def test_the_exact_variance_is_the_measured_one(ladder):
    """The variance over 20,000 pairs of episodes drawn by their probabilities.

    The variance of a sample variance follows from the fourth moment: five deviations.
    """
    policy, params = inputs.tabular(ladder, 0)
    every = all_trajectories(ladder, policy, params)
    rng = np.random.default_rng(0)
    pairs = rng.choice(len(every.probs), (20_000, 2), p=every.probs)
    exactly = of_reinforce(ladder, policy, params, every, "leave_one_out")
    with jax.enable_x64(True):
        rows = jax.tree.map(lambda x: jnp.asarray(x)[pairs], every.trajectories)
        estimate = partial(reinforce_gradient, ladder, policy, params, "leave_one_out")
        samples = np.asarray(jax.jit(jax.vmap(estimate))(rows).reshape(20_000, -1))
    deviations = (samples - samples.mean(0)) ** 2
    error = deviations.std(0) / np.sqrt(20_000)
    assert (np.abs(deviations.mean(0) - exactly.variance) <= 5 * error).all()


@pytest.mark.slow
def test_the_optimal_constant_has_the_least_variance_of_all(ladder):
    """A parabola in b: its minimum is where two others and the formula say it is."""
    policy, params = inputs.tabular(ladder, 0)
    every = all_trajectories(ladder, policy, params)
    variances = []

    def one(weigh):
        def of_row(row):
            weights = weigh(row)
            found = estimators.gradient(policy, doubles(params), row, weights)
            return found.preferences.ravel()

        with jax.enable_x64(True):
            rows = jax.tree.map(jnp.asarray, every.trajectories)
            return np.asarray(jax.vmap(of_row)(rows))

    plain = one(estimators.discounted_reward_to_go)
    scores = one(discounts_to_date)
    share = np.sqrt(every.probs)[:, None]
    with jax.enable_x64(True):
        rows = (jnp.asarray(share * x) for x in (plain, scores))
        best = float(baselines.optimal_constant(*rows))
    for constant in (best - 0.1, best, best + 0.1):
        estimates = plain - constant * scores
        mean = every.probs @ estimates
        variances.append(float((every.probs @ (estimates - mean) ** 2).sum()))
    assert variances[1] < min(variances[0], variances[2])
    assert variances[0] == pytest.approx(variances[2], abs=1e-9)
    nothing = every.probs @ (plain - every.probs @ plain) ** 2
    assert variances[1] < nothing.sum()


def of_reinforce(world, policy, params, every, baseline):
    estimate = partial(reinforce_gradient, world, policy, params, baseline)
    return moments(estimate, every, num_episodes=2)


def reinforce_gradient(world, policy, params, baseline, rows):
    """What reinforce.py would climb along, from these episodes."""
    config = ReinforceConfig(num_episodes=2, baseline=baseline, constant=1.5)
    batch = reinforce.estimate(rows, config)
    descent = jax.grad(reinforce.loss, has_aux=True)(
        doubles(params), batch, evaluator(policy, world.num_states), config
    )[0]
    return -descent.preferences


def doubles(params):
    return jax.tree.map(jnp.asarray, params)
