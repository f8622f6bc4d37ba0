"""The command `python -m policy_gradient compare`: train, judge, show and write.

Nothing is written before everything is done, and existing files are kept unless
`--overwrite` is given.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Group

from mdp.interface.command_line import Terminal, name_files
from mdp.interface.files import Content, png_bytes
from mdp.interface.jobs import Runner
from mdp.interface.progress import BarProgress
from mdp.interface.runs import digest_of, open_run, settings_of
from mdp.interface.tables import Row, explained_table
from mdp.interface.workers import WorkersConfig
from policy_gradient.comparison import results
from policy_gradient.comparison.compare import Comparison, Judged, compare
from policy_gradient.comparison.statistics import Estimate
from policy_gradient.comparison.summary import Summary, summarize
from policy_gradient.config import REFERENCE, ComparisonConfig

WORLD_COLUMNS = {
    "algorithm": "the best over all worlds first; value_iteration is the optimum",
    "J": "mean return (discounted) of the policy by which it acts, exact",
    "regret": "J of the optimum - J",
    "greedy regret": "the same where it always takes its likeliest action",
    "steps to 95%": "steps in the world until the median run had covered 95% of the "
    "way from the uniform policy to the optimum",
    "runs there": "number of runs that came so far",
}
OVERALL_COLUMNS = {
    "algorithm": "",
    "score": "share of the way from the uniform policy to the optimum; 0 if it is "
    "worse than the uniform policy",
    "greedy score": "the same where it always takes its likeliest action",
    "beats the next": "probability that one of its runs beats one of the next "
    "algorithm's; 0.5 is no difference",
}
INTERVALS = (
    "x [a, b]: x is the mean of the middle half of the runs, and other runs would "
    "have given a number between a and b in about 95 of 100 cases (bootstrap). The "
    "uniform policy takes each action equally often, and is cut off at the time limit."
)


def run_comparison(
    config: ComparisonConfig, share: WorkersConfig, console: Terminal
) -> None:
    """Train, judge, show and write."""
    start = time.perf_counter()
    names = tuple(each.rpartition(":")[0] for each in config.worlds + config.algorithms)
    digests = {name: digest_of(Path(name)) for name in names if name}
    settings = settings_of(config, files=digests)
    with open_run(
        config.out, settings, results.FILES, config.overwrite, only_new=True
    ) as run:
        progress = BarProgress(console, run=run)
        with progress.shown(), share.executor() as executor:
            comparison = _compare(config, Runner(executor, progress, (Judged,)))
            summary = summarize(comparison)
            paths = run.write(_files(comparison, summary) if config.out else {})
    show(comparison, summary, console)
    name_files(console, paths)
    console.print(f"{time.perf_counter() - start:.0f} s in all")


def show(comparison: Comparison, summary: Summary, console: Terminal) -> None:
    """Print a table for each world, and one over all worlds."""
    *others, last = comparison.references
    for world in (*others, last):
        # Once is enough for the meanings.
        columns = WORLD_COLUMNS if world == last else dict.fromkeys(WORLD_COLUMNS, "")
        console.print(_world_table(comparison, summary, world, columns), "")
        _print_diverged(comparison, world, console)
    rows = []
    ranked = list(summary.overall)
    for name, following in zip(ranked, [*ranked[1:], None], strict=True):
        beats = ""
        if following is not None:
            beats = _with_interval(summary.improvement[name][following])
        scores = summary.overall[name], summary.overall_greedy[name]
        rows.append((name, *map(_with_interval, scores), beats))
    runs = len(comparison.seeds)
    title = f"All worlds, {runs} runs of each algorithm in each"
    console.print(explained_table(title, OVERALL_COLUMNS, rows, notes=(INTERVALS,)), "")


def _world_table(
    comparison: Comparison, summary: Summary, world: str, columns: Mapping[str, str]
) -> Group:
    """Return the results of one world, best algorithm first."""
    reference = comparison.references[world]
    title = (
        f"{world}: optimum {reference.optimum:.6g}, uniform policy "
        f"{reference.uniform:.6g} in {comparison.budget.time_limit} steps"
    )
    rows: list[Row] = [(REFERENCE, f"{reference.optimum:.4g}", "0", "0", "0", "")]
    for name in summary.overall:
        verdict = summary.verdicts[world][name]
        regrets = verdict.regret, verdict.greedy_regret
        rows.append(
            (
                name,
                _with_interval(verdict.sampling),
                *(_short(regret if regret > 1e-9 else 0.0) for regret in regrets),
                f"{verdict.steps:,.0f}" if np.isfinite(verdict.steps) else "never",
                f"{verdict.num_reached}/{len(comparison.seeds)}",
            )
        )
    return explained_table(title, columns, rows)


def _files(comparison: Comparison, summary: Summary) -> dict[str, Content]:
    # Only here, as matplotlib takes a while to import.
    from policy_gradient.comparison import plots

    page = plots.comparison_page(comparison, summary)
    return {
        "runs.csv": results.runs_csv(comparison),
        "comparison.json": results.summary_json(comparison, summary),
        "comparison.png": png_bytes(page, dpi=200),
    }


def _compare(config: ComparisonConfig, runner: Runner) -> Comparison:
    return compare(
        config.worlds,
        config.algorithms,
        config.seeds,
        config.steps,
        config.time_limit,
        config.checkpoints,
        config.first_seed,
        _read_sweep(config.sweep),
        runner,
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
