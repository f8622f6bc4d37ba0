"""A small MDP on which every term of an equation makes a difference."""

from typing import NamedTuple

import numpy as np
import pytest

from mdp import MDP, from_arrays


class Dense(NamedTuple):
    """An MDP, and the numbers that it was made from."""

    transitions: np.ndarray
    rewards: np.ndarray
    gamma: float
    terminal: int
    available: np.ndarray
    mdp: MDP


@pytest.fixture(params=range(3), ids="seed{}".format)
def rng(request):
    """Random numbers of several fixed seeds."""
    return np.random.default_rng(request.param)


@pytest.fixture
def dense():
    """Return five states, three actions; 4 is terminal, (1, 2) and (3, 0) unavailable.

    gamma < 1, transitions random and sparse, rewards random, mostly negative and
    different for every (s, a, s').
    """
    rng = np.random.default_rng(0)
    transitions = rng.dirichlet(np.full(5, 0.5), size=(5, 3))
    transitions[0, 0] = [0.7, 0.0, 0.3, 0.0, 0.0]
    transitions[2, 1] = [0.0, 0.0, 0.0, 0.0, 1.0]
    rewards = rng.normal(-1.0, 1.5, size=(5, 3, 5))
    available = np.ones((5, 3), bool)
    available[1, 2] = available[3, 0] = False
    mdp = from_arrays(transitions, rewards, 0.8, terminal=[4], available=available)
    return Dense(transitions, rewards, 0.8, 4, available, mdp)


@pytest.fixture
def values():
    """Return values of both signs for the five states; the terminal one is not 0."""
    return np.array([-3.0, 2.0, -0.5, 7.0, 100.0])


@pytest.fixture
def policy(dense):
    """Return a random policy over the available actions."""
    weights = np.random.default_rng(1).uniform(0.1, 1.0, (5, 3)) * dense.available
    weights[dense.terminal] = [0.2, 0.3, 0.5]
    return weights / weights.sum(-1, keepdims=True)
