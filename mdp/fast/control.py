"""Many learners at once, compiled, with the numbers that each would learn alone.

    learn_many        each learner takes a given number of episodes
    learn_by_steps    each learner takes a given number of steps

All learners take their next step together, in one loop that jax compiles (`steps.py`).
Each learner reads a stream of uniform numbers from a generator of its own, in the order
in which the loops of `mdp.control` draw them. So each learns the same numbers as alone,
and the tests compare them one by one.

Equal numbers of steps are equal budgets for learners of different kinds.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from mdp.configs import ControlConfig
from mdp.control import ControlAlgorithm, Learned, expected_sarsa, q_learning, sarsa
from mdp.fast.steps import (
    NUMBERS_PER_CHUNK,
    STEPS_PER_CHUNK,
    LearnerState,
    StepRecord,
    StepTables,
    new_learner,
    step_tables,
    take_steps,
)
from mdp.model import MDP
from mdp.sampling import epsilon_greedy

COMPILED = (sarsa, expected_sarsa, q_learning)

# So many learners step together: few enough for their tables to stay in the cache,
# enough to hide the cost of a compiled operation. Where one has finished, the next
# learner takes its lane.
MAX_LANES = 256


Numbers = Float[np.ndarray, "learners numbers"]  # random numbers of each learner


class Checkpoints(NamedTuple):
    """The state of each learner after given numbers of steps."""

    action_values: Float[np.ndarray, "learners C S A"]  # q
    num_episodes: Int[np.ndarray, "learners C"]  # number of finished episodes


def learn_many(
    rng: np.random.Generator,
    mdp: MDP,
    config: ControlConfig,
    algorithm: ControlAlgorithm,
    num_learners: int,
) -> Learned:
    """Let many learners learn, each by itself; every result has an axis of learners.

    The i-th result is `algorithm(rng.spawn(num_learners)[i], mdp, config)`. Sarsa,
    expected Sarsa and Q-learning are compiled, and run hundreds of times faster.

    Raises:
        ValueError: `num_learners` is below 1.
    """
    if num_learners < 1:
        raise ValueError(f"num_learners must be at least 1, got {num_learners}")
    rngs = rng.spawn(num_learners)
    if algorithm not in COMPILED:
        learners = [algorithm(child, mdp, config) for child in rngs]
        return Learned(*map(np.stack, zip(*learners, strict=True)))
    share = max(-(-num_learners // (os.cpu_count() or 1)), MAX_LANES // 2)
    shares = [rngs[i : i + share] for i in range(0, num_learners, share)]
    with ThreadPoolExecutor(len(shares)) as threads:
        learned = threads.map(partial(_learn_share, mdp, config, algorithm), shares)
        return Learned(*map(np.concatenate, zip(*learned, strict=True)))


def learn_by_steps(
    rngs: Sequence[np.random.Generator],
    mdp: MDP,
    config: ControlConfig,
    algorithm: ControlAlgorithm,
    checkpoints: Sequence[int],
    report: Callable[[int], None] | None = None,
) -> Checkpoints:
    """Let one learner for each generator take `checkpoints[-1]` steps, side by side.

    Each learns the numbers that `algorithm(rng, mdp, config)` learns alone, for as many
    episodes as it takes: `config.num_episodes` does not count.

    Args:
        rngs: one for each learner.
        mdp: the MDP of all learners.
        config: the config of all learners.
        algorithm: `sarsa`, `expected_sarsa` or `q_learning`.
        checkpoints: rising numbers of steps.
        report: called with the number of steps that all have taken.
    """
    # No step can end more than one episode, so no learner ever finishes.
    config = replace(config, num_episodes=checkpoints[-1] + STEPS_PER_CHUNK)
    learners, numbers = _begin(mdp, config, rngs)
    q = np.zeros((len(rngs), len(checkpoints), *mdp.available.shape))
    num_episodes = np.zeros(q.shape[:2], int)
    with jax.enable_x64(True):
        tables = step_tables(mdp, config)
        for start in range(0, checkpoints[-1], STEPS_PER_CHUNK):
            after, records = _take_chunk(tables, numbers, learners, algorithm)
            for nth, steps in enumerate(checkpoints):
                if start < steps <= start + STEPS_PER_CHUNK:
                    for lane, before in enumerate(learners.q):
                        q[lane, nth] = _q_after(before, records, lane, steps - start)
                    ended = records.over[: steps - start].sum(0)
                    num_episodes[:, nth] = learners.num_episodes + ended
            numbers = _refill(numbers, after.num_read, rngs)
            learners = after
            if report is not None:
                report(min(start + STEPS_PER_CHUNK, checkpoints[-1]))
    return Checkpoints(q, num_episodes)


class _History:
    """The history of every learner, put together from the records of the chunks."""

    def __init__(self, mdp: MDP, config: ControlConfig, num_learners: int) -> None:
        self.mdp, self.config = mdp, config
        shape = (num_learners, config.num_episodes)
        self.returns, self.lengths = np.zeros(shape), np.zeros(shape, int)
        num_snapshots = len(config.snapshot_episodes)
        self.snapshots = np.zeros((num_learners, num_snapshots, *mdp.available.shape))

    def add(
        self, lanes: Int[np.ndarray, "lanes"], before: LearnerState, records: StepRecord
    ) -> None:
        """Add the episodes that ended in this chunk, and q where a snapshot is due."""
        lane, step = np.nonzero(records.over.T)
        # The k-th ending in a lane ends the k-th episode since the chunk began.
        nth = np.arange(len(lane)) - np.searchsorted(lane, lane)
        learner, episode = lanes[lane], before.num_episodes[lane] + nth
        self.returns[learner, episode] = records.earned[step, lane]
        self.lengths[learner, episode] = records.time[step, lane]
        for snapshot, num_episodes in enumerate(self.config.snapshot_episodes):
            for k in np.flatnonzero(episode + 1 == num_episodes):
                at, num_steps = int(lane[k]), int(step[k]) + 1
                q = _q_after(before.q[at], records, at, num_steps)
                self.snapshots[learner[k], snapshot] = q

    def learned(self) -> Learned:
        """Return the history, and the greedy policies of q."""
        q = self.snapshots[:, -1]
        return Learned(
            action_values=q,
            policy=epsilon_greedy(q, np.broadcast_to(self.mdp.available, q.shape), 0.0),
            returns=self.returns,
            lengths=self.lengths,
            snapshots=self.snapshots,
            snapshot_episodes=np.tile(self.config.snapshot_episodes, (len(q), 1)),
        )


def _learn_share(
    mdp: MDP,
    config: ControlConfig,
    algorithm: ControlAlgorithm,
    rngs: Sequence[np.random.Generator],
) -> Learned:
    """Run all learners of one thread, from the first step of each to its last."""
    history = _History(mdp, config, len(rngs))
    lanes = np.arange(min(len(rngs), MAX_LANES))  # the learner in each lane
    queue = iter(range(len(lanes), len(rngs)))
    learners, numbers = _begin(mdp, config, rngs[: len(lanes)])
    with jax.enable_x64(True):
        tables = step_tables(mdp, config)
        while (learners.num_episodes < config.num_episodes).any():
            after, records = _take_chunk(tables, numbers, learners, algorithm)
            history.add(lanes, learners, records)
            numbers = _refill(
                numbers, after.num_read, [rngs[i] for i in lanes.tolist()]
            )
            for lane in np.flatnonzero(after.num_episodes == config.num_episodes):
                learner = next(queue, None)
                if learner is None:
                    break
                lanes[lane] = learner
                numbers[lane] = rngs[learner].random(NUMBERS_PER_CHUNK)
                for field, initial in zip(after, new_learner(mdp, config), strict=True):
                    field[lane] = initial
            learners = after
    return history.learned()


def _begin(
    mdp: MDP, config: ControlConfig, rngs: Sequence[np.random.Generator]
) -> tuple[LearnerState, Numbers]:
    """Return a new learner for each generator, and their first random numbers."""
    new = new_learner(mdp, config)
    learners = LearnerState(*(np.stack([field] * len(rngs)) for field in new))
    return learners, np.stack([rng.random(NUMBERS_PER_CHUNK) for rng in rngs])


def _take_chunk(
    tables: StepTables,
    numbers: Numbers,
    learners: LearnerState,
    algorithm: ControlAlgorithm,
) -> tuple[LearnerState, StepRecord]:
    """Return the learners after a chunk, and its records, as numpy arrays."""
    # jax may still be reading its arguments: nothing may be changed in place.
    after, records = take_steps(tables, numbers, learners, algorithm)
    return LearnerState(*map(np.array, after)), StepRecord(*map(np.asarray, records))


def _q_after(
    q: Float[np.ndarray, "S A"], records: StepRecord, lane: int, num_steps: int
) -> Float[np.ndarray, "S A"]:
    """Return the table q of a lane after the first steps of a chunk."""
    q = q.copy()
    # If an entry was updated several times, numpy keeps the last value.
    q.flat[records.pair[:num_steps, lane]] = records.value[:num_steps, lane]
    return q


def _refill(
    numbers: Numbers,
    num_read: Int[np.ndarray, "learners"],
    rngs: Sequence[np.random.Generator],
) -> Numbers:
    """Return the streams without the numbers that were read, with new ones behind."""
    refilled = np.empty_like(numbers)
    for new, old, n, rng in zip(refilled, numbers, num_read, rngs, strict=True):
        kept = len(old) - n
        new[:kept] = old[n:]
        rng.random(out=new[kept:])
    return refilled
