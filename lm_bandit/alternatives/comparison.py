"""PPO and its alternatives on one bandit: equal budgets, many seeds, exact values.

    share   =  (J(pi) - J_ref) / (J* - J_ref)        regret  =  J* - J(pi)

A seed changes everything: the reference, the reward model, the completions that are
pulled, and the minibatches in which they are used. All methods share these starts.
Every method pulls as many completions; the work that it does with them differs, and so
do the seconds. At a few checkpoints the policy of each run is enumerated.

Not every method leads to pi*. Its own optimum (`targets.py`) splits its regret in two:
what it loses by another target, and what it has not reached yet.

All have the beta, the penalty and the budget of PPO's config, and the same optimizer.
The step size of each is chosen from .001, .003 and .01 (for DPO also .0003): the one
with the best worst share of three seeds, none of which is a seed of the comparison. The
other settings are those of each method's paper. PPO's are those of the main job.

A run that broke stays in: from there on it counts as one that never left the reference.
Leaving it out would overstate the method.

Source: Ziegler et al. (2019), eq. 2, for J; Korbak et al. (2022) for J*.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lm_bandit import diagnostics, pipeline, ppo
from lm_bandit.alternatives import dpo, expert_iteration, grpo
from lm_bandit.alternatives.config import (
    CompareConfig,
    known_method,
    method_configs,
    own_config,
)
from lm_bandit.alternatives.own_method import OwnMethod
from lm_bandit.alternatives.starts import (
    Start,
    StartModels,
    know_start,
    other_starts,
    start_config,
)
from lm_bandit.config import RLHFConfig, TuningConfig
from lm_bandit.diagnostics import BrokenRun, History
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.exact import Problem, Value
from lm_bandit.oracle.problem import pose_problem
from lm_bandit.reward_table import RewardFunction
from lm_bandit.transformer import Transformer
from lm_bandit.world import World
from mdp.interface.compilation import Compiling
from mdp.interface.jobs import Job, Runner, Shared
from policy_gradient.comparison.own_code import own_function
from policy_gradient.training import Program

CHECKPOINTS = (0.1, 0.25, 0.5, 1.0)  # shares of the updates

Train = Callable[..., tuple[Transformer, History]]


class Method(NamedTuple):
    """An algorithm and its settings."""

    train: Train  # of (key, fixed, length, config), as `ppo.train`
    config: TuningConfig


class Runs(NamedTuple):
    """The results of one method, seed by seed."""

    config: TuningConfig
    completions: tuple[int, ...]  # pulled until each checkpoint, by each run
    values: list[list[Value]]  # [seeds][checkpoints], exact
    broken: list[str]  # for each seed the invariant that broke, or ""


class Posed(NamedTuple):
    """All that the runs from one start share; each process makes it once."""

    world: World
    fixed: ppo.Fixed
    problem: Problem
    methods: dict[str, Method]
    programs: dict[str, Program]  # a training of each method
    start: Value  # of the reference


class MethodComparison(NamedTuple):
    """The results of all methods, and the values to compare them with."""

    seeds: tuple[int, ...]
    config: CompareConfig
    starts: list[Start]  # of each seed; the same one if they share it
    runs: dict[str, Runs]  # by method


# How each method trains; those of `ppo.train` differ in their settings only.
TRAIN: dict[str, Train] = {
    "PPO": ppo.train,
    "RLOO": ppo.train,
    "REINFORCE": ppo.train,
    "GRPO": grpo.train,
    "expert iteration": expert_iteration.train,
    "DPO": dpo.train,
    "online DPO": dpo.train,
}


def methods(
    config: RLHFConfig, chosen: Sequence[str | Train] = ()
) -> dict[str, Method]:
    """Return PPO and its alternatives, with PPO's budget, beta and penalty.

    All of the book, or those chosen: by name, or a method of your own (`own_method.py`)
    as a function or file.py:name.
    """
    found: dict[str, Method] = {}
    for one in chosen or TRAIN:
        if isinstance(one, str) and ":" not in one:
            name = known_method(one)
            method = Method(TRAIN[name], method_configs(config, [name])[name])
        else:
            name, function = own_function("method", one)
            method = Method(OwnMethod(name, function), own_config(config))
        if name in found:
            raise ValueError(f"methods must have distinct names, got {name} twice")
        found[name] = method
    return found


def compare_methods(
    world: World,
    config: CompareConfig,
    runner: Runner | None = None,
    chosen: Sequence[str | Train] = (),
    reward: RewardFunction | None = None,
) -> MethodComparison:
    """Prepare the bandit once, train every method on it, and value them exactly.

    Args:
        world: the language, the prompts and the ratings.
        config: the settings, the number of runs and the names of the methods.
        runner: of the runs; its progress is told of each stage.
        chosen: methods instead of `config.methods`; functions of your own, too.
        reward: of (prompt, completion), instead of a learned reward.
    """
    runner = runner or Runner()
    compared = methods(config.ppo, chosen or config.methods)
    for method in compared.values():
        if isinstance(method.train, OwnMethod):
            method.train.rehearse(world, config.model, method.config)
    programs = programs_of(compared, world)
    compile_next = partial(_compile_all, programs)
    seeds = tuple(range(config.first_seed, config.first_seed + config.seeds))
    first = config if config.shared_start else start_config(config, seeds[0])
    ready = pipeline.prepare(world, first, runner.progress, None, reward, compile_next)
    models = [StartModels(ready.fixed, ready.key)]
    if config.shared_start:
        models *= len(seeds)
    else:
        models += other_starts(seeds[1:], world, config, ready.fixed, reward, runner)
    made = {
        id(one): Shared(pose, world, one.fixed, config.ppo, compared, programs)
        for one in models
    }
    posed = [made[id(one)] for one in models]
    keys = jnp.stack(
        [
            jax.random.fold_in(one.key, seed)
            for one, seed in zip(models, seeds, strict=True)
        ]
    )
    runs = run_methods(keys, compared, posed, runner)
    return MethodComparison(seeds, config, known_starts(posed, runner), runs)


def programs_of(methods: dict[str, Method], world: World) -> dict[str, Program]:
    """Return the training of each method as a program of a key and what is fixed."""
    length = world.completion_length
    return {
        name: Program(partial(_train, method.train, length, method.config))
        for name, method in methods.items()
    }


def _train(
    train: Train,
    length: int,
    config: TuningConfig,
    key: Key[Array, ""],
    fixed: ppo.Fixed,
) -> tuple[Transformer, History]:
    return train(key, fixed, length, config)


def pose(
    world: World,
    fixed: ppo.Fixed,
    config: RLHFConfig,
    methods: dict[str, Method],
    programs: dict[str, Program],
) -> Posed:
    """Return what all runs share; it enumerates the completions of every prompt."""
    problem = pose_problem(world, fixed.reference, fixed.reward_model, config)
    start = exact.policy_value(problem, problem.reference)
    return Posed(world, fixed, problem, methods, programs, start)


def known_starts(posed: Sequence[Shared], runner: Runner) -> list[Start]:
    """Return what is known exactly of each start; a shared one is looked at once."""
    each = list(dict.fromkeys(posed))
    jobs = [
        Job(f"exact values, start {i + 1}", "exact values", 1, partial(_known, one))
        for i, one in enumerate(each)
    ]
    found = dict(zip(each, runner.run_all(jobs), strict=True))
    return [found[one] for one in posed]


def _known(shared: Shared) -> Start:
    posed: Posed = shared.value
    configs = {name: method.config for name, method in posed.methods.items()}
    return know_start(posed.problem, configs)


def run_methods(
    keys: Key[Array, "n"],
    methods: dict[str, Method],
    posed: Sequence[Shared],
    runner: Runner,
) -> dict[str, Runs]:
    """Train each method once with each key, and value the checkpoints exactly.

    Args:
        keys: one for each run.
        methods: by their names.
        posed: where each run starts, a `Posed`; runs may share it.
        runner: of the runs.
    """
    jobs = [
        Job(f"{name}, run {i + 1}", name, 1, partial(_train_and_value, one, name, key))
        for name in methods
        for i, (one, key) in enumerate(zip(posed, keys, strict=True))
    ]
    found = iter(runner.run_all(jobs))
    num_prompts = posed[0].value.world.num_prompts
    runs = {}
    for name, method in methods.items():
        values, broken = zip(*islice(found, len(keys)), strict=True)
        per_update = method.config.pulls * num_prompts
        pulled = tuple(per_update * update for update in _checkpoints(method.config))
        runs[name] = Runs(method.config, pulled, list(values), list(broken))
    return runs


def _checkpoints(config: TuningConfig) -> list[int]:
    """Return the updates after which a policy is valued."""
    return sorted({max(round(s * config.num_updates), 1) for s in CHECKPOINTS})


def _train_and_value(
    shared: Shared, name: str, key: Key[Array, ""]
) -> tuple[list[Value], str]:
    """Return the values of one run at its checkpoints, and what broke, or ""."""
    posed: Posed = shared.value
    config, program = posed.methods[name].config, posed.programs[name]
    with Compiling.waited_for():
        program.compile(key, posed.fixed)
    snapshots, history = jax.tree.map(np.asarray, program.run(key, posed.fixed))
    made, message = config.num_updates, ""
    broke_at = made + 1
    try:
        diagnostics.require_sound(made, snapshots, history, posed.fixed.reference)
    except BrokenRun as error:
        broke_at, message = error.update, str(error)
    path = []
    for update in _checkpoints(config):
        value = posed.start
        if update < broke_at:
            policy = diagnostics.row(snapshots, update - 1)
            log_probs = trie.policy_log_probs(policy, posed.world, config.temperature)
            value = exact.policy_value(posed.problem, log_probs)
        path.append(value)
    return path, message


def _compile_all(programs: dict[str, Program], fixed: ppo.Fixed) -> None:
    for program in programs.values():
        program.compile(jax.random.key(0), fixed)


class Split(NamedTuple):
    """A regret in two parts, as shares of the way from J_ref to J*."""

    another_target: float  # (J* - J(own optimum)) / (J* - J_ref)
    not_there_yet: float  # (J(own optimum) - J) / (J* - J_ref); it can be negative


def shares(results: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """Return (J - J_ref) / (J* - J_ref) of each run at each checkpoint."""
    low = np.array([[start.reference.objective] for start in results.starts])
    high = np.array([[start.optimum.objective] for start in results.starts])
    return (objectives(results, name) - low) / (high - low)


def regrets(results: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """Return J* - J of each run at each checkpoint."""
    high = np.array([[start.optimum.objective] for start in results.starts])
    return high - objectives(results, name)


def objectives(results: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """Return J of each run at each checkpoint."""
    paths = results.runs[name].values
    return np.array([[value.objective for value in path] for path in paths])


def splits(results: MethodComparison, name: str) -> list[Split] | None:
    """Return the two parts of each run's regret at the end of its budget.

    None for a method whose own optimum is not known. Their sum is 1 - the run's share.
    """
    own = own_shares(results, name)
    if own is None:
        return None
    reached = shares(results, name)[:, -1]
    return [Split(*pair) for pair in zip(1.0 - own, own - reached, strict=True)]


def split_of_median(results: MethodComparison, name: str) -> Split | None:
    """Return the parts of the median run; the mean of the two middle ones of an even n.

    So the parts and the median share add up to 1.
    """
    parts = splits(results, name)
    if parts is None:
        return None
    order = np.argsort(shares(results, name)[:, -1], kind="stable")
    middle = order[(len(order) - 1) // 2 : len(order) // 2 + 1]
    return Split(*np.mean([parts[run] for run in middle], axis=0).tolist())


def own_shares(results: MethodComparison, name: str) -> Float[np.ndarray, "n"] | None:
    """Return the share of the way to J* at which the method's own optimum lies."""
    found = []
    for start in results.starts:
        end = start.own_optima.get(name)
        if end is None:
            return None
        low, high = start.reference.objective, start.optimum.objective
        found.append((end.objective - low) / (high - low))
    return np.array(found)


def own_ways(results: MethodComparison, name: str) -> Float[np.ndarray, "n"] | None:
    """Return the share of the way to its *own* optimum that each run covered."""
    own = own_shares(results, name)
    return None if own is None else shares(results, name)[:, -1] / own


def broken_runs(results: MethodComparison) -> list[str]:
    """Return a line of text for each run that broke an invariant."""
    return [
        f"{name}, seed {seed}, broke at {message}"
        for name, runs in results.runs.items()
        for seed, message in zip(results.seeds, runs.broken, strict=True)
        if message
    ]
