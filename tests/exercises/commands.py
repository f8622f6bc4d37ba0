"""python -m tests: the exercise book, the learner's progress, and the next step."""

import argparse
import contextlib
import difflib
import json
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tests.exercises import diagnosis, sealed, sick_runs, workbook
from tests.exercises.check import Worker, check
from tests.exercises.contents import next_step, show_book
from tests.exercises.manifest import (
    ROOT,
    Diagnosis,
    Exercise,
    book,
    called,
    find,
    fitting,
    use_book,
)
from tests.exercises.sources import TODO, Candidate, new_file, solution
from tests.exercises.words import Verdict, wrapped

DESCRIPTION = """\
The exercise book. You write functions of this project yourself, and its unit
tests judge them. Your files are in the folder workbook/; nothing else changes.

    python -m tests          see the exercises, and which one comes next
    python -m tests start    get a file with an empty function, and fill it in
    python -m tests check    have it judged, as often as you like
    python -m tests hint     get a hint if you are stuck; there are three

The last three take the name of an exercise, or a part of it: start gae. With
--book FOLDER, the exercises of that folder follow these; see CONTRIBUTING.md.
"""

COMMANDS = {
    "list": "show all exercises, your progress, and what comes next (the default)",
    "map": "show the chapters, their exercises, and what to read",
    "start": "begin an exercise: write its file to workbook/",
    "check": "judge your file, and say what is wrong",
    "watch": "judge your file whenever you save it",
    "hint": "show a hint, and one more at each call",
    "solution": "show the book's own lines, once you have passed",
    "reset": "begin an exercise again, and keep a copy of your file",
    "gate": "for authors: judge the stub, the traps and the variants of an exercise",
}
CLASSROOM = ROOT / "tests" / "classroom"  # it is not in a folder for students
if CLASSROOM.is_dir():
    COMMANDS["handout"] = "for teachers: make a folder for students, without answers"
    COMMANDS["grade"] = "for teachers: judge the files of a class"
MORE = {
    "list": "A passed exercise is marked x, and one that you have begun is marked -.",
    "map": "It is the file notebooks/README.md.",
    "start": "The file has the function's signature and what it must return, the types "
    "that it uses, and an empty body. A file that exists is never changed.",
    "check": "Your function takes the place of the book's own, and its unit tests run. "
    "If it is wrong you see the reason, and the smallest input that shows it.",
    "watch": "If you pass, it goes on to the next open exercise and writes its file. "
    "Ctrl-C ends it.",
    "hint": "The first hint is a question, the second names the parts, and the third "
    "says how they fit together. None of them is the whole solution.",
    "solution": "Before that, it needs --reveal.",
    "reset": "Your old file gets another name, which ends in .1.bak, .2.bak and so on.",
    "gate": "The stub must fail, the book's own function and all variants must pass, "
    "and each trap must fail and be told apart from the others. Without NAME it takes "
    "all exercises of --book FOLDER.",
    "handout": "The folder holds all that students need: the library without the "
    "answers, the notebooks, an empty file for each exercise, the check, and a README "
    "with instructions.",
    "grade": "It writes marks, and a report with the misconceptions of the class.",
}
NAME = "the id of an exercise, or words of its id or title, such as gae; without it, "
DEFAULTS = {"start": "the next exercise that you have not begun"}
DEFAULT = "the exercise whose file you saved last, or else the next one"


def main(args: Sequence[str] | None = None) -> int:
    """Return 0 if all is well, 1 if a check fails, 2 after a one-line error message."""
    try:
        parsed = _parse(_without_book(sys.argv[1:] if args is None else list(args)))
        if parsed.command == "list":
            return show_book()
        if parsed.command == "map":
            return show_map()
        if parsed.command == "handout":
            from tests.classroom.handing_out import run_handout

            return run_handout(parsed)
        if parsed.command == "gate":
            from tests.exercises.gate import run_gate

            return run_gate(find(parsed.exercise) if parsed.exercise else None)
        if parsed.command == "grade":
            from tests.classroom.commands import run_grade

            return run_grade(parsed)
        if parsed.command == "check" and parsed.all:
            return check_all(parsed.json)
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


def show_map() -> int:
    """Show the map of the climb."""
    from rich.console import Console
    from rich.markdown import Markdown

    from tests.exercises.chapters import MAP

    Console().print(Markdown(MAP.read_text(encoding="utf-8")))
    return 0


def run_start(exercise: Exercise | Diagnosis) -> int:
    """Write the learner's file, and say what to do with it."""
    path = _begin(exercise)
    print(wrapped(f"{exercise.title}: write your lines in {path}, then"))
    print(f"    {called()} check    judges them")
    print(f"    {called()} watch    judges them whenever you save")
    print(f"    {called()} hint     helps if you are stuck")
    chapter = f"; notebooks/{exercise.notebook}.ipynb" if exercise.notebook else ""
    print(wrapped(f"Read: {exercise.source}{chapter}"))
    return 0


def run_check(exercise: Exercise | Diagnosis) -> int:
    """Judge the learner's file."""
    verdict = judge_attempt(exercise)
    print(verdict.text)
    if verdict.state == "passed":
        print(next_step(exercise))
    return 0 if verdict.state == "passed" else 1


def check_all(as_json: bool) -> int:
    """Judge every file of the workbook; return 0 if all of them pass."""
    begun = [each for each in book().values() if workbook.file_of(each).exists()]
    begun += workbook.begun_sick_runs()
    if not begun:
        raise ValueError("The workbook is empty: `python -m tests start` begins it.")
    rows, worker = [], Worker()
    with contextlib.closing(worker):
        for exercise in begun:
            try:
                verdict = judge_attempt(exercise, worker)
            except ValueError as error:
                verdict = Verdict("failed", str(error))
            state, reason = verdict.state, verdict.reason
            rows.append({"exercise": exercise.id, "state": state, "message": reason})
            if not as_json:
                print(f"{state:<6}  {exercise.id}", flush=True)
                if state != "passed":
                    print(textwrap.indent(wrapped(reason), "        "))
    if as_json:
        print(json.dumps({"exercises": rows}, indent=1))
    return int(any(row["state"] != "passed" for row in rows))


def run_watch(exercise: Exercise | Diagnosis) -> int:
    """Judge the learner's file whenever it is saved; after a pass, begin the next."""
    following: Exercise | Diagnosis | None = exercise
    while following is not None:
        exercise = following
        path = workbook.file_of(exercise)
        is_new = not path.exists()
        if is_new:
            text = f"--- {exercise.title}: write your lines in the new file "
            print(wrapped(text + f"{_begin(exercise)}; Ctrl-C ends."), flush=True)
        _watch_until_passed(exercise, _saved(path) if is_new else 0)
        following = workbook.next_open(exercise)
        print()
    print(next_step())
    return 0


def _watch_until_passed(exercise: Exercise | Diagnosis, seen: int) -> None:
    """Judge the file after each save but the one at the time `seen`; end at a pass."""
    path = workbook.file_of(exercise)
    while True:
        saved = _saved(path) or seen
        if saved != seen:
            seen = saved
            print(f"--- {workbook.shown(path)}, {time.strftime('%H:%M:%S')}")
            try:
                verdict = judge_attempt(exercise)
            except ValueError as error:  # the next save may mend the file
                verdict = Verdict("failed", f"{error}")
            print(verdict.text)
            if verdict.state == "passed":
                return
            print("--- Waiting for your next save; Ctrl-C ends.", flush=True)
        time.sleep(0.2)


def _saved(path: Path) -> int:
    """The time of a file's last save; 0 while there is no file, as during a save."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _begin(exercise: Exercise | Diagnosis) -> str:
    """Write the file of an exercise, and return its path as the learner would type it.

    A diagnosis also gets its picture.
    """
    path = workbook.shown(workbook.start(exercise))
    if isinstance(exercise, Diagnosis):
        print("Training a healthy run and a sick one ...", flush=True)
        picture = workbook.picture(exercise)
        print(f"Their curves are in {workbook.shown(picture)}.")
        samples = picture.with_suffix(".txt")
        if samples.exists():
            print(f"\n{samples.read_text(encoding='utf-8')}")
    return path


def run_hint(exercise: Exercise | Diagnosis) -> int:
    """Show the next hint, and those before it."""
    number = min(workbook.noted(exercise)["hints"] + 1, len(exercise.hints))
    workbook.note(exercise, hints=number)
    print(f"{exercise.title} ({exercise.id})")
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
    print(f"{path} is new, and its function is empty.{old}")
    return 0


def show_solution(exercise: Exercise | Diagnosis, reveal: bool) -> int:
    """Show the book's own function to a learner who has passed, or insists."""
    if exercise.id in sealed.assigned():
        raise ValueError(f"The answer of {exercise.id} comes from your teacher.")
    if not (workbook.noted(exercise)["passed"] or reveal):
        raise ValueError(
            f"{exercise.id} is still open: pass it first, or call "
            f"`{called()} solution {exercise.id} --reveal`."
        )
    print(solution(exercise), end="")
    return 0


def judge_attempt(
    exercise: Exercise | Diagnosis, worker: Worker | None = None
) -> Verdict:
    """Check the learner's file, and remember a pass."""
    attempt = workbook.attempt(exercise)
    if TODO in attempt.source and attempt.source == new_file(exercise):
        text = f"Still open: {attempt.file} has no lines of yours yet."
        return Verdict("open", f"{text} {_help(exercise)}")
    return judged(exercise, attempt, exercise.name, worker)


def judged(
    exercise: Exercise | Diagnosis,
    attempt: Candidate,
    name: str = "",
    worker: Worker | None = None,
) -> Verdict:
    """Check an attempt; `name` is the name that its function must have, if any."""
    if isinstance(exercise, Diagnosis):
        verdict = diagnosis.check(exercise, attempt, worker, is_own=True)
    else:
        verdict = check(exercise, attempt, name, worker, is_own=True)
    if verdict.state != "passed":
        return verdict._replace(text=f"{verdict.text}\n\n{_help(exercise)}")
    digest = workbook.digest(attempt.source) if attempt.is_file else ""
    workbook.note(exercise, passed=True, digest=digest)
    if exercise.id in sealed.assigned():
        if attempt.is_file or workbook.is_begun(exercise):
            return verdict
        path = workbook.shown(workbook.file_of(exercise))
        text = f"{verdict.text}\nHand in this notebook, or copy the lines to {path}."
        return verdict._replace(text=text)
    compare = f"Compare: `{called()} solution {exercise.id}`."
    return verdict._replace(text=f"{verdict.text}\n{compare}")


def _asked(parsed: argparse.Namespace) -> Exercise | Diagnosis:
    """The exercise that a command names; a sick run is named by its seed, too."""
    name = (parsed.exercise or "").strip().lower().replace("_", "-")
    if name != sick_runs.NAME:
        if parsed.seed is not None:
            raise ValueError(f"--seed is for {sick_runs.NAME}, got {name or 'no id'}")
        if name:
            return find(name)
        is_start = parsed.command == "start"
        return workbook.next_new() if is_start else workbook.current()
    if parsed.seed is not None:
        return sick_runs.sick_run(parsed.seed)
    begun = workbook.begun_sick_runs()
    if parsed.command == "start":
        taken = [run.arguments[-1] for run in begun]
        return sick_runs.sick_run(next(n for n in range(10**6) if n not in taken))
    if not begun:
        raise ValueError(f"No sick run is begun: `{called()} start {name}`.")
    return begun[-1]


def _help(exercise: Exercise | Diagnosis) -> str:
    return f"Stuck? `{called()} hint {exercise.id}`"


def _without_book(args: list[str]) -> list[str]:
    """Use the folder of `--book FOLDER`, and return the other arguments."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--book")
    parsed, others = parser.parse_known_args(args)
    if parsed.book is not None:
        use_book(parsed.book)
    return others


def _parse(args: list[str]) -> argparse.Namespace:
    """Read the command; a mistake raises a ValueError of one line."""
    if args and not args[0].startswith("-") and args[0] not in COMMANDS:
        # "gae" is a part of an exercise's name, and not "gate" with a mistake.
        known = COMMANDS.keys() - {"gate"}
        near = difflib.get_close_matches(args[0], known, n=1, cutoff=0.76)
        listed = f"the commands are {', '.join(COMMANDS)}."
        hint = f"did you mean {near[0]}?" if near else listed
        if not near and fitting(args[0].lower()):
            hint = f"did you mean `{called()} start {args[0]}`?"
        raise ValueError(f"There is no command {args[0]!r}: {hint}")
    style = argparse.RawDescriptionHelpFormatter
    parser = _Parser("python -m tests", description=DESCRIPTION, formatter_class=style)
    commands = parser.add_subparsers(
        dest="command", parser_class=_Parser, metavar="COMMAND", title="commands"
    )
    for name, does in COMMANDS.items():
        about = f"{does[0].upper()}{does[1:]}. {MORE[name]}"
        command = commands.add_parser(name, help=does, description=about)
        if name == "handout" and args[:1] == ["handout"]:
            from tests.classroom import handing_out

            handing_out.add_arguments(command)
        elif name == "grade" and args[:1] == ["grade"]:
            from tests.classroom import commands as classroom

            classroom.add_arguments(command)
            command.description = wrapped(about)
            command.epilog, command.formatter_class = classroom.ABOUT, style
        elif name not in ("list", "map", "grade", "handout"):
            say = NAME + DEFAULTS.get(name, DEFAULT)
            command.add_argument("exercise", nargs="*", metavar="NAME", help=say)
            say = f"for {sick_runs.NAME}: each seed is another sick run of RLHF"
            command.add_argument("--seed", type=int, help=say)
        if name == "check":
            say = "judge every file of the workbook"
            command.add_argument("--all", action="store_true", help=say)
            say = "with --all: print the results as JSON"
            command.add_argument("--json", action="store_true", help=say)
        if name == "solution":
            say = "show it although the exercise is still open"
            command.add_argument("--reveal", action="store_true", help=say)
    parsed = parser.parse_args(args or ["list"])
    parsed.exercise = " ".join(getattr(parsed, "exercise", ()))
    return parsed


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)
