"""Learning from whole episodes, against returns written out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("first_visit", [True, False])
@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_each_state_moves_towards_the_returns_that_followed_it(
    rng, length, ends, first_visit
):
    episode = inputs.episode(rng, length, ends)
    values, step_sizes = rng.normal(0, 5, 5), rng.uniform(0.1, 0.9, length)
    data = (values, episode, step_sizes)
    updated = mdp.monte_carlo_update(*data, first_visit=first_visit)
    expected = oracles.learned_by_monte_carlo(*data, first_visit)
    assert_allclose(updated, expected, rtol=1e-10, atol=1e-10)


def test_every_visit_counts_unless_the_first_is_asked_for(rng):
    data = (np.zeros(5), inputs.episode(rng, 9), np.full(9, 0.5))
    every = oracles.learned_by_monte_carlo(*data, first_visit=False)
    assert_allclose(mdp.monte_carlo_update(*data), every)


def test_a_state_that_was_not_visited_keeps_its_value(rng):
    episode = inputs.episode(rng, 4)
    values = rng.normal(0, 5, 5)
    updated = mdp.monte_carlo_update(values, episode, np.full(4, 0.5))
    unseen = ~np.isin(np.arange(5), episode.states)
    assert_array_equal(updated[unseen], values[unseen])


def test_the_values_are_left_as_they_were(rng):
    episode, values = inputs.episode(rng, 6, ends=False), rng.normal(0, 5, 5)
    given = values.copy(), [field.copy() for field in episode]
    mdp.monte_carlo_update(values, episode, np.full(6, 0.5))
    assert_array_equal(values, given[0])
    for field, before in zip(episode, given[1], strict=True):
        assert_array_equal(field, before)
