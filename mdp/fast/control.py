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

import jax
import numpy as np
from jaxtyping import Int

from mdp.configs import ControlConfig
from mdp.control import (
    ControlAlgorithm,
    Learned,
    expected_sarsa,
    q_learning,
    sarsa,
)
from mdp.fast.steps import (
    NUMBERS_PER_CHUNK,
    Life,
    Lived,
    newborn_life,
    take_steps,
    world_tables,
)
from mdp.model import MDP
from mdp.sampling import epsilon_greedy

ALGORITHMS = (sarsa, expected_sarsa, q_learning)

# So many learners step together: few enough for what they look at to stay in the cache,
# enough to hide what a compiled operation costs. Where one has finished, the next
# learner takes its lane.
MAX_LANES = 512


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
    newborn = newborn_life(mdp, config)
    lives = Life(*(np.stack([field] * len(lanes)) for field in newborn))
    numbers = np.stack([rngs[learner].random(NUMBERS_PER_CHUNK) for learner in lanes])
    with jax.enable_x64(True):
        world = world_tables(mdp, config)
        while (lives.num_episodes < config.num_episodes).any():
            # jax may still be reading what it is given: nothing is changed in place.
            after, lived = take_steps(world, numbers, lives, algorithm)
            after = Life(*map(np.array, after))
            history.add(lanes, lives, Lived(*map(np.asarray, lived)))
            numbers = read_on(numbers, after.num_read, [rngs[i] for i in lanes])
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

    def add(self, lanes: Int[np.ndarray, "lanes"], before: Life, lived: Lived) -> None:
        """Note the episodes that ended in this chunk, and q where a snapshot is due."""
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


def read_on(numbers, num_read, rngs):
    """The streams without the numbers that were read, filled up from the generators."""
    following = np.empty_like(numbers)
    for new, old, n, rng in zip(following, numbers, num_read, rngs, strict=True):
        kept = len(old) - n
        new[:kept] = old[n:]
        rng.random(out=new[kept:])
    return following
