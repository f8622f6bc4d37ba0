"""A copy of the packages in which the book's own function has no body.

A submission runs in this copy. So whoever imports the module anew, reads its file, or
looks into the memory of the process finds an empty function.
"""

import ast
import os
from pathlib import Path

from tests.exercises.manifest import FLOORS, ROOT, Diagnosis, Exercise
from tests.exercises.sources import find_definition, module_file

COPIED = (".py", ".pyc", ".csv", ".txt", ".typed")  # no manifests, which have answers


def copy_without(exercise: Exercise | Diagnosis, folder: Path) -> None:
    """Copy the packages and their tests into a folder, without the function's body.

    Only the exercise's floor and those below it are copied.
    """
    above = FLOORS[FLOORS.index(exercise.floor) + 1 :]
    file = module_file(exercise)
    for name in {*FLOORS, "tests"} - set(above):
        for place, folders, names in os.walk(ROOT / name):
            folders[:] = [each for each in folders if each not in above]
            target = folder / Path(place).relative_to(ROOT)
            target.mkdir(parents=True)
            for each in names:
                is_compiled = each.endswith(".pyc") and each.startswith(f"{file.stem}.")
                if each.endswith(COPIED) and not is_compiled:
                    _copy(f"{place}/{each}", f"{target}/{each}")
    without = without_body(file.read_text(encoding="utf-8"), exercise.qualname)
    (folder / file.relative_to(ROOT)).write_text(without, encoding="utf-8")


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


def _copy(source: str, target: str) -> None:
    """Copy a file with its time, by which compiled files know their sources."""
    with open(source, "rb") as read, open(target, "wb") as write:
        write.write(read.read())
        seen = os.fstat(read.fileno())
    os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))
