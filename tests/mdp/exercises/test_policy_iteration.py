"""Policy iteration, against every policy there is."""

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
        solution = mdp.policy_iteration(world)
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
        solution = mdp.policy_iteration(world, epsilon)
        assert solution.converged
        error = abs(solution.values - oracles.best_values(world)).max()
        assert error <= epsilon / 2 + 1e-12, "it stopped too early"


def test_the_policy_is_greedy_and_uses_what_is_available(rng):
    world = inputs.world(rng)
    solution = mdp.policy_iteration(world)
    assert_allclose(solution.policy.sum(-1), 1.0)
    assert_array_equal(solution.policy[~world.available], 0.0)
    assert_allclose(solution.policy[-1], 1 / world.num_actions)  # where it is over
    q = np.where(world.available, solution.action_values, -np.inf)
    worth = (solution.policy * solution.action_values).sum(-1)
    assert_allclose(worth, q.max(-1))


def test_the_world_is_left_as_it_was(rng):
    world = inputs.world(rng)
    given = [field.copy() for field in world]
    mdp.policy_iteration(world)
    for field, before in zip(world, given, strict=True):
        assert_array_equal(field, before)


def test_ties_do_not_keep_it_going_for_ever(rng):
    """Every action is the same one, its outcomes listed in another order."""
    world = inputs.world(rng, 12, 1, 6, gamma=0.99)
    order = np.array([rng.permutation(6) for _ in range(5)])
    fields = [field[:, 0][:, order] for field in world[:4]]
    tied = mdp.MDP(*fields, np.ones((12, 5), bool), world.start)
    solution = mdp.policy_iteration(tied, max_iterations=50)
    assert solution.converged
    assert len(solution.residuals) < 50
    uniform = np.full((12, 5), 1 / 5)
    assert_allclose(solution.values, oracles.exact_values(tied, uniform), atol=1e-9)


def test_what_is_called_converged_is_the_best(rng):
    """However few iterations there were."""
    for _ in range(5):
        world = inputs.world(rng, 5, 4, gamma=0.95)
        best = oracles.best_values(world)
        for max_iterations in (1, 2, 3):
            solution = mdp.policy_iteration(world, max_iterations=max_iterations)
            assert len(solution.residuals) <= max_iterations
            if solution.converged:
                assert_allclose(solution.values, best, atol=1e-8)


@pytest.mark.parametrize("better", [0, 1])
def test_a_small_gain_is_taken_as_it_comes_again_and_again(better):
    """0.02 a step, at gamma = 0.99, is 2 in all: more than an epsilon of 1 allows."""
    rewards = np.array([[1.0, 1.0]])
    rewards[0, better] = 1.02
    world = mdp.from_arrays(np.ones((1, 2, 1)), rewards, 0.99)
    solution = mdp.policy_iteration(world, epsilon=1.0)
    assert_allclose(solution.values, [102.0], atol=0.5)


def test_the_residuals_are_what_was_left_to_gain(rng):
    for world in worlds(rng):
        residuals = mdp.policy_iteration(world).residuals
        assert isinstance(residuals, np.ndarray)
        assert (residuals[:-1] > 0).all(), "it went on with nothing to gain"
        assert abs(residuals[-1]) < 1e-8, "it stopped with something to gain"


def test_the_residuals_are_the_largest_gains_that_are_left():
    """Two states of eight can earn 1 instead of 0, and that is all there is to gain.

    With the first policy: all of it, half of it if both actions are taken equally
    often, or nothing.
    """
    rewards = np.zeros((8, 2))
    rewards[[2, 5], 1] = 1.0
    stay = np.broadcast_to(np.eye(8)[:, None], (8, 2, 8))
    solution = mdp.policy_iteration(mdp.from_arrays(stay, rewards, 0.5))
    assert np.isclose(solution.residuals[0], [0.0, 0.5, 1.0]).any()
    assert np.isclose(solution.residuals[-1], 0.0)
