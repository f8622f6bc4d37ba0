"""The files and the table of a comparison.

    runs.csv          a row for each checkpoint of each run, with its exact values
    comparison.json   the statistics; the versions, seeds and configs behind them
    comparison.png    the paths under the frontier, and the regret

The first two hold no times, and no float is rounded: with the same versions on a
machine of the same kind, the same command writes the same bytes.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.table import Table

from lm_bandit.alternatives import plots
from lm_bandit.alternatives.comparison import MethodComparison, shares
from lm_bandit.oracle.exact import Value
from mdp.interface.files import (
    Content,
    csv_text,
    json_text,
    machine,
    png_bytes,
    versions,
)

FILES = ("comparison.json", "comparison.png", "runs.csv")


def comparison_files(results: MethodComparison) -> dict[str, Content]:
    """Return the content of each file of a comparison, by its name."""
    return {
        "runs.csv": csv_text(run_rows(results)),
        "comparison.json": json_text(comparison_summary(results)),
        "comparison.png": png_bytes(plots.comparison_figure(results)),
    }


def run_rows(results: MethodComparison) -> list[tuple[Any, ...]]:
    """Return a header, and a row for each checkpoint of each run."""
    header = ("method", "seed", "completions", *Value._fields, "regret", "broken")
    rows: list[tuple[Any, ...]] = [header]
    for name, runs in results.runs.items():
        for seed, path, broken in zip(
            results.seeds, runs.values, runs.broken, strict=True
        ):
            for pulled, value in zip(runs.completions, path, strict=True):
                regret = results.optimum.objective - value.objective
                rows.append((name, seed, pulled, *value, regret, broken))
    return rows


def comparison_summary(results: MethodComparison) -> dict[str, Any]:
    """Return the statistics of a comparison, and all that they depend on."""
    config = {name: x for name, x in asdict(results.config).items() if name != "out"}
    return {
        "versions": versions(),
        "machine": machine(),
        "seeds": results.seeds,
        "config": config | {"ratings": results.config.ratings.name},
        "reference": results.reference,
        "optimum": results.optimum,
        "frontier": results.frontier,
        "best_of_n": [{"n": n, **value._asdict()} for n, value in results.best_of_n],
        "methods": {
            name: {
                "config": runs.config,
                "completions": runs.completions,
                "share_median": np.median(shares(results, name), 0),
                "share_worst": shares(results, name).min(0),
                "num_broken": sum(map(bool, runs.broken)),
            }
            for name, runs in results.runs.items()
        },
    }


def comparison_table(results: MethodComparison, seconds: Mapping[str, float]) -> Table:
    """Return each method's result at the end of its budget, the best first."""
    start, top = results.reference.objective, results.optimum.objective
    table = Table(
        title=f"Exact values, medians of {len(results.seeds)} runs; "
        f"J {start:.3f} (reference), {top:.3f} (optimum)",
        title_justify="left",
        box=None,
    )
    heads = "method,completions,way to J*,worst,regret,KL,gold,seconds".split(",")
    for head in heads:
        table.add_column(head, justify="left" if head == "method" else "right")

    def add(
        name: str, pulled: str, value: Value, worst: float, seconds: str = ""
    ) -> None:
        ways = [f"{(j - start) / (top - start):.1%}" for j in (value.objective, worst)]
        regret = f"{top - value.objective:.3g}"
        kl, gold = f"{value.kl:.2f}", f"{value.gold:.2f}"
        table.add_row(name, pulled, *ways, regret, kl, gold, seconds)

    medians, worst = {}, {}
    for name, runs in results.runs.items():
        ends = np.array([path[-1] for path in runs.values])
        medians[name] = Value(*np.median(ends, axis=0).tolist())
        worst[name] = Value(*ends.min(axis=0).tolist()).objective
    for name in sorted(medians, key=lambda x: medians[x].objective, reverse=True):
        pulled = f"{results.runs[name].completions[-1]:,}"
        add(name, pulled, medians[name], worst[name], f"{seconds[name]:.0f}")
    n, best = max(results.best_of_n, key=lambda pair: pair[1].objective)
    add(f"best of {n}", f"{n} an answer", best, best.objective)
    add("pi*", "", results.optimum, top)
    return table
