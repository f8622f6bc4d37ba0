"""Judge many candidates in one process: to start one takes longer than to judge.

    python -m tests.exercises.batch      jobs on standard input, one a line

The jobs are those of judge.py. Between two of them the packages and their tests are
forgotten, and imported again; what jax has compiled for one job is there for the next.
A job without a candidate judges all those of an exercise, for the gate.
"""

import atexit
import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.exercises import judge
from tests.exercises.check import Run
from tests.exercises.manifest import FLOORS, ROOT, Exercise
from tests.exercises.sources import candidates
from tests.exercises.trial import FILE


@functools.cache
def worker() -> Run:
    """Return a `run` that hands all its jobs to one process."""
    process = None

    def run(job: Path, findings: Path, limit: float) -> str:
        nonlocal process
        process = process if process and process.poll() is None else _start()
        print(job, findings, sep="\t", file=process.stdin, flush=True)
        answer = process.stdout.readline().strip()
        return answer or f"its process ended with status {process.wait()}"

    return run


def _start() -> subprocess.Popen:
    """Start the process; it ends with this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.exercises.batch"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    atexit.register(process.stdin.close)
    return process


def main() -> None:
    """Do the jobs, and say when each is done."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what tests print
    for line in sys.stdin:
        for name in _our_modules():
            del sys.modules[name]
        judge.run(*line.rstrip("\n").split("\t"))
        print("it ended well", file=answers, flush=True)


def judge_all(exercise: Exercise, seeds: Iterable[int], findings: Path) -> None:
    """Judge all candidates of an exercise, which take turns in the same modules.

    Answers are computed once, although every trap is compared with every other. The
    reference's tests run last: they fail if anything of a trap is left.
    """
    listed = candidates(exercise)
    judging = judge.Judge(exercise, listed["reference"], findings)
    with _cautious_jit(judging):
        judging.settle()
        for label, candidate in listed.items():
            judging.put(candidate, label)
            for seed in seeds:
                judging.try_cases(seed)
        listed["reference"] = listed.pop("reference")
        judging.run_tests(_Rounds(judging, listed), "--assert=plain")
    judging.label = ""
    judging.find("done")


class _Rounds(judge.Listener):
    """Runs the tests on one candidate after another, each until one fails."""

    def __init__(self, judging: judge.Judge, listed: dict):
        super().__init__(judging)
        self.listed = listed

    def pytest_runtestloop(self, session: Any) -> bool:
        for label, candidate in self.listed.items():
            self.judge.put(candidate, label)
            for item, following in zip(
                session.items, [*session.items[1:], None], strict=True
            ):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if "failed" in self.judge.found:
                    break
            # What is set up or computed once may hold this candidate's answers.
            session._setupstate.teardown_exact(None)
            for name in _our_modules():
                for value in vars(sys.modules[name]).values():
                    if isinstance(value, functools._lru_cache_wrapper):
                        value.cache_clear()
        return True


def _our_modules() -> list[str]:
    """The modules of the packages, of all their tests, and of the exercises' cases."""
    tests = ("tests.exercises.cases", *(f"tests.{name}" for name in FLOORS))
    starts = (*FLOORS, *tests, Path(FILE).stem)
    return [name for name in sys.modules if name.startswith(starts)]


@contextlib.contextmanager
def _cautious_jit(judging: judge.Judge) -> Iterator[None]:
    """Let `jax.jit` compile nothing that calls the exercised function.

    A compiled program would still hold the candidate before. So what was seen to call
    the function is from then on run step by step.
    """
    if judging.exercise.floor == "mdp":
        yield
        return
    import jax

    jit = jax.jit

    def cautious(function: Callable | None = None, **options: Any) -> Callable:
        if function is None:
            return functools.partial(cautious, **options)
        compiled = jit(function, **options)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if call.calls_the_candidate:
                return function(*args, **kwargs)
            place = judging.splice.watched
            before = place.calls if place else 0
            try:
                return compiled(*args, **kwargs)
            finally:
                call.calls_the_candidate = bool(place) and place.calls > before

        call.calls_the_candidate = False
        return call

    jax.jit = cautious
    try:
        yield
    finally:
        jax.jit = jit


if __name__ == "__main__":
    main()
