"""Sampling: episodes drawn from the model, which the agent itself does not see.

    S_0 ~ start,   A_t ~ pi( . | S_t),   (S_{t+1}, R_{t+1}) ~ p( . , . | S_t, A_t)

An episode goes on until an outcome with discount 0 ends it, or until it is *cut off*
after a number of steps. The two differ. After an ending nothing follows, and the
discount of 0 says so. A cut-off is a decision of the observer: the episode would have
gone on, and the last discount is gamma. A learner must *bootstrap* there: it uses an
estimate in place of the rewards that were cut off.

Source: Sutton & Barto (2018), section 3.1; for the cut-off Pardo et al. (2018), "Time
limits in reinforcement learning".  Shapes: S states, A actions, T time steps.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.bellman import TIE_TOLERANCE, discounted_returns
from mdp.model import MDP, Array

# One number, or a tracer of one number in a compiled loop.
Scalar = Any


class Step(NamedTuple):
    """The result of one action."""

    reward: float  # R_{t+1}
    discount: float  # gamma, or 0 where this step ended the episode
    next_state: int  # S_{t+1}


class Episode(NamedTuple):
    """T steps in a row; if the last discount is not 0, the episode was cut off."""

    states: Int[np.ndarray, "T"]  # S_t
    actions: Int[np.ndarray, "T"]  # A_t
    rewards: Float[np.ndarray, "T"]  # R_{t+1}
    discounts: Float[np.ndarray, "T"]  # gamma, or 0 where the step ended the episode
    next_states: Int[np.ndarray, "T"]  # S_{t+1}


def sample_episode(
    rng: np.random.Generator,
    mdp: MDP,
    policy: Float[np.ndarray, "S A"],
    max_steps: int = 1000,
) -> Episode:
    """Return one episode of a policy, from a start state to its end.

    An episode that has not ended after `max_steps` is cut off; its last discount stays.
    Source: Sutton & Barto (2018), section 3.1.
    """
    states, actions, steps = [], [], []
    state = draw(rng, mdp.start)
    for _ in range(max_steps):
        action = draw(rng, policy[state])
        step = take_step(rng, mdp, state, action)
        states.append(state)
        actions.append(action)
        steps.append(step)
        if step.discount == 0:
            break
        state = step.next_state
    rewards, discounts, next_states = map(np.array, zip(*steps, strict=True))
    return Episode(np.array(states), np.array(actions), rewards, discounts, next_states)


def take_step(rng: np.random.Generator, mdp: MDP, state: int, action: int) -> Step:
    """Return one outcome of the action, drawn from p(s', r | s, a).

    Source: Sutton & Barto (2018), eq. 3.2.

    Raises:
        ValueError: the action is not available in this state.
    """
    if not mdp.available[state, action]:
        raise ValueError(f"action must be available in state {state}, got {action}")
    outcome = draw(rng, mdp.probs[state, action])
    return Step(
        reward=float(mdp.rewards[state, action, outcome]),
        discount=float(mdp.discounts[state, action, outcome]),
        next_state=int(mdp.next_states[state, action, outcome]),
    )


def episode_returns(episode: Episode, rest: float) -> Float[np.ndarray, "T"]:
    """Return G_t for every t of an episode, with an estimate `rest` of G_T.

        G_t = R_{t+1} + gamma G_{t+1},   G_T = rest

    `rest` counts only if the episode was cut off: after an ending the last discount is
    0. Source: Sutton & Barto (2018), eq. 3.9; Pardo et al. (2018) for the cut-off.
    """
    rewards = episode.rewards.copy()
    rewards[-1] += episode.discounts[-1] * rest
    return discounted_returns(rewards, episode.discounts)


def epsilon_greedy(
    action_values: Float[Array, "*states A"],
    available: Bool[Array, "*states A"],
    exploration: Scalar,
) -> Float[Array, "*states A"]:
    """Return pi(a | s): any available action with probability epsilon, else the best.

        pi(a | s) = epsilon/|A(s)| + (1 - epsilon) [a is best] / number of best actions

    Exploration includes the best action. Actions that tie for the best share its part,
    so that a learner tries everything at the beginning.
    Source: Sutton & Barto (2018), section 5.4.
    """
    q = action_values
    best_value = q.max(-1, where=available, initial=-np.inf, keepdims=True)
    best = available & (q >= best_value - TIE_TOLERANCE * (1 + abs(best_value)))
    explore = available / available.sum(-1, keepdims=True)
    exploit = best / best.sum(-1, keepdims=True)
    return exploration * explore + (1 - exploration) * exploit


def draw(rng: np.random.Generator, probs: Float[np.ndarray, "n"]) -> int:
    """Return an index from 0 to n - 1, drawn with the given probabilities.

    The probabilities, laid end to end, cover the line from 0 to 1. A number drawn
    uniformly from that line falls into one of them. (Inverse transform sampling.)
    """
    ends = probs.cumsum()
    # Times the last end: rounding may leave it just below 1, and a point beyond it
    # would fall into no interval, or into one of probability 0.
    point = rng.random() * ends[-1]
    return int((ends <= point).sum())
