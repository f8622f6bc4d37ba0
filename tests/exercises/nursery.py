"""Many judges, one after another: children of a process that has read the libraries.

A candidate needs a process in which its package was never imported. It does not need
one in which numpy, jax and pytest were never imported, and to import them takes longer
than to judge. So one process imports those, and forks for every job that it is handed.

The gate knows its candidates: there it is enough to fork for every exercise. The child
judges one candidate, forgets the packages and their tests, and judges the next one;
what jax has compiled for the first is there for the second.

    python -m tests.exercises.nursery [exercise]   jobs on standard input, one a line
"""

import atexit
import contextlib
import functools
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from tests.exercises.check import Run, fresh_process
from tests.exercises.manifest import FLOORS, ROOT


@functools.cache
def nursery(a_child_for: str = "candidate") -> Run:
    """Runs jobs in children of one process, which lives as long as this one.

    There is a child for every candidate, or for every exercise.
    """
    if not hasattr(os, "fork"):
        return fresh_process
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.exercises.nursery", a_child_for],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    atexit.register(parent.stdin.close)

    def run(job: Path, findings: Path, limit: float) -> str:
        print(job, findings, sep="\t", file=parent.stdin, flush=True)
        return parent.stdout.readline().strip()

    return run


def main(a_child_for: str) -> None:
    """Fork, hand over the job, and say how it ended."""
    # Read, and not yet set to work: the threads of jax would not survive a fork.
    import jax  # noqa: F401
    import jaxtyping  # noqa: F401
    import numpy.testing  # noqa: F401
    import optax  # noqa: F401
    import pytest  # noqa: F401

    child = None
    for line in sys.stdin:
        job, findings = line.rstrip("\n").split("\t")
        exercise = json.loads(Path(job).read_text(encoding="utf-8"))["exercise"]
        if child and (a_child_for == "candidate" or child.exercise != exercise):
            child.end()
            child = None
        child = child or _Child(exercise)
        ending = child.judge(job, findings)
        child = None if ending else child
        print(ending or "it ended well", flush=True)


class _Child:
    """A fork of this process, which judges one candidate after another."""

    def __init__(self, exercise: str):
        fork = multiprocessing.get_context("fork")
        self.exercise = exercise
        self.jobs, theirs = fork.Pipe()
        self.process = fork.Process(target=_judge_all, args=(self.jobs, theirs))
        self.process.start()
        theirs.close()

    def judge(self, job: str, findings: str) -> str:
        """How the child ended, if it did."""
        with contextlib.suppress(EOFError, OSError):
            self.jobs.send((job, findings))
            return self.jobs.recv()
        return self.end()

    def end(self) -> str:
        self.jobs.close()
        self.process.join()
        return f"it ended with status {self.process.exitcode}"


def _judge_all(parents, jobs):
    from tests.exercises import judge

    parents.close()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with contextlib.suppress(EOFError):
        while True:
            job = jobs.recv()
            _forget_the_packages()
            judge.run(*job)
            jobs.send("")


def _forget_the_packages():
    for name in list(sys.modules):
        if name.removeprefix("tests.").startswith(FLOORS):
            del sys.modules[name]


if __name__ == "__main__":
    main(*sys.argv[1:])
