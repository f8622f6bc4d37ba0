"""The start of each run: a reference and a reward model, and what is known of them.

By default a run has a start of its own: base model, SFT, comparisons and reward model
are made anew, with the run's seed. So the spread over the runs holds that of the reward
model. With a shared start, runs differ by their samples only.

    prepared = other_starts(seeds, world, config, first, reward, runner)
    known = know_start(problem, configs)

Source: Ouyang et al. (2022), figure 2, for the steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from lm_bandit import pipeline, ppo
from lm_bandit.alternatives.config import CompareConfig
from lm_bandit.alternatives.targets import own_optimum
from lm_bandit.config import TuningConfig
from lm_bandit.oracle import exact
from lm_bandit.oracle.exact import Problem, Value
from lm_bandit.reward_table import RewardFunction
from lm_bandit.world import World
from mdp.interface.jobs import Job, Runner
from mdp.interface.progress import Progress

FRONTIER = np.geomspace(10.0, 0.001, 60)  # values of beta, from strict to lax
BEST_OF = tuple(2**i for i in range(11))  # values of n


class StartModels(NamedTuple):
    """The models that a run begins with, and its key."""

    fixed: ppo.Fixed
    key: Key[Array, ""]


class Start(NamedTuple):
    """The exact values that are known of a reference and a reward model."""

    reference: Value
    optimum: Value
    frontier: list[Value]  # of the optimum for each beta of FRONTIER
    best_of_n: list[tuple[int, Value]]
    own_optima: dict[str, Value]  # by method; without those that are not known
    endless_optima: dict[str, Value]  # the same for an endless budget


def know_start(problem: Problem, configs: Mapping[str, TuningConfig]) -> Start:
    """Return what is known exactly of a problem, for methods with these settings.

    Source: Ziegler et al. (2019), eq. 2, for J.
    """
    best = exact.policy_value(problem, exact.optimum(problem))

    def own_optima(endless: bool) -> dict[str, Value]:
        found = {n: own_optimum(problem, c, best, endless) for n, c in configs.items()}
        return {name: value for name, value in found.items() if value is not None}

    return Start(
        reference=exact.policy_value(problem, problem.reference),
        optimum=best,
        frontier=exact.frontier(problem, FRONTIER),
        best_of_n=_best_of_n(problem),
        own_optima=own_optima(endless=False),
        endless_optima=own_optima(endless=True),
    )


def start_config(config: CompareConfig, run_seed: int) -> CompareConfig:
    """Return the settings of the start of a run, whose seed is its own."""
    return replace(config, seed=(config.seed + run_seed) % 2**32)


def other_starts(
    seeds: Sequence[int],
    world: World,
    config: CompareConfig,
    first: ppo.Fixed,
    reward: RewardFunction | None,
    runner: Runner,
) -> list[StartModels]:
    """Return a start for each of these seeds, made as jobs.

    Args:
        seeds: of the runs.
        world: the language, the prompts and the ratings.
        config: the settings of all steps.
        first: those of another start, whose arrays have the same shapes.
        reward: of (prompt, completion), instead of a learned reward.
        runner: of the jobs.
    """
    jobs = [
        Job(
            f"start, seed {seed}",
            "other starts",
            1,
            partial(_made, world, start_config(config, seed), reward),
        )
        for seed in seeds
    ]
    tree = jax.tree.structure(first)
    return [
        StartModels(
            fixed=jax.tree.unflatten(tree, map(jnp.asarray, made["fixed"])),
            key=jax.random.wrap_key_data(jnp.asarray(made["key"])),
        )
        for made in runner.run_all(jobs)
    ]


def _made(
    world: World, config: CompareConfig, reward: RewardFunction | None
) -> dict[str, Any]:
    """Return the arrays of a start; only these travel, and are kept."""

    def compile_nothing(fixed: ppo.Fixed) -> None:
        pass

    ready = pipeline.prepare(world, config, Progress(), None, reward, compile_nothing)
    return {
        "fixed": [np.asarray(leaf) for leaf in jax.tree.leaves(ready.fixed)],
        "key": np.asarray(jax.random.key_data(ready.key)),
    }


def _best_of_n(problem: Problem) -> list[tuple[int, Value]]:
    merged = problem._replace(reference=exact.merge_cut_off(problem.reference))
    return [
        (n, exact.policy_value(merged, exact.best_of_n(merged, n))) for n in BEST_OF
    ]
