"""The backup for v*, against the maximum written out."""

import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("shape", [(3, 2, 2), (6, 3, 4), (4, 4, 4)])
@pytest.mark.parametrize("shift", [-1e4, -30.0, 0.0, 30.0])
def test_a_state_is_worth_its_best_available_action(rng, shape, shift):
    """Wherever the values lie: all below 0, or all above."""
    world = inputs.world(rng, *shape)
    values = inputs.values(rng, world) + shift
    backup = mdp.optimality_backup(world, values)
    expected = oracles.best(world, values)
    assert_allclose(backup, expected, rtol=1e-10, atol=1e-10)
    assert backup.shape == values.shape


def test_the_best_values_are_left_in_place(rng):
    world = inputs.world(rng, 5)
    best = oracles.best_values(world)
    assert_allclose(mdp.optimality_backup(world, best), best, atol=1e-9)


def test_the_arguments_are_left_as_they_were(rng):
    world = inputs.world(rng)
    values = inputs.values(rng, world)
    given = values.copy(), world.available.copy()
    mdp.optimality_backup(world, values)
    assert_array_equal(values, given[0])
    assert_array_equal(world.available, given[1])
