"""No function changes its arguments."""

import copy

import numpy as np
import pytest

import mdp
from tests.mdp import inputs


def world_policy_values(rng):
    world = inputs.world(rng)
    return world, inputs.policy(rng, world), inputs.values(rng, world)


def world_and_values(rng):
    world, _, values = world_policy_values(rng)
    return world, values


def world_and_policy(rng):
    return world_policy_values(rng)[:2]


def world_and_q(rng):
    world = inputs.world(rng)
    return world, inputs.action_values_with_ties(rng, world)


def exploring(rng):
    world, q = world_and_q(rng)
    return q, world.available, 0.3


def values_and_episode(rng):
    return rng.normal(0, 5, 5), inputs.episode(rng, 6, ends=False), np.full(6, 0.5)


def counts(rng):
    return rng.normal(size=(2, 3)), np.array([[0, 1, 2], [3, 0, 0]]), 4, 2.0


ARGUMENTS = {
    mdp.discounted_returns: lambda rng: inputs.recording(rng, 6),
    mdp.MDP.transitions.fget: lambda rng: (inputs.world(rng),),
    mdp.action_values: world_and_values,
    mdp.expectation_backup: world_policy_values,
    mdp.optimality_backup: world_and_values,
    mdp.greedy_policy: world_and_q,
    mdp.evaluate: world_and_policy,
    mdp.value_iteration: lambda rng: (inputs.world(rng),),
    mdp.policy_iteration: lambda rng: (inputs.world(rng),),
    mdp.epsilon_greedy: exploring,
    mdp.monte_carlo_update: values_and_episode,
    mdp.td_zero_update: values_and_episode,
    mdp.sarsa_target: lambda rng: (*inputs.next_actions(rng)[:3], 1),
    mdp.expected_sarsa_target: lambda rng: (-1.0, 0.5, *rng.normal(size=(2, 3))),
    mdp.q_learning_target: inputs.next_actions,
    mdp.ucb_scores: counts,
    mdp.gradient_bandit_step: lambda rng: inputs.pulls(rng, 3, 4).values(),
}


@pytest.mark.parametrize("function", ARGUMENTS, ids=lambda f: f.__name__)
def test_the_arguments_stay_as_they_are(function):
    arguments = list(ARGUMENTS[function](np.random.default_rng(0)))
    before = copy.deepcopy(arguments)
    function(*arguments)
    np.testing.assert_equal(arguments, before)
