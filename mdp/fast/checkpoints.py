"""Learners stopped by the clock: what q is after given numbers of steps.

This file stands outside the reading order, and has no equation of its own: it runs
the compiled loop of `mdp.fast_steps`, as `mdp.learn_many` does. There a learner lives
for so many episodes; here for so many steps, which is how learners of different kinds
are given equal budgets.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from mdp.configs import ControlConfig
from mdp.control import ControlAlgorithm
from mdp.fast.control import read_on
from mdp.fast.steps import (
    NUMBERS_PER_CHUNK,
    STEPS_PER_CHUNK,
    Life,
    Lived,
    newborn_life,
    take_steps,
    world_tables,
)
from mdp.model import MDP


class Checkpoints(NamedTuple):
    """Where each learner stood after so many steps."""

    action_values: Float[np.ndarray, "learners C S A"]  # q
    num_episodes: Int[np.ndarray, "learners C"]  # that were over


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
        mdp: the world of all of them.
        config: the dials of all of them.
        algorithm: `sarsa`, `expected_sarsa` or `q_learning`.
        checkpoints: rising numbers of steps.
        report: called with the steps that all have taken.
    """
    # No step can end more than one episode, so nobody is ever done.
    config = replace(config, num_episodes=checkpoints[-1] + STEPS_PER_CHUNK)
    newborn = newborn_life(mdp, config)
    lives = Life(*(np.stack([field] * len(rngs)) for field in newborn))
    numbers = np.stack([rng.random(NUMBERS_PER_CHUNK) for rng in rngs])
    q = np.zeros((len(rngs), len(checkpoints), *mdp.available.shape))
    num_episodes = np.zeros(q.shape[:2], int)
    with jax.enable_x64(True):
        world = world_tables(mdp, config)
        for start in range(0, checkpoints[-1], STEPS_PER_CHUNK):
            after, lived = take_steps(world, numbers, lives, algorithm)
            after = Life(*map(np.array, after))
            lived = Lived(*map(np.asarray, lived))
            for nth, steps in enumerate(checkpoints):
                if start < steps <= start + STEPS_PER_CHUNK:
                    until = slice(steps - start)
                    q[:, nth] = _values_after(lives.q, lived, until)
                    ended = lived.over[until].sum(0)
                    num_episodes[:, nth] = lives.num_episodes + ended
            numbers = read_on(numbers, after.num_read, rngs)
            lives = after
            if report is not None:
                report(min(start + STEPS_PER_CHUNK, checkpoints[-1]))
    return Checkpoints(q, num_episodes)


def _values_after(q, lived, until):
    """The tables q of a chunk's beginning, with what these steps taught."""
    q = q.copy()
    for learner, table in enumerate(q):
        # Of several values for the same entry numpy keeps the last.
        table.flat[lived.pair[until, learner]] = lived.value[until, learner]
    return q
