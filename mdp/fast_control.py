"""Many learners at once, compiled: the same numbers as in `mdp.control`, only sooner.

This file stands outside the reading order, and is behind `mdp.learn_many`. It has no
equation of its own: the targets and the epsilon-greedy choice are those of
`mdp.control`. What it adds is that all learners take their next step together, in one
loop that jax compiles.

Each learner reads a stream of uniform numbers, drawn from a generator of its own, in
the order in which the loops of `mdp.control` read it. So each learns what it would have
learned alone, and the tests say so, number by number.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mdp.control import (
    ControlAlgorithm,
    ControlConfig,
    Learned,
    expected_sarsa,
    expected_sarsa_target,
    q_learning,
    q_learning_target,
    sarsa,
    sarsa_target,
)
from mdp.model import MDP
from mdp.prediction import schedule
from mdp.sampling import epsilon_greedy

ALGORITHMS = (sarsa, expected_sarsa, q_learning)

# So many learners step together: few enough for what they look at to stay in the cache,
# enough to hide what a compiled operation costs. Where one has finished, the next
# learner takes its lane.
MAX_LANES = 512

# Steps between two looks at which learners have finished.
STEPS_PER_CHUNK = 512

# The most numbers that one step reads: the start, its action, the outcome, the action.
NUMBERS_PER_CHUNK = 4 * STEPS_PER_CHUNK


class _World(NamedTuple):
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


class _Life(NamedTuple):
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


class _Lived(NamedTuple):
    """What one step leaves to remember."""

    over: Bool[Array, ""]  # did it end or cut off an episode?
    earned: Float[Array, ""]  # in the episode up to here, discounted
    time: Int[Array, ""]  # steps in the episode up to here
    pair: Int[Array, ""]  # s A + a, the entry of q that was learned about
    value: Float[Array, ""]  # q(s, a) afterwards


def learn_many(
    rng: np.random.Generator,
    mdp: MDP,
    config: ControlConfig,
    algorithm: ControlAlgorithm,
    num_learners: int,
) -> Learned:
    """As `mdp.learn_many`, for the algorithms that are compiled here."""
    rngs = rng.spawn(num_learners)
    share = max(-(-num_learners // os.cpu_count()), MAX_LANES // 4)
    shares = [rngs[i : i + share] for i in range(0, num_learners, share)]
    with ThreadPoolExecutor(len(shares)) as threads:
        learned = threads.map(partial(_learn_share, mdp, config, algorithm), shares)
        return Learned(*map(np.concatenate, zip(*learned, strict=True)))


def _learn_share(
    mdp: MDP,
    config: ControlConfig,
    algorithm: ControlAlgorithm,
    rngs: Sequence[np.random.Generator],
) -> Learned:
    """All learners of one thread, from the first step of each to its last."""
    history = _History(mdp, config, len(rngs))
    lanes = np.arange(min(len(rngs), MAX_LANES))  # the learner in each lane
    queue = iter(range(len(lanes), len(rngs)))
    newborn = _newborn(mdp, config)
    lives = _Life(*(np.stack([field] * len(lanes)) for field in newborn))
    numbers = np.stack([rngs[learner].random(NUMBERS_PER_CHUNK) for learner in lanes])
    with jax.enable_x64(True):
        world = _world(mdp, config)
        while (lives.num_episodes < config.num_episodes).any():
            # jax may still be reading what it is given: nothing is changed in place.
            after, lived = _take_steps(world, numbers, lives, algorithm)
            after = _Life(*map(np.array, after))
            history.add(lanes, lives, after, _Lived(*map(np.asarray, lived)))
            numbers = _read_on(numbers, after.num_read, [rngs[i] for i in lanes])
            for lane in np.flatnonzero(after.num_episodes == config.num_episodes):
                learner = next(queue, None)
                if learner is None:
                    break
                lanes[lane] = learner
                numbers[lane] = rngs[learner].random(NUMBERS_PER_CHUNK)
                for field, at_birth in zip(after, newborn, strict=True):
                    field[lane] = at_birth
            lives = after
    return history.learned()


class _History:
    """What each learner lived through, put together from the chunks."""

    def __init__(self, mdp: MDP, config: ControlConfig, num_learners: int):
        self.mdp, self.config = mdp, config
        shape = (num_learners, config.num_episodes)
        self.returns, self.lengths = np.zeros(shape), np.zeros(shape, int)
        num_snapshots = len(config.snapshot_episodes)
        shape = (num_learners, num_snapshots, *mdp.available.shape)
        self.snapshots = np.zeros(shape)

    def add(self, lanes, before: _Life, after: _Life, lived: _Lived) -> None:
        lane, step = np.nonzero(lived.over.T)
        # The k-th ending in a lane ends the k-th episode since the chunk began.
        nth = np.arange(len(lane)) - np.searchsorted(lane, lane)
        learner, episode = lanes[lane], before.num_episodes[lane] + nth
        self.returns[learner, episode] = lived.earned[step, lane]
        self.lengths[learner, episode] = lived.time[step, lane]
        for nth, num_episodes in enumerate(self.config.snapshot_episodes):
            for k in np.flatnonzero(episode + 1 == num_episodes):
                until = slice(step[k] + 1)
                q = before.q[lane[k]].copy()
                # Of several values for the same entry numpy keeps the last.
                q.flat[lived.pair[until, lane[k]]] = lived.value[until, lane[k]]
                self.snapshots[learner[k], nth] = q

    def learned(self) -> Learned:
        q = self.snapshots[:, -1]
        return Learned(
            action_values=q,
            policy=epsilon_greedy(q, np.broadcast_to(self.mdp.available, q.shape), 0.0),
            returns=self.returns,
            lengths=self.lengths,
            snapshots=self.snapshots,
            snapshot_episodes=np.tile(self.config.snapshot_episodes, (len(q), 1)),
        )


@partial(jax.jit, static_argnames="algorithm")
def _take_steps(world, numbers, lives, algorithm):
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
    active = life.num_episodes < world.num_episodes
    step_size = world.step_size
    if world.step_size_decay is not None:
        counts = counts.at[state, action].add(active)
        count = counts[state, action]
        step_size = schedule(step_size, world.step_size_decay, count)
    change = step_size * (target - q[state, action])
    q = q.at[state, action].add(jnp.where(active, change, 0.0))

    time = life.time + 1
    earned = life.earned + life.reach * reward
    over = active & ((discount == 0) | (time == world.max_steps))
    after = _Life(
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
    # Who has finished waits. The tables have not changed, and need not be copied.
    waiting = life._replace(q=q, counts=counts)
    life = jax.tree.map(partial(jnp.where, active), after, waiting)._replace(
        q=q, counts=counts
    )
    pair = state * world.available.shape[1] + action
    return life, _Lived(over, earned, time, pair, q[state, action])


def _draw(ends, number):
    """As `mdp.sampling.draw`, from the cumulative probabilities and a number."""
    return (ends <= number * ends[-1]).sum()


def _read_on(numbers, num_read, rngs):
    """The streams without the numbers that were read, filled up from the generators."""
    following = np.empty_like(numbers)
    for new, old, n, rng in zip(following, numbers, num_read, rngs, strict=True):
        kept = len(old) - n
        new[:kept] = old[n:]
        rng.random(out=new[kept:])
    return following


def _world(mdp: MDP, config: ControlConfig) -> _World:
    """The tables as the loop reads them."""
    starts = np.flatnonzero(mdp.start)
    world = _World(
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


def _newborn(mdp: MDP, config: ControlConfig) -> _Life:
    """A learner before its first step."""
    return _Life(
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
