"""Greedy policies, against the best actions counted one by one."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs


def test_the_best_available_actions_share_a_state_equally(rng):
    for num_states in (2, 6, 12):
        world = inputs.world(rng, num_states)
        q = inputs.action_values_with_ties(rng, world)
        policy = mdp.greedy_policy(world, q)
        for s, row in enumerate(policy):
            possible = np.flatnonzero(world.available[s])
            most = max(q[s, a] for a in possible)
            best = [a for a in possible if q[s, a] == most]
            expected = [(a in best) / len(best) for a in range(len(row))]
            assert_allclose(row, expected, err_msg=f"q = {q[s]}, best: {best}")


def test_one_best_action_is_taken_always(rng):
    world = inputs.world(rng)
    q = inputs.values(rng, world)[:, None] + rng.normal(size=world.available.shape)
    policy = mdp.greedy_policy(world, q)
    assert policy.dtype == float
    assert_array_equal(policy.sum(-1), 1.0)
    chosen = (policy * np.where(world.available, q, 0.0)).sum(-1)
    best = [q[s, world.available[s]].max() for s in range(len(q))]
    assert_allclose(chosen, best)


def test_a_small_difference_is_no_tie(rng):
    world = inputs.world(rng, num_actions=4)
    q = np.full(world.available.shape, -5.0)
    best = world.available.argmax(-1)
    q[np.arange(len(q)), best] += 1e-4
    assert_array_equal(mdp.greedy_policy(world, q).argmax(-1), best)
    assert_array_equal(mdp.greedy_policy(world, q).max(-1), 1.0)


def test_the_action_values_are_left_as_they_were(rng):
    world = inputs.world(rng)
    q = inputs.action_values_with_ties(rng, world)
    given = q.copy(), world.available.copy()
    mdp.greedy_policy(world, q)
    assert_array_equal(q, given[0])
    assert_array_equal(world.available, given[1])
