"""python -m tests grade: judge the files of a class."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

from tests.classroom import outputs
from tests.classroom.grade import Mark, grade
from tests.classroom.report import write_report
from tests.classroom.submissions import collect
from tests.exercises.isolation import sandbox
from tests.exercises.words import wrapped

ABOUT = """\
Each sub-folder of FOLDER holds one student's files, named as in workbook/, for
example FOLDER/STUDENT/discounted_returns.py, or notebooks (.ipynb). A notebook
is not run: the functions that it gives to check(my_function, "ID") are taken
from it, with what they use. Each function runs in a process of its own, with
limits; where bwrap works, it reaches neither your files nor the network.

exit status:
    0   every file was judged, whatever the marks
    1   something could not be graded; its rows say "not graded"
    2   the arguments are wrong; one line says how
    130 it was interrupted; the file of --out has the marks until then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `grade` to its parser."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the class's files")
    add = parser.add_argument
    add("--out", type=Path, metavar="FILE", help="write the marks as CSV")
    add("--report", type=Path, metavar="DIR", help="write a report on the class")
    say = "write Gradescope's results.json for each student, as DIR/STUDENT.json"
    add("--gradescope", type=Path, metavar="DIR", help=say)
    add("--junit", type=Path, metavar="FILE", help="write the marks as JUnit's XML")
    add("--json", action="store_true", help="print the marks as JSON, and nothing else")
    say = "files judged at the same time (1)"
    add("--workers", type=int, default=1, metavar="N", help=say)
    say = "seed of the second set of inputs; the first set is that of `check` (1)"
    add("--seed", type=int, default=1, metavar="N", help=say)


def run_grade(parsed: argparse.Namespace) -> int:
    """Judge a folder; write and print what is asked for; return the exit status."""
    if parsed.workers < 1:
        raise ValueError(f"--workers must be at least 1, got {parsed.workers}")
    if parsed.seed < 1:
        raise ValueError(f"--seed must be at least 1, got {parsed.seed}")
    submissions = collect(parsed.folder)
    _make_folders(parsed)
    warning = sandbox.warning()
    if warning:
        print(warning, file=sys.stderr)
    total = len({each.exercise.id for each in submissions})
    done: list[Mark] = []
    start, finished = time.monotonic(), []

    def report(marks: list[Mark]) -> None:
        done.extend(marks)
        finished.append(marks[0].exercise)
        if parsed.out:
            # A file that is open elsewhere may be closed until all is judged.
            with contextlib.suppress(OSError):
                outputs.write(parsed.out, outputs.table(done))
        passed = sum(mark.passed for mark in marks)
        minutes = (time.monotonic() - start) / 60
        print(
            f"{len(finished):>3} of {total} exercises, {minutes:5.1f} min: "
            f"{marks[0].exercise}, {passed} of {len(marks)} passed",
            file=sys.stderr,
            flush=True,
        )

    try:
        marks = grade(submissions, parsed.workers, report, (0, parsed.seed))
    except KeyboardInterrupt:
        kept = f" Their marks are in {parsed.out}." if parsed.out and done else ""
        text = f"{len(finished)} of {total} exercises were judged.{kept} The same "
        text += "command begins with the first one again."
        print(f"\n{wrapped(text)}", file=sys.stderr)
        raise
    _write(parsed, marks, warning)
    print(outputs.json_of(marks) if parsed.json else _summary(marks), end="")
    return int(any(mark.state == "not graded" for mark in marks))


def _make_folders(parsed: argparse.Namespace) -> None:
    """Make the folders of the files asked for now: later the marks would be lost."""
    for file in filter(None, (parsed.out, parsed.junit)):
        if file.is_dir():
            raise ValueError(f"{file} is a folder: name a file.")
        file.parent.mkdir(parents=True, exist_ok=True)
    for folder in filter(None, (parsed.report, parsed.gradescope)):
        folder.mkdir(parents=True, exist_ok=True)


def _write(parsed: argparse.Namespace, marks: list[Mark], warning: str) -> None:
    """Write the files that are asked for."""
    if parsed.out:
        outputs.write(parsed.out, outputs.table(marks))
    if parsed.junit:
        outputs.write(parsed.junit, outputs.junit(marks))
    if parsed.gradescope:
        for student, own in outputs.by_student(marks).items():
            path = parsed.gradescope / f"{student}.json"
            outputs.write(path, outputs.gradescope(own))
    if parsed.report:
        write_report(parsed.report, marks, warning)


def _summary(marks: list[Mark]) -> str:
    """One line for each student."""
    groups = outputs.by_student(marks)
    width = max(map(len, groups))
    lines = [
        f"{student:<{width}}  {sum(m.passed for m in own):>3} of {len(own)} passed"
        for student, own in groups.items()
    ]
    return "\n".join(_printable(line) for line in lines) + "\n"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
