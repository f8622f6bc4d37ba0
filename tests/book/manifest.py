"""The exercises, in reading order, as tests/exercises/ lists them, floor by floor."""

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
FLOORS = ("mdp", "policy_gradient")  # those that have exercises, from below


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


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises by id, in reading order."""
    listed = [_exercise(table) for floor in FLOORS for table in tables(floor)]
    return {exercise.id: exercise for exercise in listed}


def tables(floor: str) -> list[dict]:
    """The exercises of a floor as they are written down."""
    with (ROOT / "tests" / "exercises" / f"{floor}.toml").open("rb") as file:
        book = tomllib.load(file)
    return [{"time_limit": book["time_limit"]} | table for table in book["exercises"]]


def find(name: str) -> Exercise:
    """The exercise of this id, or a ValueError with the nearest one."""
    wanted = name.strip().lower().replace("_", "-").removesuffix(".py")
    if wanted in exercises():
        return exercises()[wanted]
    near = difflib.get_close_matches(wanted, exercises(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else "`python -m tests` lists them."
    raise ValueError(f"There is no exercise {name!r}: {hint}")


def _exercise(table: dict) -> Exercise:
    edits = {
        kind: tuple(Edit(**edit) for edit in table.pop(kind, ()))
        for kind in ("traps", "variants")
    }
    lists = {name: tuple(table.pop(name, ())) for name in ("tests", "hints", "fields")}
    return Exercise(**table, **edits, **lists)
