"""Many judges, one after another: children of a process that has read the libraries.

A candidate needs a process in which its package was never imported. It does not need
one in which numpy, jax and pytest were never imported, and to import them takes longer
than to judge. So one process imports those, and forks for every job that it is handed.

    python -m tests.book.nursery     jobs on the standard input, one a line
"""

import atexit
import functools
import os
import subprocess
import sys
from pathlib import Path

from tests.book.check import Run, fresh_process
from tests.book.manifest import ROOT


@functools.cache
def nursery() -> Run:
    """Runs jobs in children of one process, which lives as long as this one."""
    if not hasattr(os, "fork"):
        return fresh_process
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.book.nursery"],
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


def main() -> None:
    """Fork for every job, wait for the child, and say how it ended."""
    # Read, and not yet set to work: the threads of jax would not survive a fork.
    import jax  # noqa: F401
    import jaxtyping  # noqa: F401
    import numpy.testing  # noqa: F401
    import optax  # noqa: F401
    import pytest  # noqa: F401

    from tests.book import judge

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                judge.run(*line.rstrip("\n").split("\t"))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        print(f"it ended with status {status}", flush=True)


if __name__ == "__main__":
    main()
