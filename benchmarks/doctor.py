"""How often is the doctor right? Sick and healthy runs of RLHF, many seeds of each.

    python -m benchmarks doctor [--seeds 20] [--first 100] [--json FILE]

Every fault of tests/exercises/sick_runs.toml is made in each of its ways, and every way
of training runs without a fault, too. The thresholds of the rules were chosen on seeds
0 to 4, and that for wild updates on 3000 to 3019: test them on others. Runs of one
fault and way are one compiled program. The whole takes half an hour on two cores.
"""

import argparse
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

HEALTHY = "healthy"
Course = tuple[str, str, list[int]]  # a fault, a way of training, and seeds


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ask the doctor, and show how often it names each fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks doctor")
    parser.add_argument("--seeds", type=int, default=20, help="of each fault (20)")
    parser.add_argument("--first", type=int, default=100, help="the first seed (100)")
    parser.add_argument("--healthy", type=int, default=50, help="healthy runs (50)")
    parser.add_argument("--only", default="", help="one fault, or healthy")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the results")
    options = parser.parse_args(arguments)
    said: dict[str, Counter[str]] = {}
    for fault, way, seeds in courses(options.seeds, options.healthy, options.first):
        if options.only in ("", fault):
            said.setdefault(fault, Counter()).update(examine(fault, way, seeds))
            print(f"{fault}, {way}: {dict(said[fault])}", file=sys.stderr, flush=True)
    table = Table("fault", "runs", "named rightly", "said instead")
    for fault, counts in said.items():
        wrong = ", ".join(f"{x} {n}" for x, n in counts.items() if x != fault)
        table.add_row(fault, str(counts.total()), str(counts[fault]), wrong)
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(said, indent=2))


def courses(seeds: int, healthy: int, first: int) -> Iterator[Course]:
    """Yield each fault in each of its ways, with its share of the seeds."""
    from tests.exercises import sick_runs

    ways = {HEALTHY: list(sick_runs.WAYS)}
    ways |= {name: table["ways"] for name, table in sick_runs.faults().items()}
    for fault, listed in ways.items():
        count = healthy if fault == HEALTHY else seeds
        for i, way in enumerate(listed):
            yield fault, way, list(range(first + i, first + count, len(listed)))


def examine(fault: str, way: str, seeds: list[int]) -> list[str]:
    """Return what the doctor says about the runs with this fault."""
    from tests.exercises import judge, sick_runs
    from tests.exercises.sources import edited
    from tests.exercises.splice import Splice

    for name in judge.our_modules():  # the fault comes in while they are imported
        del sys.modules[name]
    if fault != HEALTHY:
        sick = sick_runs.diagnosis(fault, way, seeds[0])
        splice = Splice(sick, edited(sick, sick.trap))
        splice.install()
        importlib.import_module(sick.module)
        splice.complete()
    judge.settle_jax()
    histories = judge.named("tests.exercises.cases.rlhf_run:histories")(way, seeds)
    return [
        diagnosed({name: curve[i] for name, curve in histories.items()}, way, seed)
        for i, seed in enumerate(seeds)
    ]


def diagnosed(curves: dict, way: str, seed: int) -> str:
    """Return the fault that the doctor names, or "healthy"."""
    from lm_bandit.config import RLHFConfig
    from lm_bandit.doctor import diagnose
    from tests.exercises import sick_runs

    settings = vars(RLHFConfig(**sick_runs.settings(way, seed)))
    finding = diagnose(curves, settings)
    return HEALTHY if finding is None else finding.fault


if __name__ == "__main__":
    main()
