"""Dense transitions, against the outcomes taken one at a time."""

import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 2, 5), (6, 4, 3), (4, 4, 4)])
def test_the_probabilities_of_outcomes_with_the_same_next_state_add_up(rng, shape):
    world = inputs.world(rng, *shape) if shape[2] > 1 else inputs.loop(1.0, 0.5)
    dense = world.transitions
    assert_allclose(dense, oracles.transitions(world), atol=1e-12)
    assert dense.dtype == float


def test_each_row_is_a_distribution_if_the_action_is_available(rng):
    world = inputs.world(rng)
    assert_allclose(world.transitions.sum(-1), world.available, atol=1e-12)


def test_the_expected_value_of_the_next_state_is_the_same_either_way(rng):
    world = inputs.world(rng)
    values = inputs.values(rng, world)
    by_outcomes = (world.probs * values[world.next_states]).sum(-1)
    assert_allclose(world.transitions @ values, by_outcomes, atol=1e-10)


def test_the_world_is_left_as_it_was(rng):
    world = inputs.world(rng)
    given = [field.copy() for field in world]
    world.transitions[:] = -1.0
    for field, before in zip(world, given, strict=True):
        assert_array_equal(field, before)
