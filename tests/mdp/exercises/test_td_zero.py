"""Learning from single steps, against each step written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_each_step_moves_a_state_towards_its_target(rng, length, ends):
    episode = inputs.episode(rng, length, ends)
    data = (rng.normal(0, 5, 5), episode, rng.uniform(0.1, 0.9, length))
    updated = mdp.td_zero_update(*data)
    expected = oracles.learned_by_td(*data)
    assert_allclose(updated, expected, rtol=1e-10, atol=1e-10)


def test_what_stands_at_the_end_does_not_count(rng):
    episode, values = inputs.episode(rng, 7), rng.normal(0, 5, 5)
    updated = mdp.td_zero_update(values, episode, np.full(7, 0.5))
    values[-1] = 1e6
    again = mdp.td_zero_update(values, episode, np.full(7, 0.5))
    assert_array_equal(again[:-1], updated[:-1])
    assert again[-1] == 1e6


def test_the_exact_values_stay_where_they_are_on_average(rng):
    """On one state with reward -1 for ever, v = -1 / (1 - gamma) does not move."""
    steps = np.zeros(5, int)
    episode = mdp.Episode(steps, steps, np.full(5, -1.0), np.full(5, 0.9), steps)
    updated = mdp.td_zero_update(np.array([-10.0]), episode, rng.uniform(0.1, 1, 5))
    assert_allclose(updated, [-10.0])


def test_the_values_are_left_as_they_were(rng):
    episode, values = inputs.episode(rng, 6), rng.normal(0, 5, 5)
    given = values.copy(), [field.copy() for field in episode]
    mdp.td_zero_update(values, episode, np.full(6, 0.5))
    assert_array_equal(values, given[0])
    for field, before in zip(episode, given[1], strict=True):
        assert_array_equal(field, before)
