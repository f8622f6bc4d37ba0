"""The gradient bandit, against finite differences and the formula."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import oracles


def pulls(rng, num_runs, num_arms):
    return {
        "preferences": rng.normal(size=(num_runs, num_arms)),
        "actions": rng.integers(num_arms, size=num_runs),
        "rewards": rng.normal(2.0, 3.0, num_runs),
        "baseline": rng.normal(2.0, 1.0, num_runs),
        "step_size": float(rng.uniform(0.1, 0.9)),
    }


@pytest.mark.parametrize("shape", [(1, 2), (4, 4), (3, 5)])
def test_each_arm_moves_as_the_formula_says(rng, shape):
    case = pulls(rng, *shape)
    preferences, actions, rewards, baseline, step_size = case.values()
    after = mdp.gradient_bandit_step(*case.values())
    assert after.shape == shape
    for run in range(shape[0]):
        policy = oracles.softmax(preferences[run])
        for arm in range(shape[1]):
            direction = (arm == actions[run]) - policy[arm]
            change = step_size * (rewards[run] - baseline[run]) * direction
            assert after[run, arm] == pytest.approx(preferences[run, arm] + change)


@pytest.mark.parametrize("baseline", [0.0, -3.0, 2.5])
def test_on_average_it_is_the_gradient_of_the_expected_reward(rng, baseline):
    preferences, worth = rng.normal(size=4), rng.normal(size=4)
    # Every action once, side by side, each with its expected reward.
    side_by_side = np.tile(preferences, (4, 1))
    after = mdp.gradient_bandit_step(
        side_by_side, np.arange(4), worth, np.full(4, baseline), 0.3
    )
    policy = oracles.softmax(preferences)
    expected_change = policy @ (after - preferences)
    small = 1e-5 * np.eye(4)
    gradient = [
        (oracles.softmax(preferences + h) - oracles.softmax(preferences - h)) @ worth
        for h in small
    ]
    assert_allclose(expected_change, 0.3 * np.array(gradient) / 2e-5, atol=1e-7)


def test_what_is_gained_is_lost_elsewhere(rng):
    case = pulls(rng, 6, 4)
    after = mdp.gradient_bandit_step(*case.values())
    assert_allclose(after.sum(-1), case["preferences"].sum(-1))


def test_one_run_alone():
    after = mdp.gradient_bandit_step(
        np.zeros(2), np.array(1), np.array(3.0), np.array(1.0), 0.5
    )
    assert_allclose(after, [-0.5, 0.5])


def test_the_preferences_are_left_as_they_were(rng):
    case = pulls(rng, 3, 4)
    given = {name: np.copy(value) for name, value in case.items()}
    mdp.gradient_bandit_step(*case.values())
    for name, value in case.items():
        assert_array_equal(value, given[name])
