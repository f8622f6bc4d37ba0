"""Make a folder for students, which stands alone: library, notebooks, stubs, checks.

No solution of an assigned exercise is in the folder for a reader to find. The rest of
the library must still run, and the check must judge as it does here, so the book's own
bodies come with the folder, but sealed (see tests/exercises/sealed.py): a mark stands
in their place, and they are put back in memory when their module is imported.

We could instead put each student's own function in the place, once it has passed. But
then nothing beyond the first exercise runs until that is solved, every mistake moves
into the rest of the book, and no two students see the same pictures.

    sealed         bodies of assigned exercises; functions that hold half of one or
                   more (a parallel file, a fast version); the manifests, with traps,
                   variants and hints. The command `solution` shows nothing.
    left as it is  the notebooks with their outputs: their exercise cells are open, and
                   no cell shows an answer; and the tests that judge, for students may
                   read them
    left out       other tests, benchmarks, the history, compiled files, workbook/

At the end the whole folder is searched. If a copy of an answer is left anywhere, the
folder is removed, and the message names the place.
"""

import ast
import datetime
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.classroom.copies import Solutions, functions, places
from tests.classroom.selection import chosen, due_dates
from tests.exercises import sealed
from tests.exercises.manifest import (
    FLOORS,
    OUTSIDE,
    ROOT,
    Diagnosis,
    Exercise,
    called,
    everything,
)
from tests.exercises.sealed import Contents, Part, blank
from tests.exercises.sources import body_lines, find_definition, module_file, new_file

Listed = Mapping[str, Exercise | Diagnosis]
FILES = "GUIDE.md LICENSE pyproject.toml requirements-tested.txt setup.cfg .gitignore"
MANIFESTS = (*FLOORS, "diagnoses", "sick_runs")
UNWANTED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "*.egg-info")
YOURS = "raise NotImplementedError  # {name} is yours: workbook/{file}"
COPY = "raise NotImplementedError  # {name} is sealed: it is much like {id}"
READ_SEALED = (
    '__import__("sealed").install()  # the bodies that are not in these files\n'
)
IN_TESTS = '''"""What is sealed in this folder: see sealed.py at its top."""

from sealed import assigned, blank, contents, install, read, seal

__all__ = ["assigned", "blank", "contents", "install", "read", "seal"]
'''
README = """\
# Exercises: bellman-to-rlhf

There are {number} exercises below. In most of them you write a function of this library
yourself: its unit tests judge what you write, and tell you what is wrong.

Open a terminal in this folder. Once, for some minutes:

    python3 -m venv .venv
    .venv/bin/python -m pip install -e ".[notebooks,test]"

On Windows, type `py` in place of `python3`, and `.venv\\Scripts\\python` in place of
`.venv/bin/python`. The messages of these commands write `python` for short. Then

    .venv/bin/python -m tests             shows your exercises, and the next one
    .venv/bin/python -m tests check ID    judges the exercise with this ID
    .venv/bin/python -m tests check --all judges all your files, before you hand in
    .venv/bin/python -m tests watch ID    judges it whenever you save its file
    .venv/bin/python -m tests hint ID     helps if you are stuck; there are three hints
    .venv/bin/python -m tests start ID    begins a sick run (what-is-wrong-...)

Keep the names of your files. Each file is judged alone: it can import the library, and
no other file of yours. `.venv/bin/python -m jupyter lab` opens the notebooks.

Your files are in `workbook/`, one for each exercise. Each has the signature, and says
what the function must return; replace its last line by yours. The notebooks in
`notebooks/` explain the subject, and have a cell for most exercises. A function that
passes in a notebook is graded there, unless you copy it to its file in `workbook/`.

**Hand in the folder `workbook/`, and the notebooks in which you have written
functions.** Change nothing else: your files are judged with your teacher's copy of
everything else. The book's own lines are not in the files of the
library; where they stood, a line says so. The library runs all the same.

{table}
"""


def hand_out(
    out: Path, names: Iterable[str] = (), due: Path | None = None
) -> list[str]:
    """Make the folder, and return the ids of its exercises."""
    ids = chosen(names) if names else list(everything())
    dates = due_dates(due, ids) if due else {}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already: name a new folder, or an empty one.")
    listed = {name: everything()[name] for name in ids}
    for home in {each.root for each in listed.values() if each.home}:
        if out.resolve().is_relative_to(home):
            raise ValueError(f"{out} is inside {home}, and is to hold a copy of it.")
    try:
        _copy_files(out, listed)
        _seal(out, listed)
        _write_stubs(out, _exercises(listed))
        (out / "README.md").write_text(readme(listed, dates), encoding="utf-8")
        _run(out, "-m", "tests.exercises.chapters")  # the map lists what was assigned
        shutil.rmtree(out / "mdp" / "__pycache__", ignore_errors=True)
        if left := list(copies_in(out, _exercises(listed))):
            raise ValueError(f"Nothing is handed out: {left[0]}.")
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return ids


def copies_in(folder: Path, exercises: Iterable[Exercise]) -> Iterable[str]:
    """Yield a sentence on each place in a folder that shows an exercise's answer."""
    solutions = Solutions(exercises)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix in (".png", ".csv"):
            continue
        for place in places(file):
            if name := solutions.copied(place.words):
                where = f"{file.relative_to(folder)}, {place.name}"
                yield f"{where} shows the answer of {name}"


def readme(listed: Listed, dates: Mapping[str, datetime.date]) -> str:
    """Return the students' instructions, with a table of the exercises."""
    head = "| exercise | title | level | minutes |"
    rows = [head + " due |" * bool(dates), "|---" * (4 + bool(dates)) + "|"]
    for name, each in listed.items():
        cells = [f"`{name}`", each.title, each.difficulty, each.minutes]
        cells += [dates.get(name, "")] if dates else []
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return README.format(number=len(listed), table="\n".join(rows))


def _copy_files(out: Path, listed: Listed) -> None:
    """Copy the library, the notebooks, and the tests that judge."""
    for name in (*FLOORS, "notebooks", "tests/exercises"):
        shutil.copytree(ROOT / name, out / name, ignore=UNWANTED, dirs_exist_ok=True)
    for name in FILES.split():
        shutil.copyfile(ROOT / name, out / name)
    for home in {each.root for each in listed.values() if each.home}:
        shutil.copytree(home, out / OUTSIDE, ignore=UNWANTED)
    for file in sorted(_tests_that_judge()):
        copy = out / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    _change(out / "setup.cfg", "[options]\n", "[options]\npy_modules = sealed\n")
    _change(out / ".gitignore", "workbook/\n", "")
    for floor in FLOORS:
        front = out / floor / "__init__.py"
        text = front.read_text(encoding="utf-8")
        docstring = ast.get_source_segment(text, ast.parse(text).body[0])
        _change(front, docstring, f"{docstring}\n\n{READ_SEALED}".rstrip("\n"))


def _tests_that_judge() -> set[Path]:
    """The tests of all exercises, and what they import from tests/."""
    ours = [each for each in _exercises(everything()) if not each.home]
    tests = {test.split("::")[0] for each in ours for test in each.tests}
    waiting = {ROOT / test for test in tests} | {ROOT / "tests" / "__main__.py"}
    waiting |= set((ROOT / "tests" / "exercises").rglob("*.py"))
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        found.add(file)
        beside = [file.with_name(name) for name in ("__init__.py", "conftest.py")]
        waiting |= {path for path in [*beside, *_imported(file)] if path.exists()}
        waiting -= found | set((ROOT / "tests" / "classroom").glob("*"))
    return found


def _imported(file: Path) -> Iterable[Path]:
    """The files below tests/ that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names.append(node.module or "")
        for name in names:
            if name.startswith("tests."):
                path = ROOT.joinpath(*name.split("."))
                yield from (path.with_suffix(".py"), path / "__init__.py")


def _seal(out: Path, listed: Listed) -> None:
    """Take the answers out of the files, and write down what was taken out."""
    solutions = Solutions(_exercises(listed))
    parts: dict[str, list[Part]] = {}
    folders = [out / name for name in (*FLOORS, OUTSIDE)]
    for file in [path for folder in folders for path in folder.rglob("*.py")]:
        name = file.relative_to(out)
        own = [x for x in _exercises(listed) if _place(x) == name]
        if taken := _take_out(file, own, solutions):
            parts[name.as_posix()] = taken
    manifests = [out / "tests" / "exercises" / f"{name}.toml" for name in MANIFESTS]
    for file in [*manifests, *(out / OUTSIDE).glob("*.toml")]:
        text = file.read_text(encoding="utf-8")
        parts[file.relative_to(out).as_posix()] = [Part("", text)]
        file.unlink()
    program = Path(sealed.__file__).read_text(encoding="utf-8")
    store = sealed.seal(Contents(tuple(listed), parts))
    stored = program.replace('\nSTORE = ""\n', f'\nSTORE = """\n{store}\n"""\n')
    (out / "sealed.py").write_text(stored, encoding="utf-8")
    (out / "tests" / "exercises" / "sealed.py").write_text(IN_TESTS, encoding="utf-8")


def _place(exercise: Exercise) -> Path:
    """The file of an exercise's function in the folder for students."""
    inside = module_file(exercise).relative_to(exercise.root)
    return OUTSIDE / inside if exercise.home else inside


def _take_out(file: Path, own: list[Exercise], solutions: Solutions) -> list[Part]:
    """Put marks in place of answers in a file; return what was there, from the top."""
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    marks: dict[tuple[int, int], str] = {}  # by the first and the last line
    for place in functions(text):
        if name := solutions.copied(place.words):
            marks[place.first, place.last] = COPY.format(name=place.name, id=name)
    for exercise in own:
        body, index = find_definition(tree, exercise.qualname)
        name = f"{exercise.id.replace('-', '_')}.py"
        mark = YOURS.format(name=exercise.name, file=name)
        marks[body_lines(body[index])] = mark
    lines, parts = text.split("\n"), []
    for first, last in sorted(marks, reverse=True):
        part = "\n".join(lines[first - 1 : last])
        indent = re.match(" *", lines[last - 1])[0]
        parts.append(Part(indent + marks[first, last], part))
        lines[first - 1 : last] = blank(parts[-1].mark, part).split("\n")
    file.write_text("\n".join(lines), encoding="utf-8")
    return parts[::-1]


def _write_stubs(out: Path, listed: Iterable[Exercise]) -> None:
    """Write the students' files, except those of sick runs, which `start` writes."""
    folder = out / "workbook"
    folder.mkdir()
    for exercise in listed:
        file = folder / f"{exercise.id.replace('-', '_')}.py"
        text = new_file(exercise).replace(called(), "python -m tests")
        file.write_text(text, encoding="utf-8")


def _exercises(listed: Listed) -> list[Exercise]:
    return [each for each in listed.values() if isinstance(each, Exercise)]


def _change(file: Path, old: str, new: str) -> None:
    """Replace a piece of a file."""
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise ValueError(f"{file.name}: there is no {old!r} to be replaced")
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def _run(folder: Path, *args: str) -> None:
    """Run Python in the folder."""
    subprocess.run([sys.executable, "-B", *args], cwd=folder, check=True)
