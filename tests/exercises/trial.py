"""Try a learner's test on a candidate, or train with the candidate, in a process.

The candidate is the book's own function, the one with the fault, or a right variant.
The test runs several times, each time with other random numbers from numpy's and
Python's own generators, so that luck shows. Each finding is one of these:

    raised    the learner's file cannot be run, whatever the candidate
    ran       how one repetition ended: "passed", "failed" by an assertion, or "error"
    called    how often the function was called in all
    curves    the curves of a training
"""

import random
import sys
from pathlib import Path
from typing import Any

from tests.exercises.judge import Judge, named, own_lines, run_pytest

TIMES = 5  # repetitions of the learner's test
FILE = "your_test.py"
TEST = "test_the_fault"


def run(judge: Judge, test: str, scratch: Path) -> None:
    """Try the test on the candidate, which is in its place."""
    file = scratch / FILE
    file.write_text(test, encoding="utf-8")
    _try(judge, file)
    judge.find("called", times=judge.splice.watched.calls)


def train(judge: Judge) -> None:
    """Train with the candidate."""
    judge.settle()
    run_training, arguments = named(judge.exercise.run), judge.exercise.arguments
    judge.find("curves", curves=run_training(*arguments))
    judge.find("done")


def _try(judge: Judge, file: Path) -> None:
    """Run the test with pytest."""
    try:
        exec(compile(file.read_text(encoding="utf-8"), file, "exec"), {})
    except Exception as error:
        judge.find("raised", **_of(error, file))
        return
    judge.splice.watched.calls = 0
    only = f"--override-ini=python_functions={TEST}"
    sys.modules.pop(file.stem, None)  # the test of another job
    run_pytest(file.parent, _Repeater(judge, file), only, str(file))


class _Repeater:
    """Lets pytest repeat each test, and writes down how each repetition ends."""

    def __init__(self, judge: Judge, file: Path):
        self.judge, self.file = judge, file

    def pytest_generate_tests(self, metafunc: Any) -> None:
        metafunc.fixturenames.append("time_and_again")
        metafunc.parametrize("time_and_again", range(TIMES))

    def pytest_runtest_setup(self, item: Any) -> None:
        import numpy as np

        number = item.callspec.params["time_and_again"]
        random.seed(number)
        np.random.seed(number)  # noqa: NPY002  a learner's test may use it

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        import pytest

        if call.excinfo is None:
            if call.when == "call":
                self.judge.find("ran", outcome="passed")
            return
        error = call.excinfo.value
        asserts = isinstance(error, AssertionError | pytest.fail.Exception)
        outcome = "failed" if asserts and call.when == "call" else "error"
        self.judge.find("ran", outcome=outcome, **_of(error, self.file))


def _of(error: BaseException, file: Path) -> dict:
    """The exception, and the last of the learner's lines on the way to it."""
    lines = own_lines(error, str(file))
    return {"kind": type(error).__name__, "message": str(error), "lines": lines[-1:]}
