"""Action values, against the outcomes taken one at a time."""

import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("shape", [(3, 2, 2), (6, 3, 4), (4, 4, 4), (5, 2, 7)])
def test_an_action_is_worth_what_its_outcomes_are_worth_on_average(rng, shape):
    world = inputs.world(rng, *shape)
    values = inputs.values(rng, world)
    q = mdp.action_values(world, values)
    assert_allclose(q, oracles.action_values(world, values), rtol=1e-10, atol=1e-10)
    assert q.shape == world.available.shape


def test_what_stands_at_a_terminal_state_does_not_count(rng):
    world = inputs.world(rng)
    values = inputs.values(rng, world)
    q = mdp.action_values(world, values)
    values[-1] = -1e6
    assert_array_equal(mdp.action_values(world, values), q)
    assert_array_equal(q[-1], 0.0)


def test_an_action_that_is_not_available_is_worth_nothing(rng):
    world = inputs.world(rng)
    q = mdp.action_values(world, inputs.values(rng, world))
    assert_array_equal(q[~world.available], 0.0)


def test_the_values_are_left_as_they_were(rng):
    world = inputs.world(rng)
    values = inputs.values(rng, world)
    given = values.copy(), [field.copy() for field in world]
    mdp.action_values(world, values)
    assert_array_equal(values, given[0])
    for field, before in zip(world, given[1], strict=True):
        assert_array_equal(field, before)
