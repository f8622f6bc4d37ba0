"""A copy of the packages in which the book's own function has no body.

A submission runs in this copy. So a program that imports the module anew, reads its
file, or looks into the memory of the process finds an empty function.
"""

import ast
import os
from pathlib import Path

from tests.exercises import sealed
from tests.exercises.manifest import FLOORS, OUTSIDE, ROOT, Diagnosis, Exercise
from tests.exercises.sources import find_definition, module_file

COPIED = (".py", ".pyc", ".csv", ".txt", ".typed")  # no manifests, which have answers


def copy_without(exercise: Exercise | Diagnosis, folder: Path) -> None:
    """Copy the packages and their tests into a folder, without the function's body.

    Only the exercise's floor and those below it are copied; a learner's test of a sick
    run may use all floors. A folder for students has no bodies in its files, and its
    sealed parts are copied as they are: a check there gives no marks.
    """
    is_ours = not exercise.home
    needs_all = isinstance(exercise, Diagnosis) or not is_ours
    above = () if needs_all else FLOORS[FLOORS.index(exercise.floor) + 1 :]
    file, home = module_file(exercise), folder if is_ours else folder / OUTSIDE
    for name in {*FLOORS, "tests"} - set(above):
        _copy_all(ROOT / name, folder / name, above, file.stem)
    if not is_ours:
        _copy_all(exercise.root, home, (), file.stem)
    if sealed.assigned():
        _copy(f"{ROOT}/sealed.py", f"{folder}/sealed.py")
        return
    without = without_body(file.read_text(encoding="utf-8"), exercise.qualname)
    (home / file.relative_to(exercise.root)).write_text(without, encoding="utf-8")


def without_body(source: str, qualname: str) -> str:
    """The text of a module without the body of a function, on as many lines."""
    body, place = find_definition(ast.parse(source), qualname)
    node, lines = body[place], source.splitlines()
    has_docstring = ast.get_docstring(node) is not None
    last = node.end_lineno or 0
    start = (node.body[0].end_lineno or 0) if has_docstring else node.body[0].lineno - 1
    indent = " " * node.body[0].col_offset
    blank = [f"{indent}raise NotImplementedError", *[""] * (last - start - 1)]
    return "\n".join([*lines[:start], *blank, *lines[last:]]) + "\n"


def _copy_all(source: Path, target: Path, above: tuple[str, ...], stem: str) -> None:
    """Copy a folder, but not the floors `above` nor the compiled module `stem`."""
    for place, folders, names in os.walk(source):
        folders[:] = [x for x in folders if x not in above and x != ".git"]
        inside = target / Path(place).relative_to(source)
        inside.mkdir(parents=True)
        for each in names:
            is_compiled = each.endswith(".pyc") and each.startswith(f"{stem}.")
            if each.endswith(COPIED) and not is_compiled:
                _copy(f"{place}/{each}", f"{inside}/{each}")


def _copy(source: str, target: str) -> None:
    """Copy a file and its time: a compiled file is used if its source has that time."""
    with open(source, "rb") as read, open(target, "wb") as write:
        write.write(read.read())
        seen = os.fstat(read.fileno())
    os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))
