"""The table of contents: every exercise on one line, with the learner's progress."""

import shutil
from collections.abc import Iterator

from tests.exercises import sick_runs, workbook
from tests.exercises.manifest import Diagnosis, Exercise, book, called

PARTS = {
    "mdp": "Floor 1: finite MDPs",
    "policy_gradient": "Floor 2: policy gradients",
    "lm_bandit": "Floor 3: a language model and its feedback",
    "outside": "From outside",
    "sick runs": "Sick runs: what is wrong?",
}
NUMBERS = 7  # columns for two spaces, the level, two spaces and the minutes
LEAST_TITLE = 12  # columns; a shorter piece of a title says nothing
LEGEND = "x passed, - begun; level 1 (easy) to 5 (hard), and minutes."


def show_book() -> int:
    """Show the table of contents, and the next step."""
    from rich.console import Console

    console = Console(highlight=False)
    for line, style in contents(shutil.get_terminal_size().columns):
        console.print(line, style=style, markup=False, soft_wrap=True)
    return 0


def contents(width: int) -> Iterator[tuple[str, str]]:
    """Yield the lines of the table, none longer than the width if possible, and styles.

    Where there is no room for the titles, a line has the id of its exercise alone.
    """
    parts: dict[str, list[Exercise | Diagnosis]] = {}
    for exercise in book().values():
        is_run = isinstance(exercise, Diagnosis)
        parts.setdefault("sick runs" if is_run else exercise.floor, []).append(exercise)
    passed = {name for name, each in book().items() if workbook.is_passed(each)}
    for part, listed in parts.items():
        done = f"{sum(e.id in passed for e in listed)} of {len(listed)} passed"
        rows = list(_rows(listed, passed, width))
        room = max(len(row) for row, _ in rows) - len(done) - 2
        yield f"{_cut(PARTS[part], room):<{room}}  {done}", "bold"
        yield from rows
        yield "", ""
    yield f"Sick runs without end: {called()} start {sick_runs.NAME} --seed 1", ""
    yield f"{len(passed)} of {len(book())} passed. {LEGEND}", ""
    yield next_step(), ""


def next_step(after: Exercise | Diagnosis | None = None) -> str:
    """The next command to type: it begins or checks the next open exercise."""
    if isinstance(after, Diagnosis) and after.id not in book():
        return f"next: {called()} start {sick_runs.NAME}"
    following = workbook.next_open(after)
    if following is None:
        return "You have passed the whole book."
    command = "check" if workbook.file_of(following).exists() else "start"
    return f"next: {called()} {command} {following.id}"


def _rows(
    listed: list[Exercise | Diagnosis], passed: set[str], width: int
) -> Iterator[tuple[str, str]]:
    """The lines of one part, and their styles."""
    id_width = max(len(exercise.id) for exercise in listed)
    longest = max(len(exercise.title) for exercise in listed)
    room = min(longest, width - id_width - 4 - NUMBERS)
    for exercise in listed:
        title = f"  {_cut(exercise.title, room):<{room}}" if room >= LEAST_TITLE else ""
        mark, style = " ", ""
        if exercise.id in passed:
            mark, style = "x", "green"
        elif workbook.is_begun(exercise):
            mark, style = "-", "yellow"
        numbers = f"  {exercise.difficulty}  {exercise.minutes:>2}"
        yield f"{mark} {exercise.id:<{id_width}}{title}{numbers}", style


def _cut(text: str, room: int) -> str:
    """The text, or as many of its words as there is room for."""
    if len(text) <= room:
        return text
    return text[: room - 3].rpartition(" ")[0].rstrip(",.:") + " ..."
