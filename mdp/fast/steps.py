"""The compiled loop behind `mdp.learn_many`: one step of every learner, over and over.

This file stands outside the reading order, and has no equation of its own: the targets
are those of `mdp.control`, the choice that of `mdp.sampling`. A step is written for one
learner, and mapped over all of them.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mdp.configs import ControlConfig, schedule
from mdp.control import (
    expected_sarsa,
    expected_sarsa_target,
    q_learning_target,
    sarsa,
    sarsa_target,
)
from mdp.model import MDP
from mdp.sampling import epsilon_greedy

# Steps between two looks at which learners have finished.
STEPS_PER_CHUNK = 512

# The most numbers that one step reads: the start, its action, the outcome, the action.
NUMBERS_PER_CHUNK = 4 * STEPS_PER_CHUNK


class World(NamedTuple):
    """What a step looks up: the tables of the MDP and the numbers of the config."""

    ends: Float[Array, "S A B"]  # cumulative probabilities of the outcomes
    next_states: Int[Array, "S A B"]
    rewards: Float[Array, "S A B"]
    discounts: Float[Array, "S A B"]
    available: Bool[Array, "S A"]
    starts: Int[Array, "starts"]  # the states that an episode may start in
    start_ends: Float[Array, "starts"]  # their cumulative probabilities
    num_episodes: Int[Array, ""]
    max_steps: Int[Array, ""]
    step_size: Float[Array, ""]
    step_size_decay: Float[Array, ""] | None  # None where it is 0: nothing is counted
    exploration: Float[Array, ""]
    exploration_decay: Float[Array, ""] | None  # None where it is 0


class Life(NamedTuple):
    """Where a learner stands."""

    q: Float[Array, "S A"]
    counts: Int[Array, "S A"]  # how often each entry was learned about
    state: Int[Array, ""]
    action: Int[Array, ""]  # that Sarsa has chosen already
    num_read: Int[Array, ""]  # numbers read from the stream in this chunk
    num_episodes: Int[Array, ""]  # that are over
    time: Int[Array, ""]  # steps taken in this episode
    earned: Float[Array, ""]  # in this episode, discounted
    reach: Float[Array, ""]  # the product of its discounts so far


class Lived(NamedTuple):
    """What one step leaves to remember."""

    over: Bool[Array, ""]  # did it end or cut off an episode?
    earned: Float[Array, ""]  # in the episode up to here, discounted
    time: Int[Array, ""]  # steps in the episode up to here
    pair: Int[Array, ""]  # s A + a, the entry of q that was learned about
    value: Float[Array, ""]  # q(s, a) afterwards


@partial(jax.jit, static_argnames="algorithm")
def take_steps(world, numbers, lives, algorithm):
    """The next steps of the learners, all lanes together."""

    def step_together(lives, _):
        return jax.vmap(partial(_step, world, algorithm))(numbers, lives)

    lives = lives._replace(num_read=jnp.zeros_like(lives.num_read))
    return jax.lax.scan(step_together, lives, length=STEPS_PER_CHUNK)


def _step(world, algorithm, numbers, life):
    """One step of one learner: the body of the loops in `mdp.control`."""
    read, q, counts = life.num_read, life.q, life.counts
    exploration = world.exploration
    if world.exploration_decay is not None:
        episode = life.num_episodes + 1
        exploration = schedule(exploration, world.exploration_decay, episode)

    def policy(state):
        return epsilon_greedy(q[state], world.available[state], exploration)

    # An episode begins.
    fresh = life.time == 0
    start = world.starts[_draw(world.start_ends, numbers[read])]
    state = jnp.where(fresh, start, life.state)
    read += fresh

    # It chooses: Sarsa has done so already, unless the episode has just begun.
    action = _draw(policy(state).cumsum(), numbers[read])
    if algorithm is sarsa:
        action = jnp.where(fresh, action, life.action)
    read += fresh if algorithm is sarsa else 1

    # The world answers.
    outcome = _draw(world.ends[state, action], numbers[read])
    reward = world.rewards[state, action, outcome]
    discount = world.discounts[state, action, outcome]
    next_state = world.next_states[state, action, outcome]
    read += 1

    # It learns.
    next_action = action
    if algorithm is sarsa:
        next_action = _draw(policy(next_state).cumsum(), numbers[read])
        read += 1
        target = sarsa_target(reward, discount, q[next_state], next_action)
    elif algorithm is expected_sarsa:
        next_policy = policy(next_state)
        target = expected_sarsa_target(reward, discount, q[next_state], next_policy)
    else:
        next_available = world.available[next_state]
        target = q_learning_target(reward, discount, q[next_state], next_available)
    step_size = world.step_size
    if world.step_size_decay is not None:
        counts = counts.at[state, action].add(1)
        count = counts[state, action]
        step_size = schedule(step_size, world.step_size_decay, count)
    q = q.at[state, action].add(step_size * (target - q[state, action]))

    time = life.time + 1
    earned = life.earned + life.reach * reward
    # Who has finished goes on unseen: as nothing is ever over, nothing is noted.
    active = life.num_episodes < world.num_episodes
    over = active & ((discount == 0) | (time == world.max_steps))
    after = Life(
        q=q,
        counts=counts,
        state=next_state,
        action=next_action,
        num_read=read,
        num_episodes=life.num_episodes + over,
        time=jnp.where(over, 0, time),
        earned=jnp.where(over, 0.0, earned),
        reach=jnp.where(over, 1.0, life.reach * discount),
    )
    pair = state * world.available.shape[1] + action
    return after, Lived(over, earned, time, pair, q[state, action])


def _draw(ends, number):
    """As `mdp.sampling.draw`, from the cumulative probabilities and a number."""
    return (ends <= number * ends[-1]).sum()


def world_tables(mdp: MDP, config: ControlConfig) -> World:
    """The tables as the loop reads them."""
    starts = np.flatnonzero(mdp.start)
    world = World(
        ends=mdp.probs.cumsum(-1),
        next_states=mdp.next_states,
        rewards=mdp.rewards,
        discounts=mdp.discounts,
        available=mdp.available,
        starts=starts,
        start_ends=mdp.start.cumsum()[starts],
        num_episodes=config.num_episodes,
        max_steps=config.max_steps,
        step_size=config.step_size,
        step_size_decay=config.step_size_decay or None,
        exploration=config.exploration,
        exploration_decay=config.exploration_decay or None,
    )
    return jax.tree.map(jnp.asarray, world)


def newborn_life(mdp: MDP, config: ControlConfig) -> Life:
    """A learner before its first step."""
    return Life(
        q=np.where(mdp.available, config.initial_value, 0.0),
        counts=np.zeros(mdp.available.shape, int),
        state=0,
        action=0,
        num_read=0,
        num_episodes=0,
        time=0,
        earned=0.0,
        reach=1.0,
    )
