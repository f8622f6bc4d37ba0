"""The target of expected Sarsa, against the sum written out."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def next_actions(rng, num_actions=4):
    weights = rng.uniform(0.05, 1.0, num_actions) * (np.arange(num_actions) < 3)
    q = rng.normal(-5.0, 3.0, num_actions)
    q[-1] = 50.0  # of an action that is never taken
    return {
        "reward": float(rng.normal()),
        "discount": float(rng.uniform(0.3, 0.95)),
        "next_action_values": q,
        "next_policy": weights / weights.sum(),
    }


def test_the_next_actions_count_as_often_as_they_are_taken(rng):
    for _ in range(10):
        reward, discount, q, policy = next_actions(rng).values()
        average = sum(policy[a] * q[a] for a in range(4))
        target = mdp.expected_sarsa_target(reward, discount, q, policy)
        assert_allclose(target, reward + discount * average)


def test_it_is_the_average_of_the_targets_of_sarsa(rng):
    reward, discount, q, policy = next_actions(rng).values()
    targets = [mdp.sarsa_target(reward, discount, q, a) for a in range(4)]
    target = mdp.expected_sarsa_target(reward, discount, q, policy)
    assert_allclose(target, policy @ targets)


def test_an_ending_leaves_the_reward_alone(rng):
    case = next_actions(rng)
    case["discount"] = 0.0
    assert mdp.expected_sarsa_target(*case.values()) == case["reward"]


def test_the_values_are_left_as_they_were(rng):
    case = next_actions(rng)
    given = case["next_action_values"].copy()
    mdp.expected_sarsa_target(*case.values())
    assert_array_equal(case["next_action_values"], given)
