"""PPO and its alternatives on one bandit: equal budgets, many seeds, exact values.

    share   =  (J(pi) - J_ref) / (J* - J_ref)        regret  =  J* - J(pi)

All methods share one reference and one reward model. A seed changes the training only:
which completions are pulled, and in which minibatches they are used. Every method pulls
as many completions; the work that it does with them differs, and so do the seconds. At
a few checkpoints the policy of each run is enumerated.

All have the beta, the penalty and the budget of PPO's config, and the same optimizer.
The step size of each is chosen from .001, .003 and .01 (for DPO also .0003): the one
with the best worst share of three seeds, none of which is a seed of the comparison. The
other settings are those of each method's paper. PPO's are those of the main job.

A run that broke stays in: from there on it counts as one that never left the reference.
Leaving it out would overstate the method.

Source: Ziegler et al. (2019), eq. 2, for J; Korbak et al. (2022) for J*.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
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
from lm_bandit.config import RLHFConfig, RunConfig, TuningConfig
from lm_bandit.diagnostics import BrokenRun, History
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.exact import Problem, Value
from lm_bandit.oracle.problem import pose_problem
from lm_bandit.reward_table import RewardFunction
from lm_bandit.transformer import Transformer
from lm_bandit.world import World
from mdp.interface.compilation import Compiling
from mdp.interface.keeping import Keep, make_now
from mdp.interface.progress import Progress
from policy_gradient.comparison.own_code import own_function
from policy_gradient.training import Program

CHECKPOINTS = (0.1, 0.25, 0.5, 1.0)  # shares of the updates
FRONTIER = np.geomspace(10.0, 0.001, 60)  # values of beta, from strict to lax
BEST_OF = tuple(2**i for i in range(11))  # values of n


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


class MethodComparison(NamedTuple):
    """The results of all methods, and the values to compare them with."""

    seeds: tuple[int, ...]
    config: RunConfig
    reference: Value
    optimum: Value
    frontier: list[Value]
    best_of_n: list[tuple[int, Value]]
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
    progress: Progress | None = None,
    chosen: Sequence[str | Train] = (),
    reward: RewardFunction | None = None,
) -> MethodComparison:
    """Prepare the bandit once, train every method on it, and value them exactly.

    Args:
        world: the language, the prompts and the ratings.
        config: the settings, the number of runs and the names of the methods.
        progress: is told of each stage.
        chosen: methods instead of `config.methods`; functions of your own, too.
        reward: of (prompt, completion), instead of a learned reward.
    """
    progress = progress or Progress()
    compared = methods(config.ppo, chosen or config.methods)
    for method in compared.values():
        if isinstance(method.train, OwnMethod):
            method.train.rehearse(world, config.model, method.config)
    length = world.completion_length
    programs = {name: training_of(method, length) for name, method in compared.items()}
    compile_next = partial(_compile_all, programs)
    ready = pipeline.prepare(world, config, progress, None, reward, compile_next)
    problem = pose_problem(
        world, ready.fixed.reference, ready.fixed.reward_model, config.ppo
    )
    seeds = tuple(range(config.first_seed, config.first_seed + config.seeds))
    keys = jax.vmap(partial(jax.random.fold_in, ready.key))(np.array(seeds))
    runs = {}
    for name, method in compared.items():
        with progress.stage(name, len(seeds)) as report:
            runs[name] = run_method(
                keys,
                method,
                ready.fixed,
                world,
                problem,
                report,
                partial(_keep_run, progress, name),
                programs[name],
            )
    return MethodComparison(
        seeds=seeds,
        config=config,
        reference=exact.policy_value(problem, problem.reference),
        optimum=exact.policy_value(problem, exact.optimum(problem)),
        frontier=exact.frontier(problem, FRONTIER),
        best_of_n=_best_of_n(problem),
        runs=runs,
    )


def training_of(method: Method, length: int) -> Program:
    """Return a method's training as a program of a key and what is fixed."""

    def train(key: Key[Array, ""], fixed: ppo.Fixed) -> tuple[Transformer, History]:
        return method.train(key, fixed, length, method.config)

    return Program(train)


def run_method(
    keys: Key[Array, "n"],
    method: Method,
    fixed: ppo.Fixed,
    world: World,
    problem: Problem,
    report: Callable[[int], None],
    keep: Keep = make_now,
    program: Program | None = None,
) -> Runs:
    """Train once with each key, by one program, and value the checkpoints exactly.

    Two threads do so, each on a core of its own. `report` is called with the number of
    runs that are finished, and `keep` returns run number i, perhaps from a file.
    """
    config = method.config
    program = program or training_of(method, world.completion_length)
    updates = sorted({max(round(s * config.num_updates), 1) for s in CHECKPOINTS})
    start = exact.policy_value(problem, problem.reference)

    def train_and_value(key: Key[Array, ""]) -> tuple[list[Value], str]:
        with Compiling.waited_for():
            program.compile(key, fixed)
        snapshots, history = jax.tree.map(np.asarray, program.run(key, fixed))
        broke_at, message = config.num_updates + 1, ""
        made = config.num_updates
        try:
            diagnostics.require_sound(made, snapshots, history, fixed.reference)
        except BrokenRun as error:
            broke_at, message = error.update, str(error)
        path = [start] * len(updates)
        for i, update in enumerate(updates):
            if update < broke_at:
                policy = diagnostics.row(snapshots, update - 1)
                log_probs = trie.policy_log_probs(policy, world, config.temperature)
                path[i] = exact.policy_value(problem, log_probs)
        return path, message

    def kept_run(i: int) -> tuple[list[Value], str]:
        return keep(f"run {i + 1}", partial(train_and_value, keys[i]))

    values: list[list[Value]] = []
    broken: list[str] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for path, message in pool.map(kept_run, range(len(keys))):
            values.append(path)
            broken.append(message)
            report(len(values))
    per_update = config.pulls * world.num_prompts
    pulled = tuple(per_update * update for update in updates)
    return Runs(config, pulled, values, broken)


def _compile_all(programs: dict[str, Program], fixed: ppo.Fixed) -> None:
    for program in programs.values():
        program.compile(jax.random.key(0), fixed)


def _best_of_n(problem: Problem) -> list[tuple[int, Value]]:
    merged = problem._replace(reference=exact.merge_cut_off(problem.reference))
    return [
        (n, exact.policy_value(merged, exact.best_of_n(merged, n))) for n in BEST_OF
    ]


def _keep_run(
    progress: Progress, method: str, name: str, make: Callable[[], Any]
) -> Any:
    return progress.kept(f"{method}, {name}", make, Value)


def shares(results: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """Return (J - J_ref) / (J* - J_ref) of each run at each checkpoint."""
    start, best = results.reference.objective, results.optimum.objective
    return (objectives(results, name) - start) / (best - start)


def objectives(results: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """Return J of each run at each checkpoint."""
    paths = results.runs[name].values
    return np.array([[value.objective for value in path] for path in paths])


def broken_runs(results: MethodComparison) -> list[str]:
    """Return a line of text for each run that broke an invariant."""
    return [
        f"{name}, seed {seed}, broke at {message}"
        for name, runs in results.runs.items()
        for seed, message in zip(results.seeds, runs.broken, strict=True)
        if message
    ]
