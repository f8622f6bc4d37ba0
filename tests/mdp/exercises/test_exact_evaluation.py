"""Exact evaluation, against many sweeps and closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("shape", [(3, 2, 2), (6, 3, 4), (4, 4, 4)])
def test_the_solution_is_the_limit_of_many_sweeps(rng, shape):
    world = inputs.world(rng, *shape)
    policy = inputs.policy(rng, world)
    exact = mdp.evaluate(world, policy)
    expected = oracles.exact_values(world, policy)
    assert_allclose(exact, expected, rtol=1e-9, atol=1e-9)
    assert exact.shape == (world.num_states,)


def test_without_discount_an_episode_that_ends_has_a_value_too(rng):
    world = inputs.world(rng, gamma=1.0)
    policy = inputs.policy(rng, world)
    expected = oracles.exact_values(world, policy)
    assert_allclose(mdp.evaluate(world, policy), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_a_reward_for_ever_is_a_geometric_series(gamma):
    values = mdp.evaluate(inputs.loop(-2.0, gamma), np.ones((1, 1)))
    assert_allclose(values, [-2.0 / (1 - gamma)])


def test_a_deterministic_policy_is_worth_what_its_actions_are(rng):
    """What the other actions earn makes no difference."""
    world = inputs.world(rng)
    policy = np.eye(world.num_actions)[world.available.argmax(-1)]
    expected = oracles.exact_values(world, policy)
    assert_allclose(mdp.evaluate(world, policy), expected, rtol=1e-9, atol=1e-9)


def test_the_arguments_are_left_as_they_were(rng):
    world = inputs.world(rng)
    policy = inputs.policy(rng, world)
    given = policy.copy(), world.probs.copy()
    mdp.evaluate(world, policy)
    assert_array_equal(policy, given[0])
    assert_array_equal(world.probs, given[1])
