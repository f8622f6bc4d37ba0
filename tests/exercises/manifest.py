"""The exercises in reading order, as the manifests list them, floor by floor.

An exercise asks for a function, which unit tests judge. A diagnosis asks for the fault
of a sick run and for a test, which is tried on right and on faulty functions.
"""

import difflib
import os
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.exercises import sealed

ROOT = Path(__file__).parent.parent.parent
# The environment variable that names a folder of exercises from outside, and the place
# of its copy in a folder that was handed out.
BOOK, OUTSIDE = "EXERCISE_BOOK", "outside"
FLOORS = ("mdp", "policy_gradient", "lm_bandit")  # from the lowest
MOST_NAMES = 5  # that a message lists
SPACES = str.maketrans("-_", "  ")


class Edit(NamedTuple):
    """A change of the reference: of a piece of its text, or of the whole body."""

    replace: str = ""  # a piece of the reference's source, which occurs once
    by: str = ""  # what stands there instead
    body: str = ""  # or another whole body
    says: str = ""  # for a trap: what the learner did, and why it is wrong


class Exercise(NamedTuple):
    """A function to be written, and what judges it."""

    id: str
    time_limit: float  # seconds
    title: str
    function: str  # "module:name", or "module:Class.name" for a property
    tests: tuple[str, ...]  # pytest's node ids
    cases: str  # "module:name" of the function that lists inputs, smallest first
    equation: str
    source: str  # where to read about it: book or paper, and the place in it
    notebook: str
    difficulty: int  # from 1 to 5
    minutes: int  # that it usually takes
    hints: tuple[str, ...]  # each says more than the one before
    traps: tuple[Edit, ...]
    variants: tuple[Edit, ...]
    needs: tuple[str, ...] = ()  # exercises that should be done before
    imports: str = ""  # of the new file; by default, what the reference uses
    fields: tuple[str, ...] = ()  # of the result, those that are compared; else all
    compared: str = ""  # "module:name" of what is compared; by default, the result
    home: str = ""  # its folder, if it comes from outside this repository

    @property
    def floor(self) -> str:
        """The package that the function belongs to, or "outside"."""
        return OUTSIDE if self.home else self.function.split(".")[0]

    @property
    def root(self) -> Path:
        """The folder below which its modules and tests are."""
        return ROOT / self.home

    @property
    def module(self) -> str:
        """The module of the function."""
        return self.function.split(":")[0]

    @property
    def qualname(self) -> str:
        """The name of the function in its module, with that of its class."""
        return self.function.split(":")[1]

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.qualname.split(".")[-1]

    @property
    def is_method(self) -> bool:
        """Whether the function is part of a class."""
        return "." in self.qualname


class Fault(NamedTuple):
    """A fault that a run may have."""

    id: str
    says: str  # the fault in plain words
    shows: str  # what it does to the curves


class Diagnosis(NamedTuple):
    """A training run with a fault: the learner names it, and catches it by a test."""

    id: str
    title: str
    story: str
    function: str  # "module:name" of the function with the fault
    run: str  # "module:name" of the training, which returns curves by name
    fault: str  # the id of the fault of this run
    faults: tuple[Fault, ...]
    trap: Edit  # the function with the fault
    variants: tuple[Edit, ...]  # right functions, which a good test lets pass
    source: str
    notebook: str
    difficulty: int  # from 1 to 5
    minutes: int  # that it usually takes
    hints: tuple[str, ...]  # each says more than the one before
    imports: str  # of the learner's file
    solution: str  # a test that is good enough
    needs: tuple[str, ...] = ()  # exercises that should be done before
    time_limit: float = 60.0  # seconds, for all repetitions of a test on one function
    arguments: tuple[Any, ...] = ()  # of `run`
    home: str = ""

    root = Exercise.root
    floor = Exercise.floor
    module = Exercise.module
    qualname = Exercise.qualname
    name = Exercise.name
    is_method = Exercise.is_method

    @property
    def place(self) -> str:
        """The function with its module, as in a program."""
        return self.function.replace(":", ".")


@cache
def book() -> dict[str, Exercise | Diagnosis]:
    """All exercises and diagnoses by id, in reading order.

    In a folder that was handed out, only the assigned ones. Those from outside stand
    last.
    """
    names = sealed.assigned()
    return {
        name: each
        for name, each in everything().items()
        if not names or name in names or each.home
    }


@cache
def everything() -> dict[str, Exercise | Diagnosis]:
    """All exercises and diagnoses by id, also those that were not assigned."""
    ours = exercises() | diagnoses()
    folder = Path(os.environ.get(BOOK) or ROOT / OUTSIDE)
    if not os.environ.get(BOOK) and not (sealed.assigned() and folder.is_dir()):
        return ours
    from tests.exercises import outside  # it imports this file

    return ours | outside.exercises_from(folder, ours)


def use_book(folder: str) -> None:
    """Let a folder of exercises stand beside ours, in all processes that we start."""
    os.environ[BOOK] = str(Path(folder).absolute())
    for cached in (book, everything):
        cached.cache_clear()


def called() -> str:
    """The command by which the book is called, as the learner types it."""
    folder = Path(os.environ.get(BOOK, ""))
    if folder == Path():
        return "python -m tests"
    here = Path.cwd()
    near = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return f"python -m tests --book {shlex.quote(str(near))}"


@cache
def diagnoses() -> dict[str, Diagnosis]:
    """The diagnoses by id."""
    faults = {table["id"]: Fault(**table) for table in _read("diagnoses", "faults")}
    common = {
        n: _read("diagnoses", n)
        for n in ("source", "notebook", "difficulty", "minutes", "run", "imports")
    }
    return {
        table["id"]: Diagnosis(
            **_parsed(table)
            | common
            | {"trap": Edit(**table["trap"])}
            | {"faults": tuple(faults[name] for name in table["faults"])}
        )
        for table in _read("diagnoses", "diagnoses")
    }


@cache
def exercises() -> dict[str, Exercise]:
    """All exercises by id, in reading order."""
    listed = [table for floor in FLOORS for table in tables(floor)]
    return {table["id"]: exercise_in(table) for table in listed}


def tables(floor: str) -> list[dict]:
    """The exercises of a floor as its manifest lists them."""
    limit = _read(floor, "time_limit")
    return [{"time_limit": limit} | table for table in _read(floor, "exercises")]


def find(name: str) -> Exercise | Diagnosis:
    """The exercise with this id, or the one whose id or title contains the text.

    A ValueError lists the exercises if there are several, or names the nearest ones.
    """
    wanted = "-".join(name.lower().removesuffix(".py").translate(SPACES).split())
    if wanted in everything():
        return everything()[wanted]
    from tests.exercises import sick_runs  # it imports this file

    if (seed := sick_runs.seed_in(wanted)) is not None:
        return sick_runs.sick_run(seed)
    found = fitting(wanted.replace("-", " "))
    if len(found) == 1:
        return book()[found[0]]
    if found:
        more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
        listed = ", ".join(found[:MOST_NAMES])
        raise ValueError(f"{name!r} fits {len(found)} exercises: {listed}{more}.")
    near = difflib.get_close_matches(wanted, book(), n=3, cutoff=0.6)
    meant = f"did you mean {' or '.join(near)}?"
    hint = meant if near else f"`{called()}` lists them."
    raise ValueError(f"There is no exercise {name!r}: {hint}")


def fitting(text: str) -> list[str]:
    """Return the ids of exercises whose id, title or function contains a text.

    If there are none, of those that contain each word of it, or else of those whose
    chapter contains it.
    """
    names, chapters = {}, {}
    for each in book().values():
        names[each.id] = f"{each.id} {each.title} {each.name}".lower()
        chapters[each.id] = each.notebook
    return (
        _with_words(names, [text])
        or _with_words(names, text.split())
        or _with_words(chapters, [text])
    )


def _with_words(texts: dict[str, str], wanted: list[str]) -> list[str]:
    """The keys of the texts in which each wanted text begins some word."""
    return [
        key
        for key, text in texts.items()
        if all(f" {word}" in f" {text.translate(SPACES)}" for word in wanted)
    ]


def _read(file: str, key: str) -> Any:
    """The value of a key in a manifest."""
    return _whole(file)[key]


@cache
def _whole(file: str) -> dict[str, Any]:
    """All that a manifest holds."""
    text = sealed.read(ROOT / "tests" / "exercises" / f"{file}.toml")
    return tomllib.loads(text)


def exercise_in(table: dict) -> Exercise:
    """Return the exercise in a manifest's table; a ValueError names what it lacks."""
    try:
        return Exercise(**_parsed(table))
    except TypeError as error:
        raise ValueError(f"exercise {table['id']}: {error}") from None


def _parsed(table: dict) -> dict:
    """The values of a manifest's table: edits, and tuples in the place of lists."""
    found = {n: tuple(x) if isinstance(x, list) else x for n, x in table.items()}
    for kind in {"traps", "variants"} & found.keys():
        found[kind] = tuple(Edit(**edit) for edit in found[kind])
    return found
