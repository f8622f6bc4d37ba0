"""Algorithms and worlds that take part in a comparison, by name or from your file.

    learn(seed, world, checkpoints)  ->  the policies [checkpoints, S, A]

An algorithm of your own is such a function: it returns the policy by which it acts
after so many steps in the world. This book's algorithms have the same form, but learn
for all seeds side by side:

    q_learning, sarsa      epsilon-greedy for q (S&B sections 6.4 and 6.5)
    reinforce              without a baseline (S&B section 13.3)
    reinforce_baseline     with a learned baseline, v (S&B section 13.4)
    actor_critic           the critic bootstraps (S&B section 13.5)
    ppo                    the clipped surrogate (Schulman et al. 2017)

A name is one of those, or of `mdp.worlds`; `mine.py:coin` is the object `coin` in the
file mine.py. Two policies of each run are judged: the one by which it acts (sampling),
and the one that takes its likeliest actions (greedy).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

import mdp
from mdp import MDP
from mdp.checks import numbers, require_policy, unknown_name
from mdp.fast.control import learn_by_steps
from policy_gradient import actor_critic, ppo, reinforce
from policy_gradient.comparison.own_code import call_own, own_function, own_object
from policy_gradient.comparison.seeds import train_many
from policy_gradient.config import ALGORITHMS, REFERENCE
from policy_gradient.training import Learner

# So many runs at once cost little more than one. It is the same wherever they run,
# because their last digits depend on it.
RUNS_TOGETHER = 64

UserAlgorithm = Callable[[int, MDP, Sequence[int]], Float[np.ndarray, "C S A"]]


class Budget(NamedTuple):
    """The budget that every algorithm gets."""

    checkpoints: tuple[int, ...]  # rising numbers of environment steps
    time_limit: int  # steps after which an episode is cut off

    @property
    def steps(self) -> int:
        """Environment steps of one run."""
        return self.checkpoints[-1]


class Runs(NamedTuple):
    """The policies that the runs of one algorithm in one world arrived at."""

    sampling: Float[np.ndarray, "n C S A"]  # by which it acts; nan once it diverged
    greedy: Float[np.ndarray, "n C S A"]
    diverged: list[str]  # when, if it did: "update 12"; or else ""


class Task(NamedTuple):
    """A world in which an algorithm learns, with several seeds and configs."""

    world: MDP
    seeds: Sequence[int]
    configs: list[Any]
    budget: Budget
    report: Callable[[float], None]  # called with the steps that all runs have done


@dataclass(frozen=True)
class Contender:
    """An algorithm with its name, its config, and its way to learn."""

    name: str
    learn: Callable[[Task], list[Runs]]  # the runs under each config
    config: Any = None
    together: int = RUNS_TOGETHER  # runs that learn side by side, in one job


def find_world(given: str | Callable[[], MDP]) -> tuple[str, MDP]:
    """Return a world's name and its MDP; raise ValueError if there is no such world."""
    if isinstance(given, str) and ":" not in given:
        world = mdp.worlds.find(given)
        return world.name, world.make()
    name, made = own_object(given)
    model = made if isinstance(made, MDP) else call_own(name, made)
    if not isinstance(model, MDP):
        raise ValueError(
            f"world {name} must be an MDP or return one, got {type(model).__name__}"
        )
    return name, mdp.validate(model)


def find_algorithm(given: str | UserAlgorithm | Contender) -> Contender:
    """Return the contender of that name; raise ValueError if there is none."""
    if isinstance(given, Contender):
        return given
    if isinstance(given, str) and ":" not in given:
        if given in BUILT_IN:
            return BUILT_IN[given]
        raise unknown_name("algorithm", given, [*BUILT_IN, REFERENCE])
    name, function = own_function("algorithm", given)
    learn = partial(_learn_by_function, name, function)
    return Contender(name, learn, together=1)


def _learn_by_values(algorithm: Callable[..., Any], task: Task) -> list[Runs]:
    """Run Sarsa or Q-learning, one config after the other."""
    runs = []
    for i, config in enumerate(task.configs):
        q, num_episodes = learn_by_steps(
            [np.random.default_rng(seed) for seed in task.seeds],
            task.world,
            replace(config, max_steps=task.budget.time_limit),
            algorithm,
            task.budget.checkpoints,
            partial(_report_part, task, i),
        )
        exploration = mdp.schedule(
            config.exploration, config.exploration_decay, 1 + num_episodes
        )[..., None, None]
        available = np.broadcast_to(task.world.available, q.shape)
        sampling = mdp.epsilon_greedy(q, available, exploration)
        runs.append(_with_greedy(task.world, sampling, q, [""] * len(task.seeds)))
    return runs


def _report_part(task: Task, i: int, done: float) -> None:
    """Report the steps done with config number i, as a mean over all configs."""
    task.report((i * task.budget.steps + done) / len(task.configs))


def _learn_by_gradient(
    learner: Callable[[MDP, Any], Learner], task: Task
) -> list[Runs]:
    """Run one of the parallel files: all seeds of all configs in one `vmap`."""
    num_seeds, checkpoints = len(task.seeds), np.array(task.budget.checkpoints)
    configs = [_fit(config, task.budget) for config in task.configs]
    trained = train_many(
        jax.vmap(jax.random.key)(np.tile(task.seeds, len(configs))),
        jax.tree.map(lambda *values: np.repeat(values, num_seeds), *configs),
        lambda config: learner(task.world, config),
        checkpoints,
        task.budget.time_limit,
        lambda done, _: task.report(float(done)),
    )
    history, policies = trained.history, trained.policies
    sound = np.isfinite(history.loss) & np.isfinite(history.gradient_norm)
    diverged = []
    for run, is_sound in enumerate(sound):
        last, steps = is_sound.argmin(), history.steps[run]
        stopped = not is_sound.all() and steps[last] <= task.budget.steps
        if stopped:
            policies[run, checkpoints >= steps[last]] = np.nan
        diverged.append(f"update {last + 1}" if stopped else "")
    parts = [slice(i, i + num_seeds) for i in range(0, len(diverged), num_seeds)]
    return [
        _with_greedy(task.world, policies[part], policies[part], diverged[part])
        for part in parts
    ]


def _fit(config: Any, budget: Budget) -> Any:
    """Return the config for this budget: its time limit, and the updates in it."""
    config = replace(config, time_limit=budget.time_limit)
    if config.num_environments is not None:  # so all batches have the same size
        batch = config.num_environments * config.num_steps
        config = replace(config, num_updates=max(1, budget.steps // batch))
    return config


def _learn_by_function(name: str, function: UserAlgorithm, task: Task) -> list[Runs]:
    """Run an algorithm of the user's, seed by seed; it has no config."""
    tables, diverged = [], []
    for i, seed in enumerate(task.seeds):
        run = f"{name}, seed {seed}"
        # A world of its own, so that it cannot change the one in which it is judged.
        world = mdp.validate(MDP(*(field.copy() for field in task.world)))
        policies = call_own(run, function, seed, world, task.budget.checkpoints)
        policies = np.array(numbers(policies, f"{run}: policies"))
        diverged.append(_check_policies(run, policies, task.world, task.budget))
        tables.append(policies)
        task.report(task.budget.steps * (i + 1) / len(task.seeds))
    policies = np.stack(tables)
    return [_with_greedy(task.world, policies, policies, diverged)]


def _check_policies(
    run: str, policies: Float[np.ndarray, "..."], world: MDP, budget: Budget
) -> str:
    """Raise unless the tables are policies; return when they diverged, or "".

    From that checkpoint on the tables become nan.
    """
    expected = (len(budget.checkpoints), *world.available.shape)
    if policies.shape != expected:
        raise ValueError(
            f"{run}: policies must have shape [checkpoints, S, A] = {expected}, "
            f"got {policies.shape}"
        )
    finite = np.isfinite(policies).all((1, 2))
    stop = len(finite) if finite.all() else finite.argmin()
    policies[stop:] = np.nan
    for i, policy in enumerate(policies[:stop]):
        require_policy(policy, world.available, f"{run}: policies[{i}]")
    return "" if finite.all() else f"step {budget.checkpoints[stop]}"


def _with_greedy(
    world: MDP,
    sampling: Float[np.ndarray, "n C S A"],
    preferred: Float[np.ndarray, "n C S A"],
    diverged: list[str],
) -> Runs:
    """Return the runs with the greedy policy for each q or pi; ties are split."""
    available = np.broadcast_to(world.available, preferred.shape)
    with np.errstate(invalid="ignore"):  # where a run diverged, nan stays nan
        greedy = mdp.epsilon_greedy(preferred, available, exploration=0.0)
    return Runs(sampling, greedy, diverged)


_LEARN: dict[str, Callable[[Task], list[Runs]]] = {
    "q_learning": partial(_learn_by_values, mdp.q_learning),
    "sarsa": partial(_learn_by_values, mdp.sarsa),
    "reinforce": partial(_learn_by_gradient, reinforce.learner),
    "reinforce_baseline": partial(_learn_by_gradient, reinforce.learner),
    "actor_critic": partial(_learn_by_gradient, actor_critic.learner),
    "ppo": partial(_learn_by_gradient, ppo.learner),
}
BUILT_IN = {
    name: Contender(name, _LEARN[name], config) for name, config in ALGORITHMS.items()
}
