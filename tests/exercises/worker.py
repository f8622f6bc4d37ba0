"""A process that judges: to start one takes longer than to judge a candidate.

    python -m tests.exercises.worker      jobs on standard input, one a line

Between two jobs the packages and their tests are forgotten, and then imported again;
what jax has compiled for one job is there for the next.
"""

import faulthandler
import json
import os
import sys
from pathlib import Path

from tests.exercises import batch, trial
from tests.exercises.judge import Judge, our_modules
from tests.exercises.manifest import Diagnosis, find
from tests.exercises.sources import Candidate, reference


def main() -> None:
    """Do the jobs, and answer when each is done."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what candidates print
    for line in sys.stdin:
        for name in our_modules():
            del sys.modules[name]
        print(json.dumps(do(**json.loads(line))), file=answers, flush=True)


def do(
    exercise: str,
    candidate: list | None,
    seeds: int,
    test: str,
    time_limit: float,
    scratch: str,
) -> str:
    """Judge a candidate, or all those of the gate; return what went wrong.

    The findings go to a file in `scratch`. For a diagnosis, `test` is the learner's
    file; if it is empty, the candidate is trained with.
    """
    asked, folder = find(exercise), Path(scratch)
    judge = Judge(
        asked,
        Candidate(*candidate) if candidate else reference(asked),
        folder / "findings",
    )
    with (folder / "stack").open("w") as stack:
        # Also where a loop runs inside compiled code and no signal is heard.
        faulthandler.dump_traceback_later(time_limit, exit=True, file=stack)
        try:
            if isinstance(asked, Diagnosis):
                trial.run(judge, test, folder)
            elif candidate:
                judge.run(range(seeds))
            else:
                batch.judge_all(judge, range(seeds))
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            faulthandler.cancel_dump_traceback_later()
    return ""


if __name__ == "__main__":
    main()
