"""A copy of the packages in which the book's own function has no body.

A submission runs in this copy. So whoever imports the module anew, reads its file, or
looks into the memory of the process finds an empty function.
"""

import ast
import shutil
from pathlib import Path

from tests.exercises import sealed
from tests.exercises.manifest import FLOORS, OUTSIDE, ROOT, Diagnosis, Exercise
from tests.exercises.sources import find_definition, module_file

COPIED = (*FLOORS, "tests")
MANIFESTS = "*.toml"  # with right variants of the functions


def copy_without(exercise: Exercise | Diagnosis, folder: Path) -> None:
    """Copy the packages and their tests into a folder, without the function's body.

    A folder for students has no bodies in its files, and what is sealed stays so: the
    students' own checks give no marks.
    """
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=_left_out(exercise))
    place = folder
    if exercise.home:
        place = folder / OUTSIDE
        shutil.copytree(exercise.root, place, ignore=_left_out(exercise))
    if sealed.assigned():
        shutil.copyfile(ROOT / "sealed.py", folder / "sealed.py")
        return
    file = module_file(exercise)
    without = without_body(file.read_text(encoding="utf-8"), exercise.qualname)
    (place / file.relative_to(exercise.root)).write_text(without, encoding="utf-8")


def without_body(source: str, qualname: str) -> str:
    """The text of a module; what follows a function's docstring is blank lines."""
    body, place = find_definition(ast.parse(source), qualname)
    node, lines = body[place], source.splitlines()
    has_docstring = ast.get_docstring(node) is not None
    last = node.end_lineno or 0
    start = (node.body[0].end_lineno or 0) if has_docstring else node.body[0].lineno - 1
    indent = " " * node.body[0].col_offset
    blank = [f"{indent}raise NotImplementedError", *[""] * (last - start - 1)]
    return "\n".join([*lines[:start], *blank, *lines[last:]]) + "\n"


def _left_out(exercise: Exercise | Diagnosis):
    """What is not copied: manifests, and the compiled file of the module."""
    compiled = f"{module_file(exercise).stem}.*.pyc"
    return shutil.ignore_patterns(MANIFESTS, compiled, "*.ipynb", "*.bak", ".*")
