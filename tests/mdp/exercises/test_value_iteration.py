"""Value iteration, against every policy there is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


def worlds(rng):
    yield inputs.loop(-1.0, 0.9)
    yield inputs.small_world()
    for gamma in (None, 0.3, 0.97, 1.0):
        yield inputs.world(rng, 5, gamma=gamma)


def test_no_policy_is_worth_more_than_the_one_that_is_found(rng):
    for world in worlds(rng):
        solution = mdp.value_iteration(world)
        best = oracles.best_values(world)
        assert solution.converged
        assert_allclose(solution.values, best, atol=1e-6)
        earned = oracles.exact_values(world, solution.policy)
        assert_allclose(earned, best, atol=1e-6)
        q = oracles.action_values(world, best)
        assert_allclose(solution.action_values, q, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1.0, 1e-2, 1e-5])
@pytest.mark.parametrize("gamma", [0.3, 0.9, 0.99])
def test_the_error_is_at_most_half_of_epsilon(rng, gamma, epsilon):
    """Whether the values rise or fall on the way."""
    alike = inputs.world(rng, 5, gamma=gamma)
    for world in (inputs.loop(1.0, gamma), inputs.loop(-1.0, gamma), alike):
        solution = mdp.value_iteration(world, epsilon)
        assert solution.converged
        error = abs(solution.values - oracles.best_values(world)).max()
        assert error <= epsilon / 2 + 1e-12, "it stopped too early"


def test_the_policy_is_greedy_and_uses_what_is_available(rng):
    world = inputs.world(rng)
    solution = mdp.value_iteration(world)
    assert_allclose(solution.policy.sum(-1), 1.0)
    assert_array_equal(solution.policy[~world.available], 0.0)
    assert_allclose(solution.policy[-1], 1 / world.num_actions)  # where it is over
    q = np.where(world.available, solution.action_values, -np.inf)
    worth = (solution.policy * solution.action_values).sum(-1)
    assert_allclose(worth, q.max(-1))


def test_the_world_is_left_as_it_was(rng):
    world = inputs.world(rng)
    given = [field.copy() for field in world]
    mdp.value_iteration(world)
    for field, before in zip(world, given, strict=True):
        assert_array_equal(field, before)


@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_running_out_of_sweeps_is_not_called_convergence(reward):
    solution = mdp.value_iteration(inputs.loop(reward, 0.9), 1e-6, max_sweeps=3)
    assert not solution.converged
    assert len(solution.residuals) == 3
    assert_allclose(solution.values, reward * (1 + 0.9 + 0.9**2))


def test_the_residuals_are_the_largest_changes_of_each_sweep():
    """On a loop that earns r the n-th sweep adds r gamma^(n-1); here are four loops."""
    loops = mdp.from_arrays(np.eye(4)[:, None], [-1.0, -1.0, 0.0, 0.5], 0.5)
    solution = mdp.value_iteration(loops, 1e-3)
    assert isinstance(solution.residuals, np.ndarray)
    expected = 0.5 ** np.arange(len(solution.residuals))
    assert_allclose(solution.residuals, expected)
    assert len(solution.residuals) < 14, "it goes on when it could stop"
