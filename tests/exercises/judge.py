"""Try a candidate in the place of a function, in a process of its own.

First the candidate's answers to the exercise's cases are compared with those of the
reference, and with those of the traps if they differ. Then the exercise's unit tests
are run. Each finding is written down at once, so that nothing is lost if the candidate
never returns. This file only finds; `words.py` explains.
"""

import contextlib
import copy
import functools
import importlib
import inspect
import io
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.exercises import kept, patterns, same, show
from tests.exercises.manifest import BOOK, FLOORS, Diagnosis, Exercise
from tests.exercises.sources import Candidate, edited, reference
from tests.exercises.splice import Splice

MOST_LETTERS, MOST_LINES = 20_000, 12  # of what a candidate raises
MOST_PRINTED = 1000  # letters of what it prints
# Plugins of pytest that unit tests do not need: they would only take time.
PLUGINS = "faulthandler cacheprovider terminal unraisableexception threadexception"


class Case(NamedTuple):
    """Inputs of the exercised function."""

    inputs: dict[str, Any]
    tolerance: float  # how far two right answers may differ
    shown: str  # the inputs as text
    key: Hashable  # equal inputs have equal keys
    place: tuple[int, int]  # its seed, and its number


class Answer(NamedTuple):
    """The outcome of a function on the inputs of a case."""

    output: Any = None
    error: dict | None = None  # what it raises, and where; see Judge.raised
    changed: str | None = None  # the argument that it has changed, if any
    printed: str = ""


class Judge:
    """An exercise, a candidate for its function, and `write`, which takes findings."""

    def __init__(
        self,
        exercise: Exercise | Diagnosis,
        candidate: Candidate,
        write: Callable[[dict], None],
    ):
        self.exercise, self.own, self.label = exercise, candidate, ""
        self.splice, self.write = Splice(exercise, candidate), write
        self.found: set[str] = set()  # kinds of findings on the present candidate
        self.cases = functools.cache(self._cases)
        # Many candidates are compared with the same answers.
        self._answers: dict[tuple[Candidate, Hashable], Answer] = {}
        self._kept: kept.Outputs = {}  # answers of the book's own functions

    def find(self, what: str, **details: Any) -> None:
        """Write down a finding; `of` names the candidate, if there are several."""
        self.found.add(what)
        self.write({"what": what, "of": self.label, **details})

    def run(self, seeds: Iterable[int]) -> None:
        """Do everything, until the candidate cannot go on."""
        try:
            self.settle()
        except Exception as error:
            self.find_exception(error)
        else:
            self.examine(seeds)
        self.find("done")

    def examine(self, seeds: Iterable[int]) -> None:
        """Try the cases, and run the unit tests on a candidate that is in its place."""
        self._kept = kept.read(self.exercise)
        before = len(self._kept)
        for seed in seeds:
            self.try_cases(seed)
            if self.found & {"difference", "exception", "mutation"}:
                break
        if len(self._kept) > before:
            kept.write(self.exercise, self._kept)
        # Where a case shows what is wrong, no test needs to.
        if not self.found & {"difference", "exception", "mutation"}:
            self.run_tests(Listener(self), "--maxfail=1")

    def settle(self) -> None:
        """Put the candidate in its place."""
        if self.exercise.home and str(self.exercise.root) not in sys.path:
            sys.path.insert(0, str(self.exercise.root))
        self.splice.install()
        importlib.import_module(self.exercise.module)
        self.splice.complete()
        if self.exercise.floor != "mdp":
            settle_jax()

    def put(self, candidate: Candidate, label: str) -> None:
        """Go on with another candidate."""
        self.splice.put(candidate)
        self.own, self.label, self.found = candidate, label, set()

    def try_cases(self, seed: int) -> None:
        """Compare with the reference, and if they differ, with the traps too."""
        try:
            self._try_cases(seed)
        finally:
            self.splice.put(self.splice.candidate)

    def _try_cases(self, seed: int) -> None:
        own, fields = self.own, self.exercise.fields
        differs, trials = None, []
        for case in self.cases(seed):
            self.find("trying", inputs=case.shown)
            ours = self.answer(own, case)
            if ours.error:
                self.find("exception", **ours.error, inputs=case.shown)
                return
            if ours.changed:
                self.find("mutation", argument=ours.changed, inputs=case.shown)
            expected = self.output(reference(self.exercise), case)
            message = same.difference(ours.output, expected, case.tolerance, fields)
            trials.append(
                patterns.Trial(case.inputs, ours.output, expected, case.tolerance)
            )
            if message and not differs:
                differs = message
                self.find(
                    "difference",
                    message=message,
                    inputs=case.shown,
                    expected=show.show_result(expected, fields),
                    got=show.show_result(ours.output, fields),
                    printed=ours.printed,
                )
        if differs:
            self.find_traps(seed)
            if "trap" not in self.found and same.is_about_numbers(differs):
                self.find_pattern(trials)

    def find_traps(self, seed: int) -> None:
        """Find the traps that give the candidate's answers, on all cases.

        If the answers themselves differ, what was derived from them is not compared.
        """
        own, cases = self.own, self.cases(seed)
        answers = (same.answer_in(self.answer(own, case).output) for case in cases)
        if all(map(same.is_nan, answers)):
            return  # nan has many causes
        right = self.agrees(own, reference(self.exercise), cases, same.answer_in)
        part = (lambda output: output) if right else same.answer_in
        for number, trap in enumerate(self.exercise.traps):
            if self.agrees(own, edited(self.exercise, trap), cases, part):
                self.find("trap", number=number)

    def find_pattern(self, trials: list[patterns.Trial]) -> None:
        """Find a general sentence on the differences, where no trap fits."""
        own, right = self.own, reference(self.exercise)
        pattern = patterns.find(
            trials,
            self.exercise.fields,
            lambda inputs: self._output(own, inputs),
            lambda inputs: self._output(right, inputs),
        )
        if pattern:
            kind = "pattern" if pattern.is_cause else "extent"
            self.find(kind, message=pattern.says)

    def _output(self, candidate: Candidate, inputs: dict[str, Any]) -> Any:
        """A candidate's output for changed inputs, which may make no sense to it."""
        answer = self._answer(candidate, inputs)
        if answer.error:
            raise answer.error
        return answer.output

    def agrees(
        self, own: Candidate, other: Candidate, cases: list[Case], part: Callable
    ) -> bool:
        """Whether two candidates give the same answers, up to rounding."""
        # The last cases leave nothing out: what differs mostly differs there.
        return own == other or all(
            same.is_same(
                part(self.answer(own, case).output),
                part(self.output(other, case)),
            )
            for case in reversed(cases)
        )

    def _cases(self, seed: int) -> list[Case]:
        """The exercise's cases, smallest first."""
        found = []
        for number, case in enumerate(named(self.exercise.cases)(seed)):
            inputs, tolerance = case if isinstance(case, tuple) else (case, 1e-9)
            try:
                key = pickle.dumps(inputs)
            except TypeError:  # a key of jax cannot be pickled
                key = seed, number
            text, place = show.show_inputs(inputs), (seed, number)
            found.append(Case(inputs, tolerance, text, key, place))
        return found

    def output(self, own: Candidate, case: Case) -> Any:
        """The output of one of the book's own functions, right or wrong, for a case."""
        place = own.source, *case.place
        if place not in self._kept:
            self._kept[place] = self.answer(own, case).output
        return self._kept[place]

    def answer(self, candidate: Candidate, case: Case) -> Answer:
        """A candidate's answer to a case; every case is tried once."""
        place = candidate, case.key
        if place not in self._answers:
            self._answers[place] = self._answer(candidate, case.inputs)
        return self._answers[place]

    def _answer(self, candidate: Candidate, inputs: dict[str, Any]) -> Answer:
        """A candidate's answer to the inputs, or what the exercise derives from it.

        Two functions may give the same answer and differ in their gradients.
        """
        function = self.splice.function(candidate)
        self.splice.watched.function = function  # for code of the book that calls it
        ours, printed = copy.deepcopy(inputs), _Paper()
        try:
            with contextlib.redirect_stdout(printed):
                if self.exercise.compared:
                    output = named(self.exercise.compared)(function, ours)
                else:
                    output = function(*ours.values())
        except Exception as error:
            return Answer(error=self.raised(error))
        changed = same.changed(ours, inputs)
        output = same.unmasked(output)
        return Answer(output, None, changed, printed.getvalue())

    def find_exception(self, error: BaseException) -> None:
        """Write down what was raised, and the candidate's own lines on the way."""
        self.find("exception", **self.raised(error), inputs="")

    def raised(self, error: BaseException) -> dict:
        """The kind of an exception, its message, and the candidate's own lines."""
        lines = own_lines(error, self.own.file)
        # numpy's exception says that something failed; its cause, jax's, says what.
        error = error.__cause__ or error
        message = str(error)[:MOST_LETTERS]
        return {"kind": type(error).__name__, "message": message, "lines": lines}

    def run_tests(self, plugin: object, *options: str) -> None:
        """Run the exercise's unit tests."""
        root = self.exercise.root
        folder = root if self.exercise.home else root / "tests" / self.exercise.floor
        tests = [str(root / test) for test in self.exercise.tests]
        code = run_pytest(root, plugin, f"--confcutdir={folder}", *options, *tests)
        if code not in (0, 1) and "broken" not in self.found:
            self.find("broken", message=f"pytest ended with {code!r}")


class _Paper(io.StringIO):
    """Keeps the first MOST_PRINTED letters that are printed, and drops the rest."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, MOST_PRINTED - self.tell())])
        return len(text)


class Listener:
    """A plugin of pytest that writes down which tests fail, and why."""

    def __init__(self, judge: Judge):
        self.judge = judge

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.judge.find("testing", test=nodeid)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        import pytest

        if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
            return
        error = call.excinfo.value
        message = str(error) or type(error).__name__
        doc = (inspect.getdoc(item.function) or "").partition("\n\n")[0]
        self.judge.find("failed", test=item.nodeid, message=message, doc=doc)
        if not isinstance(error, AssertionError):
            self.judge.find_exception(error)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.judge.find("broken", message=str(report.longrepr)[-500:])


def run_pytest(root: Path, plugin: object, *args: str) -> int:
    """Run pytest in this process, without the plugins of the whole suite."""
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = [f"--rootdir={root}", "--override-ini=addopts="]
    without = [f"-pno:{name}" for name in PLUGINS.split()]
    with contextlib.redirect_stdout(_Paper()):
        return pytest.main([*options, *without, *args], plugins=[plugin])


def own_lines(error: BaseException, file: str) -> list[dict]:
    """The lines of a file on the way to an exception, each of them once."""
    lines = {
        frame.lineno: (frame.line or "").strip()[:MOST_LETTERS]
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == file
    }
    return [{"number": n, "text": text} for n, text in lines.items()][:MOST_LINES]


def settle_jax() -> None:
    """Let jax use the CPU, keep its compiled programs, and compile them quickly."""
    import jax

    from mdp.interface.compilation import keep_compiled_programs

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_disable_most_optimizations", True)
    keep_compiled_programs()


def named(place: str) -> Callable:
    """The object that stands at "module:name"."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def our_modules() -> list[str]:
    """The imported modules of the packages, their tests, the cases, and BOOK."""
    tests = ("tests.exercises.cases", *(f"tests.{floor}" for floor in FLOORS))
    home = os.environ.get(BOOK)
    return [
        name
        for name, module in list(sys.modules.items())
        if name.startswith((*FLOORS, *tests))
        or (home and str(getattr(module, "__file__", None)).startswith(home + os.sep))
    ]
