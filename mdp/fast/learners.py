"""Many learners of control algorithms, as jobs, and the exact value of each result.

Each learner has random numbers of its own. So all learn the same in one process and in
many, and in whatever company.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mdp import control
from mdp.configs import ControlConfig
from mdp.evaluation import evaluate, reachable
from mdp.interface.jobs import Job, Runner
from mdp.model import MDP

ALGORITHMS = {
    "monte_carlo": control.monte_carlo_control,
    "sarsa": control.sarsa,
    "expected_sarsa": control.expected_sarsa,
    "q_learning": control.q_learning,
}
# So many learners are one job. Those of the first are not compiled and learn one after
# the other; the others step together.
TOGETHER = {"monte_carlo": 1, "sarsa": 128, "expected_sarsa": 128, "q_learning": 128}


class Learners(NamedTuple):
    """The history and the result of learners by one algorithm."""

    returns: Float[np.ndarray, "learners episodes"]
    values: Float[np.ndarray, "learners"]  # of the greedy policy; nan if it never ends


def learn_and_value(
    algorithms: Sequence[str],
    mdp: MDP,
    config: ControlConfig,
    seed: int,
    num_learners: int,
    runner: Runner,
) -> dict[str, Learners]:
    """Return so many learners of each algorithm, by its name."""
    jobs = []
    for name in algorithms:
        for first in range(0, num_learners, TOGETHER[name]):
            count = min(TOGETHER[name], num_learners - first)
            work = partial(_learn_some, name, mdp, config, seed, first, count)
            title = f"{name}, from learner {first + 1}"
            jobs.append(Job(title, name, count, work))
    learned: dict[str, list[Learners]] = {name: [] for name in algorithms}
    for job, found in zip(jobs, runner.run_all(jobs), strict=True):
        learned[job.stage].append(found)
    return {
        name: Learners(*map(np.concatenate, zip(*parts, strict=True)))
        for name, parts in learned.items()
    }


def _learn_some(
    name: str, mdp: MDP, config: ControlConfig, seed: int, first: int, count: int
) -> Learners:
    """Return learners `first`, `first` + 1, ... of an algorithm."""
    # Only here, as jax takes half a second to import.
    from mdp.fast.control import learn_many

    # The generator from which `first` others have come already.
    parent = np.random.SeedSequence(seed, n_children_spawned=first)
    rng = np.random.default_rng(parent)
    found = learn_many(rng, mdp, config, ALGORITHMS[name], count)
    values = [start_value(mdp, policy) for policy in found.policy]
    return Learners(found.returns, np.array(values))


def start_value(mdp: MDP, policy: Float[np.ndarray, "S A"]) -> float:
    """Return the exact value of a policy at the start; nan if it never ends there."""
    reached = reachable(mdp, policy)[:, None, None]
    # It need not end from where it never comes.
    ended = mdp._replace(discounts=np.where(reached, mdp.discounts, 0.0))
    try:
        return float(mdp.start @ evaluate(ended, policy))
    except ValueError:
        return float("nan")
