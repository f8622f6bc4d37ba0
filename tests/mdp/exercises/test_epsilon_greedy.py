"""Epsilon-greedy, against probabilities counted one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs


def chances(q, available, exploration):
    """Of each action, first explored, then exploited."""
    possible = np.flatnonzero(available)
    best = [a for a in possible if q[a] == max(q[possible])]
    row = np.zeros(len(q))
    row[possible] += exploration / len(possible)
    row[best] += (1 - exploration) / len(best)
    return row


@pytest.mark.parametrize("exploration", [0.0, 0.1, 0.5, 1.0])
def test_every_available_action_is_explored_and_the_best_share_the_rest(
    rng, exploration
):
    world = inputs.world(rng, 8, 4)
    q = inputs.action_values_with_ties(rng, world)
    policy = mdp.epsilon_greedy(q, world.available, exploration)
    expected = [
        chances(*row, exploration) for row in zip(q, world.available, strict=True)
    ]
    assert_allclose(policy, expected, atol=1e-12)
    assert_allclose(policy.sum(-1), 1.0)


def test_one_state_alone_or_many_together(rng):
    world = inputs.world(rng)
    q = inputs.action_values_with_ties(rng, world)
    together = mdp.epsilon_greedy(q, world.available, 0.3)
    alone = [mdp.epsilon_greedy(q[s], world.available[s], 0.3) for s in range(len(q))]
    assert_allclose(together, alone)


def test_a_greedy_choice_among_all_different_values(rng):
    q = rng.normal(-5.0, 1.0, (6, 4))
    available = np.ones((6, 4), bool)
    policy = mdp.epsilon_greedy(q, available, 0.2)
    assert_array_equal(policy.argmax(-1), q.argmax(-1))
    assert_allclose(policy.max(-1), 0.8 + 0.2 / 4)
    assert_allclose(policy.min(-1), 0.2 / 4)


def test_the_arguments_are_left_as_they_were(rng):
    world = inputs.world(rng)
    q = inputs.action_values_with_ties(rng, world)
    given = q.copy(), world.available.copy()
    mdp.epsilon_greedy(q, world.available, 0.3)
    assert_array_equal(q, given[0])
    assert_array_equal(world.available, given[1])
