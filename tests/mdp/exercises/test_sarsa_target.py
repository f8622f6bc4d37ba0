"""The target of Sarsa, against the numbers written out."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def next_actions(rng, num_actions=4):
    return {
        "reward": float(rng.normal()),
        "discount": float(rng.uniform(0.3, 0.95)),
        "next_action_values": rng.normal(-5.0, 3.0, num_actions),
        "next_action": int(rng.integers(num_actions)),
    }


def test_it_is_the_reward_and_the_discounted_value_of_the_action_taken_next(rng):
    for _ in range(10):
        reward, discount, q, action = next_actions(rng).values()
        target = mdp.sarsa_target(reward, discount, q, action)
        for other in range(4):
            if other == action:
                assert_allclose(target, reward + discount * q[other])
            else:
                assert abs(target - (reward + discount * q[other])) > 1e-9


def test_the_other_actions_do_not_count(rng):
    reward, discount, q, action = next_actions(rng).values()
    others = np.where(np.arange(4) == action, q, rng.normal(100.0, 50.0, 4))
    ours = mdp.sarsa_target(reward, discount, q, action)
    assert_allclose(mdp.sarsa_target(reward, discount, others, action), ours)


def test_an_ending_leaves_the_reward_alone(rng):
    case = next_actions(rng)
    case["discount"] = 0.0
    assert mdp.sarsa_target(*case.values()) == case["reward"]


def test_the_values_are_left_as_they_were(rng):
    case = next_actions(rng)
    given = case["next_action_values"].copy()
    mdp.sarsa_target(*case.values())
    assert_array_equal(case["next_action_values"], given)
