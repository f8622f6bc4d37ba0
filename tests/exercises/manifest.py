"""The exercises, in reading order, as tests/exercises/ lists them, floor by floor.

An exercise asks for a function, which the tests judge. A diagnosis asks for the fault
of a sick run and for a test, which the function and its traps judge.
"""

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
FLOORS = ("mdp", "policy_gradient", "lm_bandit")  # from below


class Edit(NamedTuple):
    """A change of the reference: pieces of its text, or the whole body."""

    replace: str = ""  # this piece of the reference's source, which occurs once,
    by: str = ""  # by this one
    body: str = ""  # or the whole body, in its place
    says: str = ""  # of a trap: what the learner did, and why it is wrong


class Exercise(NamedTuple):
    """A function to be written, and how it is judged."""

    id: str
    time_limit: float  # seconds
    title: str
    function: str  # "module:name", or "module:Class.name" for a property
    tests: tuple[str, ...]  # pytest's node ids
    cases: str  # "module:name" of the function that lists inputs, smallest first
    equation: str
    source: str  # where to read about it: book or paper, and the place in it
    notebook: str
    hints: tuple[str, ...]  # of growing help
    traps: tuple[Edit, ...]
    variants: tuple[Edit, ...]
    imports: str = ""  # of the stub; by default, what the reference uses
    fields: tuple[str, ...] = ()  # of a result with several: those that are compared
    compared: str = ""  # "module:name" of what is compared; by default, the answer

    @property
    def floor(self) -> str:
        """The package that the function belongs to."""
        return self.function.split(".")[0]

    @property
    def module(self) -> str:
        """Where the function lies."""
        return self.function.split(":")[0]

    @property
    def qualname(self) -> str:
        """The function in its module."""
        return self.function.split(":")[1]

    @property
    def name(self) -> str:
        """The function."""
        return self.qualname.split(".")[-1]

    @property
    def is_method(self) -> bool:
        """Is it written inside a class?"""
        return "." in self.qualname


class Fault(NamedTuple):
    """What may be wrong with a run."""

    id: str
    says: str  # in plain words
    shows: str  # how its curves look


class Diagnosis(NamedTuple):
    """A run with a fault in it, which is to be named, and then caught by a test."""

    id: str
    title: str
    story: str
    function: str  # "module:name" of the function with the fault
    run: str  # "module:name" of what trains, and returns curves by name
    fault: str  # the id of the right one
    faults: tuple[Fault, ...]
    trap: Edit  # the function with the fault
    variants: tuple[Edit, ...]  # right functions, which a good test lets pass
    source: str
    notebook: str
    hints: tuple[str, ...]  # of growing help
    imports: str  # of the learner's file
    solution: str  # a test that is good enough
    time_limit: float = 60.0  # seconds, for all repetitions of a test on one function

    floor = Exercise.floor
    module = Exercise.module
    qualname = Exercise.qualname
    name = Exercise.name
    is_method = Exercise.is_method

    @property
    def place(self) -> str:
        """The function as one would write it."""
        return self.function.replace(":", ".")


@cache
def book() -> dict[str, Exercise | Diagnosis]:
    """All there is to do, by id, in reading order."""
    return exercises() | diagnoses()


@cache
def diagnoses() -> dict[str, Diagnosis]:
    """The sick runs, by id."""
    faults = {table.pop("id"): table for table in _read("diagnoses", "faults")}
    return {
        table["id"]: _diagnosis(table, faults)
        for table in _read("diagnoses", "diagnoses")
    }


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises by id, in reading order."""
    listed = [_exercise(table) for floor in FLOORS for table in tables(floor)]
    return {exercise.id: exercise for exercise in listed}


def tables(floor: str) -> list[dict]:
    """The exercises of a floor as they are written down."""
    limit = _read(floor, "time_limit")
    return [{"time_limit": limit} | table for table in _read(floor, "exercises")]


def find(name: str) -> Exercise | Diagnosis:
    """The exercise of this id, or a ValueError with the nearest one."""
    wanted = name.strip().lower().replace("_", "-").removesuffix(".py")
    if wanted in book():
        return book()[wanted]
    near = difflib.get_close_matches(wanted, book(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else "`python -m tests` lists them."
    raise ValueError(f"There is no exercise {name!r}: {hint}")


def _read(file: str, key: str) -> Any:
    """What stands in a file at this key."""
    with (ROOT / "tests" / "exercises" / f"{file}.toml").open("rb") as opened:
        return tomllib.load(opened)[key]


def _diagnosis(table: dict, faults: dict[str, dict]) -> Diagnosis:
    possible = [Fault(name, **faults[name]) for name in table["faults"]]
    of_all = ("source", "notebook", "run", "imports")
    made = {name: _read("diagnoses", name) for name in of_all} | {
        "trap": Edit(**table["trap"]),
        "variants": tuple(Edit(**edit) for edit in table["variants"]),
        "faults": tuple(possible),
        "hints": tuple(table["hints"]),
    }
    return Diagnosis(**table | made)


def _exercise(table: dict) -> Exercise:
    edits = {
        kind: tuple(Edit(**edit) for edit in table.pop(kind, ()))
        for kind in ("traps", "variants")
    }
    lists = {name: tuple(table.pop(name, ())) for name in ("tests", "hints", "fields")}
    return Exercise(**table, **edits, **lists)
