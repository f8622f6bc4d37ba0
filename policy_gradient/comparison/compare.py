"""Compare algorithms: equal budgets, many seeds, judged by exact performance.

    regret  =  J(pi*) - J(pi)
    score   =  max(0, (J(pi) - J_T(uniform)) / (J(pi*) - J_T(uniform)))

All algorithms get the same number of environment steps, in worlds that start and are
cut off alike. The policy of each run is taken at a few checkpoints, and its J is
computed, not sampled: no luck is left but that of learning. The optimum scores 1, the
uniform policy 0, so that scores of different worlds can be averaged. J_T is the J of
the first T steps, with T the time limit: an episode as the learners meet it. On the
cliff the uniform policy would fall for thousands of steps, J = -65375, and next to that
every policy would seem as good as the best; in 200 steps it loses 2079. A J below
J_T(uniform) scores 0 as well.

    >>> comparison = compare(["cliff", "frozenlake"], ["sarsa", "ppo"], seeds=8)
    >>> summarize(comparison).overall["ppo"].value

If gamma = 1 and a policy never ends the episode, its J is that of the episode cut off
at the time limit, and its row says so. A run that diverged is stopped, and counts as
the uniform policy from there on: leaving it out would overstate the algorithm.

Source: Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice"; Colas
et al. (2019), "A hitchhiker's guide to statistical comparisons of RL algorithms".
Shapes: n runs, C checkpoints.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

import mdp
from mdp import MDP
from mdp.interface.jobs import Job, Runner, Tell
from policy_gradient.comparison import contenders
from policy_gradient.config import NUM_CHECKPOINTS, TIME_LIMIT
from policy_gradient.exact import never_ends, performances, performances_within


class Reference(NamedTuple):
    """A world, with the two values of J that scores are measured by."""

    world: MDP
    optimum: float  # J(pi*), by value iteration
    uniform: float  # J_T of the policy that takes every action equally often


class Judged(NamedTuple):
    """The exact performance of an algorithm's runs in a world."""

    sampling: Float[np.ndarray, "n C"]  # J of the policy it acts by; nan if diverged
    greedy: Float[np.ndarray, "n C"]  # J of its likeliest actions
    sampling_cut_off: Bool[np.ndarray, "n C"]  # J is that of a cut-off episode
    greedy_cut_off: Bool[np.ndarray, "n C"]
    diverged: list[str]  # when, if it did: "update 12"; or else ""


class Comparison(NamedTuple):
    """The results of a comparison, and the settings that they depend on."""

    budget: contenders.Budget
    seeds: tuple[int, ...]
    references: dict[str, Reference]  # by world
    configs: dict[str, Any]  # by algorithm; None for a function of the user's
    judged: dict[str, dict[str, Judged]]  # by world and algorithm


def compare(
    worlds: Sequence[str | Callable[[], MDP]],
    algorithms: Sequence[str | contenders.UserAlgorithm | contenders.Contender],
    seeds: int = 32,
    steps: int = 200_000,
    time_limit: int = TIME_LIMIT,
    num_checkpoints: int = NUM_CHECKPOINTS,
    first_seed: int = 0,
    sweep: Mapping[str, Sequence[float]] | None = None,
    runner: Runner | None = None,
) -> Comparison:
    """Train every algorithm in every world, and judge its policies exactly.

    Args:
        worlds: names, "file.py:name", or functions that return an MDP.
        algorithms: names, "file.py:name", or functions as in `contenders`.
        seeds: runs of each algorithm in each world; at least 2, as one has no spread.
        steps: environment steps of each run.
        time_limit: steps after which an episode is cut off.
        num_checkpoints: at which policies are judged, evenly spaced.
        first_seed: the others follow it.
        sweep: one field of the configs, and the values that it takes in turn.
        runner: of the runs: in which executor, and where they are kept and shown.

    Raises:
        ValueError: there is no such world, algorithm or field; or a number is out of
            range; or an algorithm does not return policies.
    """
    _require_at_least("seeds", seeds, 2)
    _require_at_least("steps", steps, 1)
    _require_at_least("time_limit", time_limit, 1)
    _require_at_least("num_checkpoints", num_checkpoints, 1)
    _require_at_least("first_seed", first_seed, 0)
    count = min(num_checkpoints, steps)
    checkpoints = tuple(steps * (i + 1) // count for i in range(count))
    budget = contenders.Budget(checkpoints, time_limit)
    references = {
        name: _reference(name, world, time_limit)
        for name, world in map(contenders.find_world, worlds)
    }
    learners = [
        contenders.find_algorithm(a) for a in algorithms if a != contenders.REFERENCE
    ]
    _require_distinct("worlds", worlds, references)
    _require_distinct("algorithms", learners, {one.name for one in learners})
    swept = {one.name: _sweep(one, sweep or {}) for one in learners}
    all_seeds = tuple(range(first_seed, first_seed + seeds))
    parts = [
        part
        for world, learner in product(references.items(), learners)
        for part in _parts(world, learner, swept[learner.name], all_seeds, budget)
    ]
    found = (runner or Runner()).run_all([part.job for part in parts])
    pieces: dict[str, dict[str, list[Judged]]] = {world: {} for world in references}
    for part, judged in zip(parts, found, strict=True):
        for name, piece in zip(part.names, judged, strict=True):
            pieces[part.world].setdefault(name, []).append(piece)
    configs = {name: config for one in swept.values() for name, config in one.items()}
    return Comparison(
        budget,
        all_seeds,
        references,
        configs,
        {
            world: {name: _join(judged) for name, judged in by_name.items()}
            for world, by_name in pieces.items()
        },
    )


def scores(
    reference: Reference, performance: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Share of the way from the uniform policy to the optimum, and 0 if diverged.

    Source: Agarwal et al. (2021), section 2, "normalized scores".
    """
    way = reference.optimum - reference.uniform
    share = (performance - reference.uniform) / way
    return np.maximum(np.nan_to_num(share, nan=0.0), 0.0)


class _Part(NamedTuple):
    """Some runs of an algorithm in a world: those that learn side by side."""

    world: str
    names: list[str]  # of the configs
    job: Job


def _parts(
    named_world: tuple[str, Reference],
    learner: contenders.Contender,
    configs: dict[str, Any],
    seeds: Sequence[int],
    budget: contenders.Budget,
) -> Iterator[_Part]:
    """Yield the runs of an algorithm in a world, as many in a part as it can take."""
    world, reference = named_world
    for block in _blocks(seeds, learner.together):
        for names in _blocks([*configs], max(1, learner.together // len(block))):
            name = f"{world}, {names[0]}"
            if len(block) < len(seeds):
                name += f", from seed {block[0]}"
            chosen = [configs[name] for name in names]
            task = contenders.Task(reference.world, block, chosen, budget, Tell(name))
            work = partial(_learn_and_judge, learner, task)
            yield _Part(
                world, names, Job(name, f"{world}: {learner.name}", budget.steps, work)
            )


def _blocks(items: Sequence[Any], size: int) -> list[Any]:
    """Return the items in blocks of this size; the last one may be smaller."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def _learn_and_judge(
    learner: contenders.Contender, task: contenders.Task
) -> list[Judged]:
    limit = task.budget.time_limit
    return [_judge(task.world, runs, limit) for runs in learner.learn(task)]


def _join(pieces: Sequence[Judged]) -> Judged:
    """Return the runs of all pieces as one."""
    return Judged(
        np.concatenate([piece.sampling for piece in pieces]),
        np.concatenate([piece.greedy for piece in pieces]),
        np.concatenate([piece.sampling_cut_off for piece in pieces]),
        np.concatenate([piece.greedy_cut_off for piece in pieces]),
        [when for piece in pieces for when in piece.diverged],
    )


def _judge(world: MDP, runs: contenders.Runs, time_limit: int) -> Judged:
    return Judged(
        performances(world, runs.sampling, time_limit),
        performances(world, runs.greedy, time_limit),
        never_ends(world, runs.sampling),
        never_ends(world, runs.greedy),
        runs.diverged,
    )


def _reference(name: str, world: MDP, time_limit: int) -> Reference:
    """Return the world with its optimum, by value iteration, and J_T(uniform)."""
    solution = mdp.value_iteration(world)
    if not solution.converged:
        raise ValueError(
            f"world {name} must have finite values, got some that still change after "
            f"{len(solution.residuals)} sweeps: try gamma below 1"
        )
    uniform = mdp.uniform_policy(world)[None]
    reference = Reference(
        world,
        optimum=float(performances(world, solution.policy[None], time_limit)[0]),
        uniform=float(performances_within(world, uniform, time_limit)[0]),
    )
    if not reference.optimum > reference.uniform:
        limit = f"{time_limit} step{'s' * (time_limit > 1)}"
        raise ValueError(
            f"world {name} must leave something to learn in {limit}, got one in which "
            f"the uniform policy has J = {reference.uniform:g} and the optimum J = "
            f"{reference.optimum:g}: try another world or time_limit"
        )
    return reference


def _sweep(
    contender: contenders.Contender, sweep: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Return the contender's configs, by the names under which their runs appear."""
    if not sweep or contender.config is None:
        return {contender.name: contender.config}
    ((field, values),) = sweep.items()
    numbers = vars(contender.config).items()
    floats = [name for name, value in numbers if isinstance(value, float)]
    if field not in floats:
        raise ValueError(
            f"sweep must be over a number that {contender.name} has, one of "
            f"{', '.join(floats)}, got {field!r}"
        )
    return {
        f"{contender.name} {field}={value:g}": replace(
            contender.config, **{field: float(value)}
        )
        for value in values
    }


def _require_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _require_distinct(name: str, given: Sequence[Any], names: Collection[str]) -> None:
    """Raise ValueError if nothing is given, or if two have the same name."""
    if not given:
        raise ValueError(f"{name} must hold at least one, got none that learns")
    if len(names) < len(given):
        raise ValueError(f"{name} must have distinct names, got {', '.join(names)}")
