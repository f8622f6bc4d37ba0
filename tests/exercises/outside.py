"""Exercises from outside this repository: a manifest, tests and functions.

    python -m tests --book FOLDER list      shows them after ours

    FOLDER/exercises.toml    the exercises, with the fields of `Exercise`
    FOLDER/*.py              the functions, their tests, and the inputs of the cases

The manifest names modules and files as they are called in the folder: the function
"median:running_median" stands in FOLDER/median.py. The rest is as in our manifests.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Container
from pathlib import Path

from tests.exercises import sealed
from tests.exercises.manifest import FLOORS, Exercise, exercise_in

MANIFEST = "exercises.toml"
DEFAULTS = {"time_limit": 10.0, "notebook": ""}
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def exercises_from(folder: Path, known: Container[str]) -> dict[str, Exercise]:
    """Return the exercises of a folder by id; a ValueError says what is wrong there.

    No id may be one of the `known` ids.
    """
    file = folder / MANIFEST
    try:
        tables = tomllib.loads(sealed.read(file)).get("exercises", [])
    except FileNotFoundError:
        raise ValueError(f"--book {folder}: there is no file {file}.") from None
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    if not tables or not isinstance(tables, list):
        raise ValueError(f"{file}: there is no [[exercises]].")
    found: dict[str, Exercise] = {}
    for number, table in enumerate(tables, 1):
        name = table.get("id", f"exercise {number}")
        fields = DEFAULTS | table | {"home": str(folder.resolve())}
        if complaint := _about_fields(fields):
            raise ValueError(f"{file}, {name}: {complaint}.")
        exercise = exercise_in(fields)
        if name in known or name in found:
            text = "there is already an exercise with this id"
            raise ValueError(f"{file}, {name}: {text}.")
        if complaint := _about_files(exercise):
            raise ValueError(f"{file}, {name}: {complaint}.")
        found[name] = exercise
    return found


def _about_fields(table: dict) -> str:
    """A complaint about the fields of an exercise; empty if there is none."""
    needed = [n for n in Exercise._fields if n not in Exercise._field_defaults]
    if missing := [name for name in needed if name not in table]:
        return f"{', '.join(missing)} must be given"
    if unknown := [name for name in table if name not in Exercise._fields]:
        return f"there is no field {', '.join(unknown)}"
    if not ID.fullmatch(table["id"]):
        return "an id has small letters, digits and single hyphens"
    for field in ("function", "cases", "compared"):
        if table.get(field, "a:b").count(":") != 1:
            return f"{field} must be 'module:name', got {table[field]!r}"
    return ""


def _about_files(exercise: Exercise) -> str:
    """A complaint about the files that an exercise names; empty if there is none."""
    for place in filter(None, (exercise.function, exercise.cases, exercise.compared)):
        module, name = place.split(":")
        if module.split(".")[0] in {*sys.stdlib_module_names, "tests", *FLOORS}:
            return f"the name {module}.py is taken: give the file another name"
        file = exercise.root / (module.replace(".", "/") + ".py")
        if not file.is_file():
            return f"there is no file {file}"
        definition = _definition(file, name.split(".")[-1])
        if definition is None:
            return f"there is no function {name} in {file}"
        if place == exercise.function and ast.get_docstring(definition) is None:
            return f"{name} in {file} needs a docstring: it is what the learner reads"
    for test in exercise.tests:
        file = exercise.root / test.split("::")[0]
        if not file.is_file():
            return f"there is no file {file}"
    return ""


def _definition(file: Path, name: str) -> ast.FunctionDef | None:
    """The definition of a function in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), file)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None
