"""The fresh process in which a candidate takes the place of a function and is tried.

    python -m tests.exercises.judge  <job>  <findings>

First its outputs on the exercise's cases are compared with the reference's, and with
those of the traps if they differ. Then the exercise's own unit tests are run. Each
finding is written down as soon as it is there: should the candidate never return, what
was found before is not lost. This file knows no words; `check.py` puts them together.
"""

import contextlib
import copy
import faulthandler
import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.exercises.manifest import ROOT, Diagnosis, Exercise, find
from tests.exercises.sources import Candidate, edited, reference
from tests.exercises.splice import Splice


class Judge:
    """A candidate, an exercise, and a file for the findings."""

    def __init__(self, exercise: Exercise, candidate: Candidate, findings: Path):
        self.exercise, self.candidate = exercise, candidate
        self.splice = Splice(exercise, candidate)
        self.shadows: dict[Candidate, Callable] = {}
        self.findings = findings.open("w", encoding="utf-8")

    def find(self, what: str, **details: Any) -> None:
        """Write down a finding."""
        self.findings.write(json.dumps({"what": what, **details}) + "\n")
        self.findings.flush()

    def run(self, seeds: range) -> None:
        """Everything, until the candidate cannot go on."""
        try:
            self.settle()
        except Exception as error:
            self.find_exception(error)
            self.find("done")
            return
        for seed in seeds:
            self.try_cases(seed)
        self.run_tests()
        self.find("done")

    def settle(self) -> None:
        """Put the candidate in its place."""
        self.splice.install()
        importlib.import_module(self.exercise.module)
        self.splice.complete()
        if self.exercise.floor != "mdp":
            settle_jax()

    def try_cases(self, seed: int) -> None:
        """Compare with the reference; at the first difference, with the traps too."""
        from tests.exercises import same, show

        expected_of = self.shadow(reference(self.exercise))
        answer = view_of(self.exercise)
        cases = list(cases_of(self.exercise, seed))
        pairs, differs = [], False
        for inputs, tolerance in cases:
            self.find("trying", inputs=show.show_inputs(inputs))
            ours = copy.deepcopy(inputs)
            printed = io.StringIO()
            try:
                with contextlib.redirect_stdout(printed):
                    got = answer(self.splice.function, ours)
            except Exception as error:
                self.find_exception(error, inputs=show.show_inputs(inputs))
                return
            if name := same.changed(ours, inputs):
                self.find("mutation", argument=name, inputs=show.show_inputs(inputs))
            expected = answer(expected_of, copy.deepcopy(inputs))
            pairs.append((got, expected))
            fields = self.exercise.fields
            how = same.difference(got, expected, tolerance, fields)
            if how and not differs:
                differs = True
                self.find(
                    "difference",
                    how=how,
                    inputs=show.show_inputs(inputs),
                    expected=show.show_result(expected, fields),
                    got=show.show_result(got, fields),
                    printed=printed.getvalue()[:1000],
                )
        if differs:
            self.find_trap(cases, pairs)

    def find_trap(self, cases: list, pairs: list) -> None:
        """The traps whose outputs are these, on all cases.

        Where the answers are wrong already, what was derived from them does not count.
        """
        from tests.exercises import same

        answer = view_of(self.exercise)
        wrong = not all(
            same.is_same(same.answer_in(got), same.answer_in(expected))
            for got, expected in pairs
        )
        part = same.answer_in if wrong else lambda output: output
        for number, trap in enumerate(self.exercise.traps):
            function = self.shadow(edited(self.exercise, trap))
            for (inputs, _), (got, _) in zip(cases, pairs, strict=True):
                theirs = answer(function, copy.deepcopy(inputs))
                if not same.is_same(part(got), part(theirs)):
                    break
            else:
                self.find("trap", number=number)

    def shadow(self, candidate: Candidate) -> Callable:
        """Another candidate's function, made once: seed by seed it is asked again."""
        if candidate not in self.shadows:
            self.shadows[candidate] = Splice(self.exercise, candidate).shadow()
        return self.shadows[candidate]

    def find_exception(self, error: Exception, inputs: str = "") -> None:
        """What was raised, and the candidate's own lines on the way there."""
        lines = [
            {"number": frame.lineno, "text": (frame.line or "").strip()}
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == self.candidate.file
        ]
        # numpy says that something failed, and jax, the cause of it, says what.
        told = error.__cause__ or error
        kind, message = type(told).__name__, str(told)
        self.find("exception", kind=kind, message=message, lines=lines, inputs=inputs)

    def run_tests(self) -> None:
        """The exercise's own unit tests, without the plugins of the whole suite."""
        import pytest

        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        options = [
            f"--rootdir={ROOT}",
            f"--confcutdir={ROOT / 'tests' / self.exercise.floor}",
            "--override-ini=addopts=",
            "--maxfail=1",
            *("-p no:faulthandler -p no:cacheprovider -p no:terminal".split()),
        ]
        tests = [str(ROOT / test) for test in self.exercise.tests]
        with contextlib.redirect_stdout(io.StringIO()):
            code = pytest.main([*options, *tests], plugins=[_Listener(self)])
        if code not in (0, 1, 2):
            self.find("broken", message=f"pytest ended with {code!r}")


class _Listener:
    """Hears from pytest which tests fail, and why."""

    def __init__(self, judge: Judge):
        self.judge = judge

    def pytest_runtest_logstart(self, nodeid):
        self.judge.find("testing", test=nodeid)

    def pytest_runtest_makereport(self, item, call):
        if call.excinfo is None or call.excinfo.errisinstance(_skipped()):
            return
        error = call.excinfo.value
        message = str(error) or type(error).__name__
        self.judge.find("failed", test=item.nodeid, message=message)
        if not isinstance(error, AssertionError):
            self.judge.find_exception(error)

    def pytest_collectreport(self, report):
        if report.failed:
            self.judge.find("broken", message=str(report.longrepr)[-500:])


def _skipped():
    import pytest

    return pytest.skip.Exception


def cases_of(exercise: Exercise, seed: int):
    """(inputs, tolerance) of each case, smallest first."""
    for case in named(exercise.cases)(seed):
        yield case if isinstance(case, tuple) else (case, 1e-9)


def view_of(exercise: Exercise) -> Callable[[Callable, dict], Any]:
    """What is compared, of a function and its inputs: its answer, or what is derived.

    Two functions may answer alike and differ in their gradients.
    """
    if exercise.compared:
        return named(exercise.compared)
    return lambda function, inputs: function(*inputs.values())


def settle_jax() -> None:
    """Small arrays, on the processor, by programs that are kept and not polished."""
    import jax

    from mdp.interface.compilation import keep_compiled_programs

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_disable_most_optimizations", True)
    keep_compiled_programs()


def named(place: str) -> Callable:
    """What stands at "module:name"."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def run(job: str, findings: str) -> None:
    """Judge the candidate of a job, within its time limit."""
    asked = json.loads(Path(job).read_text(encoding="utf-8"))
    candidate = Candidate(asked["source"], asked["name"], asked["file"])
    judge = Judge(find(asked["exercise"]), candidate, Path(findings))
    with Path(job + ".stack").open("w") as stack:
        # Also where a loop runs inside compiled code and no signal is heard.
        faulthandler.dump_traceback_later(asked["time_limit"], exit=True, file=stack)
        try:
            if isinstance(judge.exercise, Diagnosis):
                from tests.exercises import trial

                trial.run(judge, asked["test"], Path(job).parent)
            else:
                judge.run(range(asked["seeds"]))
        finally:
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    run(*sys.argv[1:])
