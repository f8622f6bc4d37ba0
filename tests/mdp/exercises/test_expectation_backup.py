"""The backup for v_pi, against the sum written out."""

import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("shape", [(3, 2, 2), (6, 3, 4), (4, 4, 4)])
def test_a_state_is_worth_its_actions_weighted_by_the_policy(rng, shape):
    world = inputs.world(rng, *shape)
    policy, values = inputs.policy(rng, world), inputs.values(rng, world)
    backup = mdp.expectation_backup(world, policy, values)
    expected = oracles.expectation(world, policy, values)
    assert_allclose(backup, expected, rtol=1e-10, atol=1e-10)
    assert backup.shape == values.shape


def test_the_exact_values_are_left_in_place(rng):
    """v_pi is the fixed point, and only v_pi."""
    world = inputs.world(rng)
    policy = inputs.policy(rng, world)
    exact = oracles.exact_values(world, policy)
    assert_allclose(mdp.expectation_backup(world, policy, exact), exact, atol=1e-9)
    moved = mdp.expectation_backup(world, policy, exact + 1.0)
    assert abs(moved - exact)[:-1].min() > 1e-3


def test_the_arguments_are_left_as_they_were(rng):
    world = inputs.world(rng)
    policy, values = inputs.policy(rng, world), inputs.values(rng, world)
    given = policy.copy(), values.copy()
    mdp.expectation_backup(world, policy, values)
    assert_array_equal(policy, given[0])
    assert_array_equal(values, given[1])
