"""python -m tests: the exercise book, the learner's progress, and the next step."""

import argparse
import difflib
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from tests.exercises import diagnosis, sick_runs, workbook
from tests.exercises.check import check
from tests.exercises.manifest import Diagnosis, Exercise, book, find
from tests.exercises.sources import Candidate, new_file, solution
from tests.exercises.words import Verdict, wrapped

DESCRIPTION = "The exercise book: write its functions; unit tests judge them."

COMMANDS = {
    "list": "show the book, your progress and the next step (the default)",
    "map": "show the map of the climb: chapters, exercises, and what to read",
    "start": "begin an exercise: write its file to workbook/",
    "check": "judge your file",
    "watch": "judge your file whenever you save it; Ctrl-C ends",
    "hint": "show a hint; each call shows one more",
    "solution": "show the book's own lines, once you have passed",
    "reset": "begin again; a copy of your file is kept",
}


def main(args: Sequence[str] | None = None) -> int:
    """Return 0 if all is well, 1 if a check fails, 2 after a one-line error message."""
    try:
        parsed = _parse(sys.argv[1:] if args is None else list(args))
        if parsed.command == "list":
            return show_book()
        if parsed.command == "map":
            return show_map()
        exercise = _asked(parsed)
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
    """Show the table of contents, with the learner's progress."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="The exercise book", box=None, title_justify="left")
    for column in ("", "exercise", "", "chapter", "level", "min"):
        table.add_column(column, no_wrap=column == "exercise")
    num_passed, part = 0, None
    for exercise in book().values():
        if part not in (None, (type(exercise), exercise.floor)):
            table.add_section()
        part = type(exercise), exercise.floor
        passed = workbook.noted(exercise)["passed"]
        num_passed += passed
        begun = workbook.file_of(exercise).exists()
        mark = "[green]passed[/]" if passed else "[yellow]begun[/]" if begun else "open"
        about = exercise.notebook[:2], str(exercise.difficulty), str(exercise.minutes)
        table.add_row(mark, f"[bold]{exercise.id}[/]", exercise.title, *about)
    Console(highlight=False).print(table)
    print("\nLevel: 1 (easy) to 5 (hard). `python -m tests map` says what to read.")
    print(f"Sick runs without end: `python -m tests start {sick_runs.NAME} --seed 1`.")
    print(f"{num_passed} of {len(book())} passed.\n{next_step()}")
    return 0


def show_map() -> int:
    """Show the map of the climb."""
    from rich.console import Console
    from rich.markdown import Markdown

    from tests.exercises.chapters import MAP

    Console().print(Markdown(MAP.read_text(encoding="utf-8")))
    return 0


def run_start(exercise: Exercise | Diagnosis) -> int:
    """Write the learner's file, and say what to do with it."""
    path = workbook.shown(workbook.start(exercise))
    if isinstance(exercise, Diagnosis):
        print("Training a healthy run and a sick one ...", flush=True)
        picture = workbook.picture(exercise)
        print(f"Their curves are in {workbook.shown(picture)}.")
        samples = picture.with_suffix(".txt")
        if samples.exists():
            print(f"\n{samples.read_text(encoding='utf-8')}")
    print(f"{exercise.title}: write your lines in {path}, then")
    print(f"    python -m tests check {exercise.id}     judges them")
    print(f"    python -m tests watch {exercise.id}     judges them whenever you save")
    print(f"    python -m tests hint {exercise.id}      helps if you are stuck")
    print(wrapped(f"Read: {exercise.source}; notebooks/{exercise.notebook}.ipynb"))
    return 0


def run_check(exercise: Exercise | Diagnosis) -> int:
    """Judge the learner's file."""
    verdict = judge_attempt(exercise)
    print(verdict.text)
    return 0 if verdict.state == "passed" else 1


def run_watch(exercise: Exercise | Diagnosis) -> int:
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
            print("--- Waiting for your next save; Ctrl-C ends.", flush=True)
        time.sleep(0.2)


def run_hint(exercise: Exercise | Diagnosis) -> int:
    """Show the next hint, and those before it."""
    number = min(workbook.noted(exercise)["hints"] + 1, len(exercise.hints))
    workbook.note(exercise, hints=number)
    for i, hint in enumerate(exercise.hints[:number], 1):
        print(wrapped(f"Hint {i} of {len(exercise.hints)}: {hint}"))
    if number < len(exercise.hints):
        print("Call `hint` again for the next one.")
    return 0


def run_reset(exercise: Exercise | Diagnosis) -> int:
    """Write a new file, and keep the old one."""
    kept = workbook.reset(exercise)
    path = workbook.shown(workbook.file_of(exercise))
    old = f" What you wrote is in {workbook.shown(kept)}." if kept else ""
    print(f"{path} is new and empty.{old}")
    return 0


def show_solution(exercise: Exercise | Diagnosis, reveal: bool) -> int:
    """Show the book's own function to a learner who has passed, or insists."""
    if not (workbook.noted(exercise)["passed"] or reveal):
        raise ValueError(
            f"{exercise.id} is still open: pass it first, or call "
            f"`python -m tests solution {exercise.id} --reveal`."
        )
    print(solution(exercise), end="")
    return 0


def judge_attempt(exercise: Exercise | Diagnosis) -> Verdict:
    """Check the learner's file, remember a pass, and name the next step."""
    attempt = workbook.attempt(exercise)
    if attempt.source == new_file(exercise):
        text = f"Still open: {attempt.file} has no lines of yours yet."
        return Verdict("open", f"{text} {_help(exercise)}")
    return judged(exercise, attempt, name=exercise.name)


def judged(
    exercise: Exercise | Diagnosis, attempt: Candidate, name: str = ""
) -> Verdict:
    """Check an attempt; in a notebook, which gives no `name`, the next cell follows."""
    if isinstance(exercise, Diagnosis):
        verdict = diagnosis.check(exercise, attempt)
    else:
        verdict = check(exercise, attempt, name)
    if verdict.state != "passed":
        return verdict._replace(text=f"{verdict.text}\n\n{_help(exercise)}")
    workbook.note(exercise, passed=True)
    text = f"{verdict.text}\nCompare: `python -m tests solution {exercise.id}`."
    return verdict._replace(text=f"{text}\n{next_step(exercise)}" if name else text)


def next_step(after: Exercise | Diagnosis | None = None) -> str:
    """A sentence on the next open exercise."""
    if isinstance(after, Diagnosis) and after.id not in book():
        return f"Next: `python -m tests start {sick_runs.NAME}` makes another sick run."
    following = workbook.next_open(after)
    if following is None:
        return "You have passed the whole book."
    command = "check" if workbook.file_of(following).exists() else "start"
    return f"Next: `python -m tests {command} {following.id}` ({following.title})."


def _asked(parsed: argparse.Namespace) -> Exercise | Diagnosis:
    """The exercise that a command names; a sick run is named by its seed, too."""
    name = (parsed.exercise or "").strip().lower().replace("_", "-")
    if name != sick_runs.NAME:
        if parsed.seed is not None:
            raise ValueError(f"--seed is for {sick_runs.NAME}, got {name or 'no id'}")
        return find(name) if name else workbook.current()
    if parsed.seed is not None:
        return sick_runs.sick_run(parsed.seed)
    begun = workbook.begun_sick_runs()
    if parsed.command == "start":
        taken = [run.arguments[-1] for run in begun]
        return sick_runs.sick_run(next(n for n in range(10**6) if n not in taken))
    if not begun:
        raise ValueError(f"No sick run is begun: `python -m tests start {name}`.")
    return begun[-1]


def _help(exercise: Exercise | Diagnosis) -> str:
    return f"Stuck? `python -m tests hint {exercise.id}`"


def _parse(args: list[str]) -> argparse.Namespace:
    """Read the command; a mistake costs one line."""
    if args and not args[0].startswith("-") and args[0] not in COMMANDS:
        near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.0)
        raise ValueError(f"There is no command {args[0]!r}: did you mean {near[0]}?")
    parser = _Parser(prog="python -m tests", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does, description=does)
        if name not in ("list", "map"):
            say = "its id; by default the exercise that you are working on"
            command.add_argument("exercise", nargs="?", help=say)
            say = f"of {sick_runs.NAME}: each seed is another sick run of RLHF"
            command.add_argument("--seed", type=int, help=say)
        if name == "solution":
            command.add_argument("--reveal", action="store_true", help="even if open")
    return parser.parse_args(args or ["list"])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)
