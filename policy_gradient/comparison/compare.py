"""Compare algorithms: equal budgets, many seeds, and the exact truth to judge them by.

    regret  =  J(pi*) - J(pi)
    score   =  max(0, (J(pi) - J_T(uniform)) / (J(pi*) - J_T(uniform)))

All get as many environment steps, in worlds that start and are cut off alike. At a few
checkpoints the policy of each run is taken, and what it is worth is computed, not
sampled: no luck is left but that of learning. A score of 1 is that of the best there
is, 0 that of the policy which knows nothing; so scores of different worlds are of a
kind. J_T is what the first T steps earn, T the time limit: an episode as the learners
meet it. On the cliff the uniform policy would fall for thousands of steps, J = -65375,
and next to that everything is as good as the best; in 200 steps it loses 2079. What is
worth less than that scores 0 as well.

    >>> found = compare(["cliff", "frozenlake"], ["sarsa", "ppo"], seeds=8)
    >>> summarize(found).overall["ppo"].value

Where gamma = 1 and a policy never ends the episode, its J is that of the episode cut
off at the time limit, and its row says so. A run that diverged is stopped; from there
on it counts as one that knows nothing, for to leave it out would flatter.

Source: Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice"; Colas
et al. (2019), "A hitchhiker's guide to statistical comparisons of RL algorithms".
Shapes: n runs, C checkpoints.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

import mdp
from mdp import MDP
from policy_gradient.comparison.contenders import Budget, Contender, Runs, UserAlgorithm
from policy_gradient.comparison.named import REFERENCE, find_algorithm, find_world
from policy_gradient.comparison.performances import (
    never_ends,
    performances,
    performances_within,
)

TIME_LIMIT = 200
NUM_CHECKPOINTS = 20


class Reference(NamedTuple):
    """A world, and what is known of it beforehand."""

    world: MDP
    optimum: float  # J(pi*), by value iteration
    uniform: float  # J_T of the policy that takes every action equally often


class Judged(NamedTuple):
    """What the runs of an algorithm in a world are worth, exactly."""

    sampling: Float[np.ndarray, "n C"]  # J of the policy it acts by; nan if diverged
    greedy: Float[np.ndarray, "n C"]  # J of its likeliest actions
    sampling_cut_off: Bool[np.ndarray, "n C"]  # J is that of a cut-off episode
    greedy_cut_off: Bool[np.ndarray, "n C"]
    diverged: list[str]  # when, if it did: "update 12"; or else ""


class Comparison(NamedTuple):
    """All that was found, and from what."""

    budget: Budget
    seeds: tuple[int, ...]
    references: dict[str, Reference]  # by world
    configs: dict[str, Any]  # by algorithm; None for a function of the user's
    judged: dict[str, dict[str, Judged]]  # by world and algorithm


def compare(
    worlds: Sequence[str | Callable[[], MDP]],
    algorithms: Sequence[str | UserAlgorithm | Contender],
    seeds: int = 32,
    steps: int = 200_000,
    time_limit: int = TIME_LIMIT,
    num_checkpoints: int = NUM_CHECKPOINTS,
    first_seed: int = 0,
    sweep: Mapping[str, Sequence[float]] | None = None,
    report: Callable[[str, str, float], None] | None = None,
) -> Comparison:
    """Let every algorithm learn in every world, and judge it exactly.

    Args:
        worlds: names, "file.py:name", or functions that return an MDP.
        algorithms: names, "file.py:name", or functions as in `contenders`.
        seeds: runs of each; at least 2, as one has no spread.
        steps: environment steps of each run.
        time_limit: steps after which an episode is cut off.
        num_checkpoints: at which policies are judged, evenly spaced.
        first_seed: the others follow it.
        sweep: a field of the configs, and the values that it takes in turn.
        report: called with world, algorithm, and the steps that all runs have done.

    Raises:
        ValueError: there is no such world, algorithm or field, or a number is out of
            range, or an algorithm returns what is no policy.
    """
    _require_at_least("seeds", seeds, 2)
    _require_at_least("steps", steps, 1)
    _require_at_least("time_limit", time_limit, 1)
    _require_at_least("num_checkpoints", num_checkpoints, 1)
    _require_at_least("first_seed", first_seed, 0)
    parts = min(num_checkpoints, steps)
    budget = Budget(tuple(steps * (i + 1) // parts for i in range(parts)), time_limit)
    references = {
        name: _know(name, world, time_limit) for name, world in map(find_world, worlds)
    }
    learners = [find_algorithm(a) for a in algorithms if a != REFERENCE]
    _require_distinct("worlds", worlds, references)
    _require_distinct("algorithms", learners, {made.name for made in learners})
    swept = {made.name: _sweep(made, sweep or {}) for made in learners}
    every = range(first_seed, first_seed + seeds)

    stop = Event()

    def learn_and_judge(world: str, made: Contender) -> dict[str, Judged]:
        def tell(done: float) -> None:
            if stop.is_set():
                raise InterruptedError
            if report is not None:
                report(world, made.name, done)

        configs, model = swept[made.name], references[world].world
        runs = made.learn(every, model, budget, list(configs.values()), tell)
        judged = [judge(model, of_config, time_limit) for of_config in runs]
        return dict(zip(configs, judged, strict=True))

    # One after the other: tabular methods learn in float64, the others in float32, and
    # jax mixes the two up where threads trace programs of both at once.
    with ThreadPoolExecutor(1) as threads:
        tasks = [
            (world, threads.submit(learn_and_judge, world, made))
            for world in references
            for made in learners
        ]
        judged = {world: {} for world in references}
        try:
            for world, task in tasks:
                judged[world] |= task.result()
        except BaseException:
            stop.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    configs = {name: c for of_one in swept.values() for name, c in of_one.items()}
    return Comparison(budget, tuple(every), references, configs, judged)


def judge(world: MDP, runs: Runs, time_limit: int) -> Judged:
    """What the policies of these runs are worth, exactly."""
    return Judged(
        performances(world, runs.sampling, time_limit),
        performances(world, runs.greedy, time_limit),
        never_ends(world, runs.sampling),
        never_ends(world, runs.greedy),
        runs.diverged,
    )


def scores(
    reference: Reference, worth: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """The share of the way from the uniform policy to the optimum, or 0 if diverged."""
    way = reference.optimum - reference.uniform
    return np.maximum(np.nan_to_num((worth - reference.uniform) / way, nan=0.0), 0.0)


def _know(name: str, world: MDP, time_limit: int) -> Reference:
    """The optimum by value iteration, and where those who know nothing start."""
    solution = mdp.value_iteration(world)
    if not solution.converged:
        raise ValueError(
            f"world {name} must have finite values, got some that still change after "
            f"{len(solution.residuals)} sweeps: try gamma below 1"
        )
    uniform = mdp.uniform_policy(world)[None]
    optimum = performances(world, solution.policy[None], time_limit)
    start = performances_within(world, uniform, time_limit)
    reference = Reference(world, *map(float, (*optimum, *start)))
    if not reference.optimum > reference.uniform:
        limit = f"{time_limit} step{'s' * (time_limit > 1)}"
        raise ValueError(
            f"world {name} must leave something to learn in {limit}, got "
            f"one in which the uniform policy earns {reference.uniform:g} and the best "
            f"is worth {reference.optimum:g}: try another world or time_limit"
        )
    return reference


def _sweep(made: Contender, sweep: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """The configs of a contender, by the names that its runs go under."""
    if not sweep or made.config is None:
        return {made.name: made.config}
    ((field, values),) = sweep.items()
    floats = [
        name for name, value in vars(made.config).items() if isinstance(value, float)
    ]
    if field not in floats:
        raise ValueError(
            f"sweep must be over a number that {made.name} has, one of "
            f"{', '.join(floats)}, got {field!r}"
        )
    return {
        f"{made.name} {field}={value:g}": replace(made.config, **{field: float(value)})
        for value in values
    }


def _require_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _require_distinct(what: str, given: Sequence, names) -> None:
    """Raise where there is none to compare, or two go by the same name."""
    if not given:
        raise ValueError(f"{what} must hold at least one, got none that learns")
    if len(names) < len(given):
        raise ValueError(f"{what} must have distinct names, got {', '.join(names)}")
