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
from rich.console import Group

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
from mdp.interface.tables import Row, explained_table

FILES = ("comparison.json", "comparison.png", "runs.csv")
NOTES = (
    "SFT is the model that all methods start from, and the reference of KL. All runs "
    "share it and the reward model; they differ in what they sample.",
)


def comparison_files(results: MethodComparison) -> dict[str, Content]:
    """Return the content of each file of a comparison, by its name."""
    # Only here, as matplotlib takes a while to import.
    from lm_bandit.alternatives import plots

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
    dumped = asdict(results.config).items()
    # These change no result.
    config = {name: x for name, x in dumped if name not in ("out", "share")}
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


def comparison_table(results: MethodComparison, seconds: Mapping[str, float]) -> Group:
    """Return each method's result at the end of its budget, the best first."""
    start, top = results.reference.objective, results.optimum.objective

    def row(
        name: str, pulled: str, value: Value, worst: float, seconds: str = ""
    ) -> Row:
        ways = [f"{(j - start) / (top - start):.1%}" for j in (value.objective, worst)]
        regret = f"{top - value.objective:.3g}"
        kl, gold = f"{value.kl:.2f}", f"{value.gold:.2f}"
        return (name, pulled, *ways, regret, kl, gold, seconds)

    medians, worst = {}, {}
    for name, runs in results.runs.items():
        ends = np.array([path[-1] for path in runs.values])
        medians[name] = Value(*np.median(ends, axis=0).tolist())
        worst[name] = Value(*ends.min(axis=0).tolist()).objective
    rows = []
    for name in sorted(medians, key=lambda x: medians[x].objective, reverse=True):
        pulled = f"{results.runs[name].completions[-1]:,}"
        rows.append(
            row(name, pulled, medians[name], worst[name], f"{seconds[name]:.0f}")
        )
    n, best = max(results.best_of_n, key=lambda pair: pair[1].objective)
    rows.append(row(f"best of {n}", f"{n} a text", best, best.objective))
    rows.append(row("optimum", "", results.optimum, top))
    title = (
        f"Exact values, medians of {len(results.seeds)} runs; "
        f"J of SFT {start:.3f}, of the optimum {top:.3f}"
    )
    columns = table_columns(results.config.ppo.kl_weight)
    words = {
        f"best of {n}": f"SFT writes {n} completions, and the reward model takes the "
        "best of them",
        "optimum": "the policy with the largest J that is possible",
    }
    return explained_table(title, columns, rows, words, NOTES)


def table_columns(beta: float) -> dict[str, str]:
    """Return the meaning of each column of the table, for this beta."""
    return {
        "method": "",
        "completions": "sampled in training by each run",
        "way to optimum": "from the J of SFT (0%) to that of the optimum (100%), where "
        f"J = learned reward - beta x KL, and beta = {beta:g}; below 0: worse than SFT",
        "worst run": "the same for the worst run",
        "regret": "J of the optimum - J",
        "KL (nats)": "how far the policy is from SFT, for one completion",
        "gold reward": "what the raters think, in points; no method sees it, so it can "
        "be larger than the optimum's, which is the best for J",
        "seconds": "to train and to value all runs of the method",
    }
