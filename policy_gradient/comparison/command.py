"""The command `python -m policy_gradient compare`: train, judge, show and write.

Nothing is written before everything is done, and existing files are kept unless
`--overwrite` is given.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from rich.table import Table

from mdp.interface.command_line import Terminal, name_files
from mdp.interface.files import Content, png_bytes
from mdp.interface.progress import BarProgress
from mdp.interface.runs import digest_of, open_run, settings_of
from policy_gradient.comparison import results
from policy_gradient.comparison.compare import Comparison, Judged, compare
from policy_gradient.comparison.statistics import Estimate
from policy_gradient.comparison.summary import Summary, summarize
from policy_gradient.config import REFERENCE, ComparisonConfig


def run_comparison(config: ComparisonConfig, console: Terminal) -> None:
    """Train, judge, show and write."""
    start = time.perf_counter()
    names = tuple(each.rpartition(":")[0] for each in config.worlds + config.algorithms)
    digests = {name: digest_of(Path(name)) for name in names if name}
    settings = settings_of(config, files=digests)
    with open_run(
        config.out, settings, results.FILES, config.overwrite, only_new=True
    ) as run:
        progress = BarProgress(console, run=run)
        with progress.shown():
            comparison = _compare_with_bars(config, progress)
            summary = summarize(comparison)
            paths = run.write(_files(comparison, summary) if config.out else {})
    show(comparison, summary, console)
    name_files(console, paths)
    console.print(f"{time.perf_counter() - start:.0f} s in all")


def show(comparison: Comparison, summary: Summary, console: Terminal) -> None:
    """Print a table for each world, and one over all worlds."""
    for world in comparison.references:
        console.print(_world_table(comparison, summary, world), "")
        _print_diverged(comparison, world, console)
    table = Table("all worlds", "score", "greedy", "beats the next", box=None)
    ranked = list(summary.overall)
    for name, following in zip(ranked, [*ranked[1:], None], strict=True):
        beats = ""
        if following is not None:
            beats = _with_interval(summary.improvement[name][following])
        scores = summary.overall[name], summary.overall_greedy[name]
        table.add_row(name, *map(_with_interval, scores), beats)
    console.print(table)
    console.print(
        f"Interquartile means of {len(comparison.seeds)} runs, 95% bootstrap "
        "intervals. Score 0: the uniform policy, cut off at the time limit, or worse; "
        "score 1: the optimum. 95% at: steps until the median run had score 0.95.",
    )


def _world_table(comparison: Comparison, summary: Summary, world: str) -> Table:
    """Return the results of one world, best algorithm first."""
    reference = comparison.references[world]
    table = Table(
        *("algorithm", "J sampling", "regret", "greedy's", "95% at", "by"),
        title=f"{world}: optimum {reference.optimum:.6g}, "
        f"uniform policy {reference.uniform:.6g} in "
        f"{comparison.budget.time_limit} steps",
        title_justify="left",
        box=None,
    )
    table.add_row(REFERENCE, f"{reference.optimum:.4g}", "0", "0", "0", "")
    for name in summary.overall:
        verdict = summary.verdicts[world][name]
        regrets = verdict.regret, verdict.greedy_regret
        table.add_row(
            name,
            _with_interval(verdict.sampling),
            *(_short(regret if regret > 1e-9 else 0.0) for regret in regrets),
            f"{verdict.steps:,.0f}" if np.isfinite(verdict.steps) else "never",
            f"{verdict.num_reached}/{len(comparison.seeds)}",
        )
    return table


def _files(comparison: Comparison, summary: Summary) -> dict[str, Content]:
    # Only here, as matplotlib takes a while to import.
    from policy_gradient.comparison import plots

    page = plots.comparison_page(comparison, summary)
    return {
        "runs.csv": results.runs_csv(comparison),
        "comparison.json": results.summary_json(comparison, summary),
        "comparison.png": png_bytes(page, dpi=200),
    }


def _compare_with_bars(config: ComparisonConfig, progress: BarProgress) -> Comparison:
    """Compare, with a progress bar for each algorithm in each world."""
    reports: dict[str, Callable[..., None]] = {}

    def report(world: str, algorithm: str, done: float) -> None:
        name = f"{world}: {algorithm}"
        if name not in reports:
            stage = progress.stage(name, config.steps)
            reports[name] = stages.enter_context(stage)
        reports[name](done)

    with ExitStack() as stages:
        return compare(
            config.worlds,
            config.algorithms,
            config.seeds,
            config.steps,
            config.time_limit,
            config.checkpoints,
            config.first_seed,
            _read_sweep(config.sweep),
            report,
            lambda name, make: progress.kept(name, make, Judged),
        )


def _read_sweep(given: str | None) -> dict[str, list[float]] | None:
    """Return the field and its values from `field=value,value,...`."""
    if given is None:
        return None
    field, _, values = given.partition("=")
    try:
        return {field.replace("-", "_"): [float(x) for x in values.split(",")]}
    except ValueError:
        raise ValueError(
            f"--sweep must be field=number,number,..., got {given!r}"
        ) from None


def _print_diverged(comparison: Comparison, world: str, console: Terminal) -> None:
    """Print one line for each run that was stopped."""
    for name, judged in comparison.judged[world].items():
        for seed, when in zip(comparison.seeds, judged.diverged, strict=True):
            if when:
                console.print(
                    f"{name}, seed {seed}, diverged at {when} and was stopped: "
                    "not finite",
                )


def _with_interval(estimate: Estimate) -> str:
    value, low, high = map(_short, estimate)
    return f"{value} [{low}, {high}]"


def _short(x: float) -> str:
    """Return a number with three digits, or as a whole number if it is large."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"
