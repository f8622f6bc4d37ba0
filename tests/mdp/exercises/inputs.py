"""Random inputs on which no term of an equation can go missing unnoticed."""

import numpy as np

import mdp


def recording(rng, length):
    """Rewards of both signs, discounts that differ, and some episodes that end."""
    discounts = rng.uniform(0.3, 0.95, length)
    discounts[rng.random(length) < 0.25] = 0.0
    return rng.normal(-1.0, 3.0, length), discounts


def world(rng, num_states=6, num_actions=3, num_outcomes=4):
    """A world with everything in it that is easily forgotten.

    Outcomes that share a next state and differ in reward and discount, discounts of
    several sizes, endings on the way into states that go on, an action that is not
    available in two states, rows of padding that hold numbers, mostly negative rewards,
    and a last state that is terminal.
    """
    shape = (num_states, num_actions, num_outcomes)
    probs = rng.dirichlet(np.full(num_outcomes, 0.7), shape[:2])
    next_states = rng.integers(num_states, size=shape)
    # Two outcomes lead to the same state, and are not the same.
    next_states[:, :, 1] = next_states[:, :, 0]
    rewards = rng.normal(-2.0, 3.0, shape)
    discounts = rng.choice([0.0, 0.5, 0.8, 0.9], shape, p=[0.1, 0.2, 0.3, 0.4])
    available = np.ones(shape[:2], bool)
    for state in rng.permutation(num_states - 1)[:2]:
        available[state, rng.integers(num_actions)] = False
    end = num_states - 1
    probs[end] = np.eye(num_outcomes)[0]
    next_states[end], rewards[end], discounts[end] = end, 0.0, 0.0
    discounts[next_states == end] = 0.0
    probs[~available] = 0.0
    start = np.append(rng.dirichlet(np.ones(end)), 0.0)
    model = mdp.MDP(probs, next_states, rewards, discounts, available, start)
    return mdp.validate(model)


def values(rng, world):
    """Of both signs; what stands at the terminal state is not 0, and must not count."""
    numbers = rng.normal(0.0, 10.0, world.num_states)
    numbers[-1] = 100.0
    return numbers


def policy(rng, world):
    """A random distribution over the available actions of each state."""
    weights = rng.uniform(0.05, 1.0, world.available.shape) * world.available
    return weights / weights.sum(-1, keepdims=True)
