"""Fixtures on which no term of an equation can go missing unnoticed."""

import numpy as np
import pytest

from mdp import from_arrays
from tests.policy_gradient import inputs


@pytest.fixture(params=range(3), ids="seed{}".format)
def rng(request):
    """Random numbers: three seeds, the same in every run of the tests."""
    return np.random.default_rng(request.param)


@pytest.fixture
def three_episodes():
    """Eleven rows: an episode that ends, one that is cut off, one still running.

    gamma 0.9; rewards and values of both signs, and the states beyond every ending and
    cut-off are worth something, so that a wrong bootstrap shows.
    """
    discounts, continues = np.full(11, 0.9), np.ones(11)
    discounts[3] = 0.0
    continues[[3, 7]] = 0.0
    log_probs, rewards, values, beyond = np.random.default_rng(0).normal(size=(4, 11))
    rows = inputs.trajectory(rewards, discounts, continues, values, beyond)
    return rows._replace(log_probs=inputs.array(log_probs))


@pytest.fixture
def small():
    """Four states, three actions, gamma 0.9; state 3 is terminal, (1, 2) unavailable.

    About half of the steps end the episode, so that few are longer than 30 steps.
    """
    rng = np.random.default_rng(1)
    transitions = rng.dirichlet(np.ones(4), size=(4, 3))
    transitions[..., 3] += 0.5
    transitions /= transitions.sum(-1, keepdims=True)
    rewards = rng.normal(-0.5, 1.0, size=(4, 3, 4))
    available = np.ones((4, 3), bool)
    available[1, 2] = False
    return from_arrays(transitions, rewards, 0.9, terminal=[3], available=available)
