"""The command line: `python -m benchmarks policy_gradient [--json FILE]`.

`python -m benchmarks scaling`, `gpu` and `doctor` have options of their own: see their
--help.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import (
    doctor,
    exams,
    gpu,
    lm_bandit,
    mdp,
    policy_gradient,
    race,
    scaling,
)
from benchmarks.exams import Exam, Marks, hold_exam
from benchmarks.race import Race, Result, run_race

SUITES = {
    "mdp": mdp.races,
    "policy_gradient": policy_gradient.tasks,
    "lm_bandit": lm_bandit.tasks,
}
OWN_OPTIONS = {"scaling": scaling.main, "gpu": gpu.main, "doctor": doctor.main}


def main() -> None:
    """Run the races and exams of one suite, show their results, and save them."""
    name, *arguments = sys.argv[1:] or [""]
    if name in OWN_OPTIONS:
        OWN_OPTIONS[name](arguments)
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the results")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each race (7)")
    parser.add_argument(
        "--only",
        metavar="WORD",
        default="",
        help="run only tasks whose name contains WORD",
    )
    options = parser.parse_args()
    tasks = [task for task in SUITES[options.suite]() if options.only in task.name]
    if not tasks or options.rounds < 1:
        parser.error(f"no task is named {options.only!r}, or --rounds is not positive")
    try:
        results = [found for task in tasks for found in _run(task, options.rounds)]
    except ImportError as error:
        parser.exit(2, f"{error}: pip install -e '.[benchmarks,gym]'\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in results], indent=2))


def _run(task: Race | Exam, rounds: int) -> list[Result] | list[Marks]:
    """Run one task, show its results, and return them."""
    if isinstance(task, Race):
        results = run_race(task, rounds)
        race.show(results)
    else:
        results = hold_exam(task)
        exams.show(results)
    return results


if __name__ == "__main__":
    sys.exit(main())
