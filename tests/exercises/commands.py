"""python -m tests: the book, the learner's progress, and what to do next."""

import argparse
import difflib
import re
import sys
import time
from collections.abc import Sequence

from tests.exercises import diagnosis, workbook
from tests.exercises.check import check
from tests.exercises.manifest import Diagnosis, Exercise, book, find
from tests.exercises.sources import Candidate, new_file, solution
from tests.exercises.words import Verdict, wrapped

DESCRIPTION = "The exercise book: write the book's functions, its unit tests judge."

COMMANDS = {
    "list": "the book, your progress, what to do next (without a command, too)",
    "start": "begin an exercise: write its file in workbook/",
    "check": "judge your file",
    "watch": "judge it again whenever you save it; Ctrl-C ends",
    "hint": "a hint, and with every call the next one",
    "solution": "the book's own lines, once you have passed",
    "reset": "begin anew; your file is kept beside it",
}


def main(args: Sequence[str] | None = None) -> int:
    """0 if all is well, 1 if a check fails, 2 and one line if it cannot be done."""
    try:
        parsed = _parse(sys.argv[1:] if args is None else list(args))
        if parsed.command == "list":
            return show_book()
        exercise = find(parsed.exercise) if parsed.exercise else workbook.current()
        if parsed.command == "solution":
            return show_solution(exercise, parsed.reveal)
        return globals()[f"run_{parsed.command}"](exercise)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print()
        return 130
    return 2


def show_book() -> int:
    """The table of contents, with the learner's progress."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title="The exercise book", box=None, title_justify="left")
    for column in ("", "exercise", "", "notebook", "read"):
        table.add_column(column, no_wrap=column == "exercise")
    num_passed = 0
    before = None
    for exercise in book().values():
        part = type(exercise), exercise.floor
        if part != before and before:
            table.add_section()
        before = part
        passed = workbook.noted(exercise)["passed"]
        num_passed += passed
        begun = workbook.file_of(exercise).exists()
        mark = "[green]passed[/]" if passed else "[yellow]begun[/]" if begun else "open"
        chapter = exercise.notebook[:2]
        read = _in_short(exercise.source)
        table.add_row(mark, f"[bold]{exercise.id}[/]", exercise.title, chapter, read)
    console.print(table)
    console.print(f"\n{num_passed} of {len(book())} passed.")
    print(whats_next())
    return 0


def run_start(exercise: Exercise) -> int:
    """Write the learner's file, and say what to do with it."""
    path = workbook.shown(workbook.start(exercise))
    if isinstance(exercise, Diagnosis):
        print("A healthy run and a sick one are trained ...", flush=True)
        print(f"Their curves are in {workbook.shown(workbook.picture(exercise))}.")
    print(f"{exercise.title}: fill in {path}, then")
    print(f"    python -m tests check {exercise.id}     judge it")
    print(f"    python -m tests watch {exercise.id}     judge it whenever you save")
    print(f"    python -m tests hint {exercise.id}      if you are stuck")
    print(wrapped(f"Read: {exercise.source}; notebooks/{exercise.notebook}.ipynb"))
    return 0


def run_check(exercise: Exercise) -> int:
    """Judge the learner's file."""
    verdict = judge_attempt(exercise)
    print(verdict.text)
    return 0 if verdict.state == "passed" else 1


def run_watch(exercise: Exercise) -> int:
    """Judge the learner's file whenever it is saved, until it passes."""
    path = workbook.file_of(exercise)
    workbook.attempt(exercise)
    seen = None
    while True:
        saved = path.stat().st_mtime_ns if path.exists() else seen
        if saved != seen:
            seen = saved
            print(f"--- {workbook.shown(path)}, {time.strftime('%H:%M:%S')}")
            if run_check(exercise) == 0:
                return 0
            print("--- Waiting for you to save it again; Ctrl-C ends.", flush=True)
        time.sleep(0.2)


def run_hint(exercise: Exercise) -> int:
    """The next hint; after the last one, all of them."""
    number = min(workbook.noted(exercise)["hints"] + 1, len(exercise.hints))
    workbook.note(exercise, hints=number)
    for i, hint in enumerate(exercise.hints[:number], 1):
        print(wrapped(f"Hint {i} of {len(exercise.hints)}: {hint}"))
    if number < len(exercise.hints):
        print("Ask again for the next one.")
    return 0


def run_reset(exercise: Exercise) -> int:
    """A new file; the old one is kept."""
    kept = workbook.reset(exercise)
    path = workbook.shown(workbook.file_of(exercise))
    if kept is None:
        print(f"{path} is there, and empty.")
    else:
        print(f"{path} is empty again; what you wrote is in {workbook.shown(kept)}.")
    return 0


def show_solution(exercise: Exercise, reveal: bool) -> int:
    """The book's own function, for those who have one."""
    if not (workbook.noted(exercise)["passed"] or reveal):
        raise ValueError(
            f"{exercise.id} is still open: pass it first, or say "
            f"`python -m tests solution {exercise.id} --reveal`."
        )
    print(solution(exercise), end="")
    return 0


def judge_attempt(exercise: Exercise) -> Verdict:
    """Check the learner's file, remember a pass, and say what comes next."""
    attempt = workbook.attempt(exercise)
    if attempt.source == new_file(exercise):
        text = (
            f"Still open: {attempt.file} is as it was when you began. {_help(exercise)}"
        )
        return Verdict("open", text)
    return with_next_step(exercise, judged(exercise, attempt, exercise.name))


def judged(
    exercise: Exercise | Diagnosis, attempt: Candidate, name: str = ""
) -> Verdict:
    """What is said of a function, or of a fault and a test."""
    if isinstance(exercise, Diagnosis):
        return diagnosis.check(exercise, attempt)
    return check(exercise, attempt, name)


def with_next_step(
    exercise: Exercise, verdict: Verdict, in_book: bool = True
) -> Verdict:
    """The verdict, and what to do now; a pass is remembered.

    In a notebook, not in the book, the reader goes on to the next cell.
    """
    if verdict.state != "passed":
        return verdict._replace(text=f"{verdict.text}\n\n{_help(exercise)}")
    workbook.note(exercise, passed=True)
    compare = f"Compare: `python -m tests solution {exercise.id}`."
    lines = [verdict.text, compare, *([whats_next(exercise)] if in_book else [])]
    return verdict._replace(text="\n".join(lines))


def whats_next(after: Exercise | None = None) -> str:
    """The next open exercise."""
    following = workbook.next_open(after)
    if following is None:
        return "The whole book is passed."
    begun = workbook.file_of(following).exists()
    command = "check" if begun else "start"
    return f"Next: `python -m tests {command} {following.id}` ({following.title})."


def _in_short(source: str) -> str:
    """The pages of Sutton & Barto; of a paper, who wrote it and when."""
    if source.startswith("Sutton & Barto"):
        pages = dict.fromkeys(re.findall(r"pages? (\d+)", source))
        return f"S&B {', '.join(pages)}"
    author, year = re.match(r"(\w+).*?\((\d+)\)", source).groups()
    return f"{author} {year}"


def _help(exercise: Exercise) -> str:
    return f"Stuck? `python -m tests hint {exercise.id}`"


def _parse(args: list[str]) -> argparse.Namespace:
    """The command; a mistake is one line."""
    if args and not args[0].startswith("-") and args[0] not in COMMANDS:
        near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.0)
        raise ValueError(f"There is no command {args[0]!r}: did you mean {near[0]}?")
    parser = _Parser(prog="python -m tests", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does, description=does)
        if name != "list":
            say = "its id; by default the one you are working on"
            command.add_argument("exercise", nargs="?", help=say)
        if name == "solution":
            command.add_argument("--reveal", action="store_true", help="even if open")
    return parser.parse_args(args or ["list"])


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)
