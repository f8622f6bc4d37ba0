"""The learner's files and progress, in the folder workbook/, which git ignores.

There is one file per exercise, and progress.json. An update of the repository touches
none of them. A file is never overwritten; a reset keeps the old one beside it.
"""

import ast
import hashlib
import json
import os
from pathlib import Path

from tests.exercises import sealed, sick_runs
from tests.exercises.diagnosis import draw
from tests.exercises.manifest import ROOT, Diagnosis, Exercise, book, called
from tests.exercises.sources import TODO, Candidate, new_file

WORKBOOK = Path(os.environ.get("EXERCISE_WORKBOOK", ROOT / "workbook"))
NOTHING = {"passed": False, "hints": 0, "digest": ""}  # notes on a new exercise


def file_of(exercise: Exercise) -> Path:
    """The file in which the learner writes."""
    return WORKBOOK / f"{exercise.id.replace('-', '_')}.py"


def shown(path: Path) -> str:
    """A path as the learner would type it."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def start(exercise: Exercise) -> Path:
    """Write the learner's file, unless there is one."""
    path = file_of(exercise)
    if path.exists():
        raise ValueError(
            f"{shown(path)} exists already, and was not changed. Judge it with "
            f"`{called()} check {exercise.id}`, or begin again with `reset`."
        )
    path.parent.mkdir(exist_ok=True)
    path.write_text(new_file(exercise), encoding="utf-8")
    return path


def picture(diagnosis: Diagnosis) -> Path:
    """The curves of a sick run and a healthy one; they are drawn once."""
    path = file_of(diagnosis).with_suffix(".png")
    if not path.exists():
        draw(diagnosis, path)
    return path


def reset(exercise: Exercise) -> Path | None:
    """Begin again; return the path to which the old file was moved, if any."""
    path, backup = file_of(exercise), None
    if path.exists():
        numbered = (path.with_suffix(f".{n}.bak") for n in range(1, 10_000))
        backup = next(name for name in numbered if not name.exists())
        path.rename(backup)
    start(exercise)
    note(exercise, passed=False)
    return backup


def attempt(exercise: Exercise) -> Candidate:
    """The learner's file as a candidate."""
    path = file_of(exercise)
    if not path.exists():
        raise ValueError(
            f"{shown(path)} does not exist yet: `{called()} start {exercise.id}`."
        )
    return Candidate(source_of(path, shown(path)), exercise.name, shown(path))


def source_of(path: Path, name: str) -> str:
    """The text of a learner's file; messages call the file `name`."""
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors write a BOM
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not a text file in UTF-8.") from None


def digest(source: str) -> str:
    """A digest of the program in a file; comments and spaces do not count."""
    try:
        text = ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = source
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def is_passed(exercise: Exercise) -> bool:
    """Whether the exercise is passed, by the file as it is now or in a notebook."""
    notes = noted(exercise)
    if not notes["passed"] or not notes["digest"] or not file_of(exercise).exists():
        return notes["passed"]
    try:
        return digest(attempt(exercise).source) == notes["digest"]
    except ValueError:
        return False


def note(exercise: Exercise, **what: bool | int | str) -> None:
    """Remember something about an exercise."""
    progress = all_notes()
    progress.setdefault(exercise.id, {}).update(what)
    WORKBOOK.mkdir(exist_ok=True)
    path = WORKBOOK / "progress.json"
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(progress, indent=1), encoding="utf-8")
    scratch.replace(path)


def noted(exercise: Exercise) -> dict:
    """The notes on an exercise: whether it is `passed`, and how many `hints` were read.

    `digest` is that of the file that passed; it is empty after a pass in a notebook.
    """
    return NOTHING | all_notes().get(exercise.id, {})


def current() -> Exercise:
    """The open exercise whose file was saved last, else the next open one."""
    begun = [e for e in book().values() if is_begun(e)] + begun_sick_runs()
    begun = [e for e in begun if not is_passed(e)]
    if begun:
        return max(begun, key=lambda e: file_of(e).stat().st_mtime)
    following = next_open()
    if following is None:
        raise ValueError("You have passed every exercise: name the one that you mean.")
    return following


def is_begun(exercise: Exercise) -> bool:
    """Whether an exercise has a file; a file that was handed out must be changed."""
    path, came_with_it = file_of(exercise), exercise.id in sealed.assigned()
    if not path.exists() or not came_with_it or isinstance(exercise, Diagnosis):
        return path.exists()
    return TODO not in path.read_text(encoding="utf-8", errors="replace")


def next_new() -> Exercise:
    """The first exercise that has no file and is not passed, in reading order."""
    for exercise in book().values():
        if not is_begun(exercise) and not is_passed(exercise):
            return exercise
    raise ValueError("You have begun every exercise: name the one that you mean.")


def begun_sick_runs() -> list[Diagnosis]:
    """The sick runs of RLHF that have a file, in the order in which they were saved."""
    names = (path.stem.replace("_", "-") for path in WORKBOOK.glob("*_seed_*.py"))
    seeds = (sick_runs.seed_in(name) for name in names)
    runs = [sick_runs.sick_run(seed) for seed in seeds if seed is not None]
    return sorted(runs, key=lambda run: file_of(run).stat().st_mtime)


def next_open(after: Exercise | None = None) -> Exercise | None:
    """The first open exercise after the given one, in reading order."""
    whole = list(book().values())
    place = whole.index(after) if after in whole else 0
    order = whole[place:] + whole[:place]
    return next((e for e in order if not is_passed(e)), None)


def all_notes() -> dict:
    """The notes on all exercises, by their ids."""
    path = WORKBOOK / "progress.json"
    try:
        notes = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        notes = None
    if isinstance(notes, dict) and all(map(_is_note, notes.values())):
        return notes
    raise ValueError(f"{shown(path)} cannot be read. Move it away to begin a new one.")


def _is_note(value: object) -> bool:
    """Say whether a value has the form of the notes on an exercise."""
    return isinstance(value, dict) and all(
        isinstance(value.get(name, nothing), type(nothing))
        for name, nothing in NOTHING.items()
    )
