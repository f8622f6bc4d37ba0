"""Read the files of students, and find those with the same lines.

    FOLDER/STUDENT/EXERCISE.py      as in a student's workbook/
    FOLDER/STUDENT/NOTEBOOK.ipynb   with functions that its cells check

The files may also stand deeper, as in FOLDER/STUDENT/workbook/EXERCISE.py. A file of an
exercise takes precedence over notebooks, unless it is still empty.
"""

import ast
import hashlib
import re
import stat
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.classroom.notebooks import Answer, answers_of
from tests.exercises.manifest import FLOORS, Diagnosis, Exercise, book
from tests.exercises.sick_runs import seed_in, sick_run
from tests.exercises.sources import TODO, Candidate, new_file, reference
from tests.exercises.workbook import source_of

LARGEST = 2**20  # bytes of a file
NO_FILE = "There is no file."
SHORT = 7  # statements; shorter right answers look alike


class Submission(NamedTuple):
    """A student's file of one exercise, or what a notebook has for it."""

    student: str
    exercise: Exercise | Diagnosis
    source: str = ""
    trouble: str = ""  # why there is no source: no file, or one that cannot be read
    state: str = "failed"  # of the mark, where there is no source
    name: str = ""  # of the function in a notebook
    place: str = ""  # the notebook and its cell


def collect(folder: Path) -> list[Submission]:
    """The submissions in a folder: of every student, one for each exercise.

    An exercise is due if a student has a file of it, or has begun it in a notebook.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    homes = sorted(path for path in folder.iterdir() if _is_home(path))
    if not homes:
        raise ValueError(f"{folder} has no sub-folders; each student needs one.")
    files = {home.name: _files(home) for home in homes}
    read = {home.name: answers_of(home) for home in homes}
    # The untouched cells of a chapter are no reason to ask the class for them.
    begun = {
        name: {exercise for exercise, answer in answers.items() if not answer.is_open}
        for name, (answers, _) in read.items()
    }
    handed_in = {name: {*files[name], *begun[name]} for name in files}
    due = [e for e in _known(handed_in) if any(e.id in x for x in handed_in.values())]
    if not due:
        raise ValueError(
            f"No file in {folder} has the name of an exercise, such as "
            "STUDENT/discounted_returns.py, and no notebook has a function for one."
            + "".join(f" {says}" for _, broken in read.values() for says in broken[:1])
        )
    submissions = []
    for student, (answers, broken) in read.items():
        for exercise in due:
            paths = files[student].get(exercise.id, [])
            own = _submission(student, exercise, paths, broken)
            answer = answers.get(exercise.id)
            if answer and (own.state in ("missing", "open") or TODO in own.source):
                own = _from_notebook(student, exercise, answer)
            submissions.append(own)
    return submissions


def program_of(submission: Submission) -> str:
    """A digest of the program; files that differ only in comments have the same one.

    Functions of notebooks have the same one only if their places are equal, too: a
    message names the place.
    """
    try:
        text = ast.dump(ast.parse(submission.source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = submission.source
    text = f"{submission.place} {submission.name} {text}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def remarks(submissions: Iterable[Submission]) -> dict[tuple[str, str], str]:
    """Remarks on functions that others also handed in, by student and exercise.

    Names, comments and docstrings do not count. Functions of fewer than SHORT
    statements are left out: right answers of that length look alike.
    """
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in submissions:
        if shape := _shape(each.exercise, each.source, each.name):
            alike[each.exercise.id, shape].append(each.student)
    found = {}
    for (name, shape), students in alike.items():
        exercise = book()[name]
        books = _shape(exercise, reference(exercise).source)
        for student in students:
            others = [other for other in students if other != student]
            says = ["the same lines as the book's own"] if shape == books else []
            if others and not says:
                says = [f"the same lines as {', '.join(others)}"]
            if says:
                found[student, name] = says[0]
    return found


def _is_home(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.name == "__MACOSX"  # of a Mac's zip
    return path.is_dir() and not path.is_symlink() and not hidden


def _files(home: Path) -> dict[str, list[Path]]:
    """The files of a student, by the ids that their names stand for.

    Those that stand less deep come first, and "discounted_returns.py" comes before
    "discounted_returns (1).py" beside it.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    paths = [path for path in home.rglob("*.py") if not _is_library(path, home)]
    for path in sorted(paths, key=lambda p: (len(p.parts), "(" in p.stem, p)):
        name = re.sub(r"\s*\(\d+\)$", "", path.stem.lower())
        found[re.sub(r"[\s_]+", "-", name)].append(path)
    return found


def _is_library(path: Path, home: Path) -> bool:
    """Whether a file is of an environment, or of the library in the whole folder."""
    return any(
        folder.name.startswith(".")
        or folder.name == "site-packages"
        or (folder.name in FLOORS and (folder / "__init__.py").exists())
        for folder in path.parents
        if folder != home and folder.is_relative_to(home)
    )


def _known(handed_in: dict[str, set[str]]) -> list[Exercise | Diagnosis]:
    """All exercises in reading order, and the sick runs that students have files of."""
    names = sorted({name for found in handed_in.values() for name in found})
    seeds = [seed for name in names if (seed := seed_in(name)) is not None]
    return [*book().values(), *map(sick_run, sorted(seeds))]


def _submission(
    student: str, exercise: Exercise | Diagnosis, paths: list[Path], broken: list[str]
) -> Submission:
    """The first of a student's files that is not empty, if there are any."""
    found = (_read(student, exercise, path) for path in paths)
    filled = next((each for each in found if each.state != "open"), None)
    if filled or paths:
        return filled or _read(student, exercise, paths[0])
    trouble = " ".join([NO_FILE, *broken[:3]])
    return Submission(student, exercise, trouble=trouble, state="missing")


def _read(student: str, exercise: Exercise | Diagnosis, path: Path) -> Submission:
    """Read a student's file; a link or a device is not followed."""
    shown = f"{student}/{path.name}"
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            trouble = f"{shown} is no ordinary file (a link, perhaps)."
        elif about.st_size > LARGEST:
            trouble = f"{shown} has {about.st_size:,} bytes, more than {LARGEST:,}."
        else:
            source = source_of(path, shown)
            if not source.strip() or source == new_file(exercise):
                trouble = f"{shown} is still empty."
                return Submission(student, exercise, trouble=trouble, state="open")
            return Submission(student, exercise, source)
    except (ValueError, OSError) as error:
        trouble = getattr(error, "strerror", None) or str(error)
    return Submission(student, exercise, trouble=trouble)


def _from_notebook(
    student: str, exercise: Exercise | Diagnosis, answer: Answer
) -> Submission:
    """What a notebook has for an exercise."""
    return Submission(
        student,
        exercise,
        answer.source,
        answer.trouble,
        "open" if answer.is_open else "failed",
        answer.name,
        answer.place,
    )


def attempt(submission: Submission) -> Candidate:
    """The submission as a candidate."""
    name = submission.name or submission.exercise.name
    file = f"{submission.exercise.id.replace('-', '_')}.py"
    place = submission.place
    return Candidate(submission.source, name, place or file, is_file=not place)


def _shape(exercise: Exercise | Diagnosis, source: str, name: str = "") -> str:
    """The function's body as text without names; empty if it is short or missing."""
    if isinstance(exercise, Diagnosis):
        return ""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    name = name or exercise.name
    named = [node for node in tree.body if getattr(node, "name", "") == name]
    if not named or not isinstance(named[-1], ast.FunctionDef):
        return ""
    function = named[-1]
    body = function.body[ast.get_docstring(function) is not None :]
    lines = [node for part in body for node in ast.walk(part)]
    if sum(isinstance(node, ast.stmt) for node in lines) < SHORT:
        return ""
    numbers: dict[str, str] = {}
    for node in lines:
        if isinstance(node, ast.Name):
            node.id = numbers.setdefault(node.id, f"name {len(numbers)}")
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = "argument", None
    try:
        return "\n".join(map(ast.dump, body))
    except RecursionError:  # it is nested too deeply to be compared
        return ""
