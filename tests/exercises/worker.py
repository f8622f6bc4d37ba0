"""A process that judges many candidates: starting it takes longer than one of them.

    python -m tests.exercises.worker      jobs on standard input, one a line

Between two jobs the packages and their tests are forgotten, and then imported again;
what jax has compiled for one job is there for the next.
"""

import contextlib
import faulthandler
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.exercises import batch, trial
from tests.exercises.isolation.guard import Guard
from tests.exercises.judge import Judge, our_modules
from tests.exercises.manifest import Diagnosis, Exercise, find
from tests.exercises.sources import Candidate, reference

LONGEST = 600.0  # seconds, for the comparison with all traps on a busy machine
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")


def main() -> None:
    """Read jobs from the standard input, do each, and answer it with one line."""
    jobs, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    # Candidates print to nobody, and `input` in one of them waits for nobody.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    desk = Desk()
    with contextlib.closing(desk):
        for line in jobs:
            print(json.dumps(desk.do(**json.loads(line))), file=answers, flush=True)


class Desk:
    """Does one job after another; the guard is kept for the next one."""

    def __init__(self) -> None:
        self.guard: Guard | None = None

    def do(
        self,
        exercise: str,
        candidate: list | None,
        seeds: list[int],
        test: str,
        time_limit: float,
        scratch: str,
        trusted: str,
    ) -> str:
        """Judge a candidate, or all those of the gate; return what went wrong.

        The findings go to a file in `scratch`. For a diagnosis, `test` is the learner's
        file; if it is empty, the candidate takes part in a training. A candidate may be
        `trusted` "to write", which fills the caches that submissions read, or "fully",
        to run in this process.
        """
        asked, folder = find(exercise), Path(scratch)
        ours = Candidate(*candidate) if candidate else None
        is_training = isinstance(asked, Diagnosis) and not test
        with (folder / "findings").open("a", encoding="utf-8") as findings:

            def write(finding: dict) -> None:
                findings.write(json.dumps(finding) + "\n")
                findings.flush()

            try:
                if ours and CAN_FORK and not is_training and trusted != "fully":
                    guard = self._guard_of(asked, trusted == "to write")
                    # The submission has a limit of its own; this one is for the judge.
                    with _time_limit(LONGEST + 10 * time_limit, folder / "judge"):
                        guard.judge(ours, seeds, test, time_limit, folder, write)
                else:
                    self.close()
                    judge = Judge(asked, ours or reference(asked), write)
                    with _time_limit(time_limit, folder / "stack"):
                        _judge_here(judge, bool(ours), seeds, test, folder)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        return ""

    def close(self) -> None:
        """End the process of the submissions, and forget the packages."""
        if self.guard:
            self.guard.close()
            self.guard = None
        for name in our_modules():
            del sys.modules[name]

    def _guard_of(self, exercise: Exercise | Diagnosis, may_write: bool) -> Guard:
        """The guard of an exercise, which is kept until there is another exercise."""
        guard = self.guard
        if not guard or (guard.exercise, guard.may_write) != (exercise, may_write):
            self.close()
            self.guard = guard = Guard(exercise, may_write)
        return guard


def _judge_here(
    judge: Judge, is_one: bool, seeds: list[int], test: str, folder: Path
) -> None:
    """Judge in this process: trusted candidates, or all if no process can be copied."""
    if test:
        judge.settle()
        trial.run(judge, test, folder)
        judge.find("done")
    elif isinstance(judge.exercise, Diagnosis):
        trial.train(judge)
    elif is_one:
        judge.run(seeds)
    else:
        batch.judge_all(judge, seeds)


@contextlib.contextmanager
def _time_limit(seconds: float, file: Path) -> Iterator[None]:
    """End this process when its time is over, and write down where it was."""
    with file.open("w") as stack:
        # This also ends a loop inside compiled code, where no signal is heard.
        faulthandler.dump_traceback_later(seconds, exit=True, file=stack)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
