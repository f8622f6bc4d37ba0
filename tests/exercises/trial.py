"""The fresh process of a diagnosis: one candidate, and a learner's test or a training.

The candidate is the book's own function, the one with the fault, or a right variant.
The test runs several times, each with other random numbers from numpy's and Python's
own generators, so that what is luck does not stay the same. Each finding is one line:

    raised    the file cannot be run: it is not the candidate's doing
    ran       how one repetition ended: "passed", "failed" by an assertion, or "error"
    called    how often the function was called in all
    curves    of a training
"""

import contextlib
import io
import os
import random
import traceback
from pathlib import Path

from tests.exercises.judge import Judge, named

TIMES = 5  # repetitions of the learner's test
FILE = "your_test.py"
TEST = "test_the_fault"


def run(judge: Judge, test: str, scratch: Path) -> None:
    """Try the test on the candidate; without one, train with it."""
    judge.settle()
    if test:
        file = scratch / FILE
        file.write_text(test, encoding="utf-8")
        _try(judge, file)
        judge.find("called", times=judge.splice.watched.calls)
    else:
        judge.find("curves", curves=named(judge.exercise.run)())
    judge.find("done")


def _try(judge: Judge, file: Path) -> None:
    """Run the test with pytest, without the plugins of the whole suite."""
    import pytest

    try:
        exec(compile(file.read_text(encoding="utf-8"), file, "exec"), {})
    except Exception as error:
        judge.find("raised", **_of(error, file))
        return
    judge.splice.watched.calls = 0
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = [
        f"--rootdir={file.parent}",
        "--override-ini=addopts=",
        f"--override-ini=python_functions={TEST}",
        *("-p no:faulthandler -p no:cacheprovider -p no:terminal".split()),
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*options, str(file)], plugins=[_Repeater(judge, file)])


class _Repeater:
    """Lets pytest run each test several times, and writes down how it ends."""

    def __init__(self, judge: Judge, file: Path):
        self.judge, self.file = judge, file

    def pytest_generate_tests(self, metafunc):
        metafunc.fixturenames.append("time_and_again")
        metafunc.parametrize("time_and_again", range(TIMES))

    def pytest_runtest_setup(self, item):
        import numpy as np

        number = item.callspec.params["time_and_again"]
        random.seed(number)
        np.random.seed(number)  # noqa: NPY002  what a learner may have used

    def pytest_runtest_makereport(self, item, call):
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
    """What was raised, and the last of the learner's lines on the way there."""
    own = [
        {"number": frame.lineno, "text": (frame.line or "").strip()}
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    return {"kind": type(error).__name__, "message": str(error), "lines": own[-1:]}
