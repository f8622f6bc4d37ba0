"""The target of Q-learning, against the maximum written out."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def next_actions(rng, num_actions=4):
    available = rng.permutation(np.arange(num_actions) < 3)
    q = rng.normal(-5.0, 1.0, num_actions)
    q[~available] = 50.0
    return {
        "reward": float(rng.normal()),
        "discount": float(rng.uniform(0.3, 0.95)),
        "next_action_values": q,
        "available": available,
    }


def test_it_looks_ahead_to_the_best_available_action(rng):
    for shift in (-1e4, -20.0, 0.0, 20.0):
        reward, discount, q, available = next_actions(rng).values()
        q = q + shift
        best = max(q[a] for a in range(4) if available[a])
        target = mdp.q_learning_target(reward, discount, q, available)
        assert_allclose(target, reward + discount * best)


def test_whatever_is_not_available_does_not_count(rng):
    reward, discount, q, available = next_actions(rng).values()
    ours = mdp.q_learning_target(reward, discount, q, available)
    for other in (-1e3, 0.0, 1e3):
        changed = np.where(available, q, other)
        assert mdp.q_learning_target(reward, discount, changed, available) == ours


def test_an_ending_leaves_the_reward_alone(rng):
    case = next_actions(rng)
    case["discount"] = 0.0
    assert mdp.q_learning_target(*case.values()) == case["reward"]


def test_the_values_are_left_as_they_were(rng):
    case = next_actions(rng)
    given = case["next_action_values"].copy()
    mdp.q_learning_target(*case.values())
    assert_array_equal(case["next_action_values"], given)
