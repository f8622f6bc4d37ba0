"""Sick runs of RLHF without end: a seed chooses the fault, the settings and the texts.

    python -m tests start what-is-wrong --seed 7

The faults are in sick_runs.toml, each as an edit of the reference. A sick run is a
`Diagnosis` like the three of diagnoses.toml, with an id that holds its seed.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.exercises import sealed
from tests.exercises.manifest import Diagnosis, Edit, Fault

NAME = "what-is-wrong"  # the name of all of them on the command line
ID = f"{NAME}-seed-"
LARGEST_SEED = 10**6
FILE = Path(__file__).with_suffix(".toml")
CHOICES = 5  # faults that the learner chooses from
RUN = (
    "RLHF's third step: PPO on the pocket world, in {updates} updates of {completions} "
    "completions of at most 4 tokens, with beta = {kl_weight:g}. {way}"
)
PICTURE = (
    "The picture shows a healthy run and the sick one. Both begin with the same "
    "models, settings and random key. So they write the same texts in the first "
    "update, unless the fault is in the random numbers themselves. Texts of both "
    "policies after the last update are in a .txt file beside the picture."
)
# The sound ways to run PPO, by name: in words, and the settings that differ.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "completions": (
        "A completion is one action, and its baseline is the mean reward of the other "
        "completions of its prompt.",
        {},
    ),
    "completions, few epochs": (
        "A completion is one action; an update takes two gradient steps, and the last "
        "token pays for the KL of all.",
        {"epochs": 2, "minibatches": 1, "kl_at": "end"},
    ),
    "tokens": (
        "Each token is an action, and its baseline is the mean reward of the other "
        "completions of its prompt.",
        {"view": "token"},
    ),
    "critic": (
        "Each token is an action, and a critic is the baseline, with GAE and whitened "
        "advantages.",
        {"view": "token", "baseline": "value", "normalize_advantages": True},
    ),
    "scaled": (
        "Each token is an action, a critic is the baseline, and the rewards are "
        "divided by their deviation (reward_scaling = scale).",
        {"view": "token", "baseline": "value", "reward_scaling": "scale"},
    ),
    "adaptive": (
        "A completion is one action, compared with the mean of its prompt; six epochs "
        "an update, and beta adapts to a target of 1 nat of KL.",
        {"baseline": "average", "epochs": 6, "kl_target": 1.0, "kl_gain": 0.5},
    ),
    "cool": (
        "A completion is one action. The temperature is 0.8.",
        {"temperature": 0.8},
    ),
}


def settings(way: str, seed: int) -> dict[str, Any]:
    """The sound settings of a run: the way is given, and the seed chooses numbers."""
    rng = np.random.default_rng(seed)
    numbers = {
        "kl_weight": float(rng.choice([0.05, 0.07, 0.1, 0.15])),
        "step_size": float(rng.choice([2e-3, 3e-3, 4e-3])),
        "clip": float(rng.choice([0.13, 0.2])),
    }
    return {"num_updates": 40, "pulls": 16} | numbers | WAYS[way][1]


@cache
def sick_run(seed: int) -> Diagnosis:
    """The sick run with this seed."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"--seed must be from 0 to {LARGEST_SEED:,}, got {seed}")
    chosen = np.random.default_rng([seed, 1])
    tables = faults()
    name = str(chosen.choice(list(tables)))
    others = chosen.permutation([other for other in tables if other != name])
    shown = chosen.permutation([name, *others[: CHOICES - 1]])
    return diagnosis(name, str(chosen.choice(tables[name]["ways"])), seed, tuple(shown))


def diagnosis(
    fault: str, way: str, seed: int, shown: tuple[str, ...] = ()
) -> Diagnosis:
    """The diagnosis of a run with this fault, trained in this way."""
    table, numbers = faults()[fault], settings(way, seed)
    story = RUN.format(
        updates=numbers["num_updates"],
        completions=8 * numbers["pulls"],
        kl_weight=numbers["kl_weight"],
        way=WAYS[way][0],
    )
    return Diagnosis(
        id=f"{ID}{seed}",
        title=f"What is wrong? Sick run of RLHF number {seed}",
        story=f"{story}\n{PICTURE}",
        function=table["function"],
        fault=fault,
        faults=tuple(_fault(name) for name in shown),
        trap=Edit(**table["trap"]),
        variants=tuple(Edit(**edit) for edit in table["variants"]),
        hints=tuple(table["hints"]),
        solution=table["solution"],
        arguments=(way, seed),
        **{name: value for name, value in _whole().items() if name != "faults"},
    )


def seed_in(name: str) -> int | None:
    """The seed in the id of a sick run, if it is one."""
    found = re.fullmatch(rf"{ID}(\d+)", name)
    return int(found[1]) if found and int(found[1]) <= LARGEST_SEED else None


@cache
def faults() -> dict[str, dict[str, Any]]:
    """The tables of the faults by id."""
    return {table["id"]: table for table in _whole()["faults"]}


def _fault(name: str) -> Fault:
    return Fault(*(faults()[name][field] for field in Fault._fields))


@cache
def _whole() -> dict[str, Any]:
    return tomllib.loads(sealed.read(FILE))
