"""PPO and its alternatives on one bandit: equal budgets, many seeds, the exact truth.

    share   =  (J(pi) - J_ref) / (J* - J_ref)        regret  =  J* - J(pi)

One reference and one reward model are shared by all. What a seed changes is the
training: which completions are pulled, and in which minibatches they are used. Every
method pulls as many completions; the work that it does with them differs, and so the
seconds do. At a few checkpoints the policy of each run is taken and enumerated.

All have the beta, the penalty and the budget of PPO's config, and the same optimizer.
The step size of each is the one of .001, .003 and .01 (for DPO also .0003) whose worst
share of three seeds, none of them among those of the comparison, was the best; the
other dials are those of its paper. PPO's are those of the main job.

A run that broke stays in: from there on it counts as one that never left the
reference, for to leave it out would flatter.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from lm_bandit import diagnostics, pipeline, ppo
from lm_bandit.alternatives import methods as alternatives
from lm_bandit.alternatives.methods import DPOConfig, ExpertConfig
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import BrokenRun
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.exact import Problem, Value
from lm_bandit.world import World

CHECKPOINTS = (0.1, 0.25, 0.5, 1.0)  # of the updates
FRONTIER = np.geomspace(10.0, 0.001, 60)  # values of beta, from strict to lax
BEST_OF = tuple(2**i for i in range(11))  # n of best-of-n


class Method(NamedTuple):
    """An algorithm with the signature of `ppo.train`, and its dials."""

    train: Callable
    config: RLHFConfig


class Runs(NamedTuple):
    """What became of one method, seed by seed."""

    config: RLHFConfig
    updates: tuple[int, ...]  # at the checkpoints
    completions: tuple[int, ...]  # pulled until then, by each run
    values: list[list[Value]]  # [seeds][checkpoints], exact
    broken: list[str]  # of each seed: what broke, or ""


class MethodComparison(NamedTuple):
    """All that was found."""

    seeds: tuple[int, ...]
    config: pipeline.RunConfig
    reference: Value
    optimum: Value
    frontier: list[Value]
    best_of_n: list[tuple[int, Value]]
    runs: dict[str, Runs]  # by method


@dataclass(frozen=True)
class CompareConfig(pipeline.RunConfig):
    """The shared start, PPO's dials, and how many runs."""

    ppo: RLHFConfig = field(  # its budget and beta are everybody's
        default_factory=lambda: RLHFConfig(pulls=16)
    )
    seeds: int = 8  # runs of each method
    first_seed: int = 0  # the others follow it

    def __post_init__(self):
        super().__post_init__()
        if self.seeds < 2:
            raise ValueError(f"seeds must be at least 2, got {self.seeds}")
        if self.first_seed < 0:
            raise ValueError(f"first_seed must not be negative, got {self.first_seed}")
        methods(self.ppo)  # or refuse now what one of them cannot do


def methods(config: RLHFConfig) -> dict[str, Method]:
    """PPO and its alternatives, with PPO's budget, beta and penalty."""
    names = "num_updates pulls kl_weight penalty temperature".split()
    shared = {name: getattr(config, name) for name in names}
    reinforce = replace(alternatives.REINFORCE, **shared, step_size=3e-3)
    rloo = replace(alternatives.RLOO, **shared, step_size=1e-2)
    grpo = replace(alternatives.GRPO, **shared, step_size=1e-2)
    expert = ExpertConfig(**shared, step_size=1e-2)
    offline = DPOConfig(**shared, writer="reference", step_size=3e-3)
    online = DPOConfig(**shared, writer="policy", step_size=1e-3)
    return {
        "PPO": Method(ppo.train, config),
        "RLOO": Method(ppo.train, rloo),
        "REINFORCE": Method(ppo.train, reinforce),
        "GRPO": Method(alternatives.grpo, grpo),
        "expert iteration": Method(alternatives.expert_iteration, expert),
        "DPO": Method(alternatives.dpo, offline),
        "online DPO": Method(alternatives.dpo, online),
    }


def compare_methods(
    world: World, config: CompareConfig, progress: pipeline.Progress
) -> MethodComparison:
    """Prepare the bandit once, let every method learn on it, and judge them exactly."""
    ready = pipeline.prepare(world, config, progress)
    problem = pipeline.pose_problem(
        world, ready.fixed.reference, ready.fixed.reward_model, config.ppo
    )
    seeds = tuple(range(config.first_seed, config.first_seed + config.seeds))
    keys = jax.vmap(partial(jax.random.fold_in, ready.key))(np.array(seeds))
    runs = {}
    for name, method in methods(config.ppo).items():
        with progress.stage(name, len(seeds)) as report:
            runs[name] = run_method(keys, method, ready.fixed, world, problem, report)
    merged = problem._replace(reference=exact.merge_cut_off(problem.reference))
    return MethodComparison(
        seeds,
        config,
        exact.policy_value(problem, problem.reference),
        exact.policy_value(problem, exact.optimum(problem)),
        exact.frontier(problem, FRONTIER),
        [(n, exact.policy_value(merged, exact.best_of_n(merged, n))) for n in BEST_OF],
        runs,
    )


def run_method(
    keys: Key[Array, "n"],
    method: Method,
    fixed: ppo.Fixed,
    world: World,
    problem: Problem,
    report: Callable[[int], None],
) -> Runs:
    """Train once with each key, by one program, and enumerate the checkpoints.

    `report` is called with the number of runs that are done and judged.
    """
    train, config = method
    length = world.completion_length

    @jax.jit
    def learn(key, fixed):
        return train(key, fixed, length, config)

    updates = sorted({max(round(s * config.num_updates), 1) for s in CHECKPOINTS})
    start = exact.policy_value(problem, problem.reference)
    values, broken = [], []
    for done, key in enumerate(keys, start=1):
        snapshots, history = jax.tree.map(np.asarray, learn(key, fixed))
        broke_at, why = np.inf, ""
        try:
            made = config.num_updates
            diagnostics.require_sound(made, snapshots, history, fixed.reference)
        except BrokenRun as error:
            broke_at, why = error.update, str(error)
        broken.append(why)
        values.append([])
        for update in updates:
            value = start
            if update < broke_at:
                policy = diagnostics.row(snapshots, update - 1)
                log_probs = trie.policy_log_probs(policy, world, config.temperature)
                value = exact.policy_value(problem, log_probs)
            values[-1].append(value)
        report(done)
    per_update = config.pulls * world.num_prompts
    pulled = tuple(per_update * update for update in updates)
    return Runs(config, tuple(updates), pulled, values, broken)


def shares(found: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """(J - J_ref) / (J* - J_ref) of each run at each checkpoint."""
    start, best = found.reference.objective, found.optimum.objective
    return (objectives(found, name) - start) / (best - start)


def objectives(found: MethodComparison, name: str) -> Float[np.ndarray, "n C"]:
    """J of each run at each checkpoint."""
    return np.array([[v.objective for v in row] for row in found.runs[name].values])
