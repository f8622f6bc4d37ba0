"""The command line: python -m policy_gradient compare | algorithms.

Thin: it reads the command, calls the library, and shows what came of it. Nothing is
written before all is done, and nothing that exists is written over unless told to.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mdp.interface.command_line import run
from mdp.interface.compilation import keep_compiled_programs
from mdp.interface.files import write_files
from policy_gradient.comparison import results
from policy_gradient.comparison.compare import (
    NUM_CHECKPOINTS,
    TIME_LIMIT,
    Comparison,
    compare,
)
from policy_gradient.comparison.contenders import BUILT_IN
from policy_gradient.comparison.named import REFERENCE
from policy_gradient.comparison.statistics import Estimate
from policy_gradient.comparison.summary import Summary, summarize

console = Console()


@dataclass(frozen=True)
class Compare:
    """Compare algorithms: equal budgets, many seeds, judged by the exact truth."""

    worlds: tuple[str, ...] = ("cliff_walking", "frozen_lake")  # or file.py:name
    algorithms: tuple[str, ...] = (*BUILT_IN, REFERENCE)  # or file.py:name
    seeds: int = 32  # runs of each algorithm in each world
    steps: int = 200_000  # environment steps of each run
    time_limit: int = TIME_LIMIT  # steps after which an episode is cut off
    checkpoints: int = NUM_CHECKPOINTS  # at which policies are judged
    first_seed: int = 0  # the others follow it
    sweep: str | None = None  # field=value,value,...: of all configs, in turn
    out: Path | None = (
        None  # a new folder for runs.csv, comparison.json, comparison.png
    )
    overwrite: bool = False  # write even if that folder is there already

    def run(self) -> None:
        """Learn, judge, write and show."""
        out = self.out
        if out is not None and out.exists() and not self.overwrite:
            raise ValueError(f"--out must be a new folder, got {out}: try --overwrite")
        began = time.perf_counter()
        found = _with_bars(self)
        summary = summarize(found)
        show(found, summary)
        if out is not None:
            # Only here, as it takes a while to import.
            from policy_gradient.comparison import plots

            page = plots.figure(found, summary)
            files = {
                "runs.csv": lambda path: results.write_runs(path, found),
                "comparison.json": lambda path: results.write_summary(
                    path, found, summary
                ),
                "comparison.png": lambda path: page.savefig(path, dpi=200),
            }
            for path in write_files(out, files):
                console.print(f"wrote {path}", highlight=False)
        console.print(f"{time.perf_counter() - began:.0f} s in all", highlight=False)


@dataclass(frozen=True)
class Algorithms:
    """List the algorithms, and the numbers of each that --sweep can vary."""

    def run(self) -> None:
        """Print a line for each."""
        table = Table("algorithm", "numbers", box=None)
        for made in BUILT_IN.values():
            numbers = vars(made.config).items()
            floats = [f"{n}={x:g}" for n, x in numbers if isinstance(x, float)]
            table.add_row(made.name, ", ".join(floats))
        table.add_row(
            REFERENCE, "takes no steps: the optimum that all are held against"
        )
        console.print(table, highlight=False)


def show(found: Comparison, summary: Summary) -> None:
    """A table for each world, and one over all."""
    for world, reference in found.references.items():
        table = Table(
            *("algorithm", "J sampling", "regret", "greedy's", "95% at", "by"),
            title=f"{world}: optimum {reference.optimum:.6g}, "
            f"uniform policy {reference.uniform:.6g} in "
            f"{found.budget.time_limit} steps",
            title_justify="left",
            box=None,
        )
        table.add_row(REFERENCE, f"{reference.optimum:.4g}", "0", "0", "0", "")
        for name in summary.overall:
            verdict = summary.verdicts[world][name]
            table.add_row(
                name,
                _with_interval(verdict.sampling),
                _regret(verdict.regret),
                _regret(verdict.greedy_regret),
                f"{verdict.steps:,.0f}" if np.isfinite(verdict.steps) else "never",
                f"{verdict.num_reached}/{len(found.seeds)}",
            )
        console.print(table, "", highlight=False)
        _tell_diverged(found, world)
    table = Table("all worlds", "score", "greedy", "beats the next", box=None)
    ranked = list(summary.overall)
    for name, following in zip(ranked, [*ranked[1:], None], strict=True):
        beats = ""
        if following is not None:
            beats = _with_interval(summary.improvement[name][following])
        scores = summary.overall[name], summary.overall_greedy[name]
        table.add_row(name, *map(_with_interval, scores), beats)
    console.print(table, highlight=False)
    told = (
        f"Interquartile means of {len(found.seeds)} runs, 95% bootstrap intervals. "
        "Score 0 is the uniform policy, cut off at the time limit, or worse; 1 the "
        "optimum. 95% at: the steps to 95% of that way, the median run's."
    )
    console.print(told, highlight=False)


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; 0, or 2 after one clear line on what cannot be done."""
    keep_compiled_programs()
    return run(
        Compare | Algorithms, args, "python -m policy_gradient", "Policy gradients."
    )


def _with_bars(command: Compare) -> Comparison:
    """Compare, with a bar for the whole of it and the time that is left."""
    bars = Progress(
        TextColumn("{task.description:40}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    learners = [name for name in command.algorithms if name != REFERENCE]
    total = len(command.worlds) * len(learners) * command.steps
    current, at = "", {}

    def report(world: str, algorithm: str, done: float) -> None:
        nonlocal current
        at[world, algorithm], current = done, f"{world}: {algorithm}"
        bars.update(task, completed=sum(at.values()), description=current)

    try:
        with bars:
            task = bars.add_task("", total=total)
            return compare(
                command.worlds,
                command.algorithms,
                command.seeds,
                command.steps,
                command.time_limit,
                command.checkpoints,
                command.first_seed,
                _read_sweep(command.sweep),
                report,
            )
    except KeyboardInterrupt:
        console.print(f"Stopped during {current}; nothing was written.")
        raise SystemExit(130) from None


def _read_sweep(given: str | None) -> dict[str, list[float]] | None:
    if given is None:
        return None
    field, _, values = given.partition("=")
    try:
        return {field.replace("-", "_"): [float(x) for x in values.split(",")]}
    except ValueError:
        raise ValueError(
            f"--sweep must be field=number,number,..., got {given!r}"
        ) from None


def _tell_diverged(found: Comparison, world: str) -> None:
    for name, judged in found.judged[world].items():
        for seed, when in zip(found.seeds, judged.diverged, strict=True):
            if when:
                console.print(
                    f"{name}, seed {seed}, diverged at {when} and was stopped: "
                    "not finite",
                    highlight=False,
                )


def _regret(regret: float) -> str:
    return _short(regret if regret > 1e-9 else 0.0)


def _with_interval(estimate: Estimate) -> str:
    value, low, high = map(_short, estimate)
    return f"{value} [{low}, {high}]"


def _short(x: float) -> str:
    """Three digits, or whole where it is large."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"


if __name__ == "__main__":
    raise SystemExit(main())
