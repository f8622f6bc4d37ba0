"""The files and the table of a comparison.

    runs.csv          a row for each checkpoint of each run, with its exact values
    comparison.json   the statistics; the versions, seeds and configs behind them
    comparison.png    the paths under the frontier, and the regret

The first two hold no times, and no float is rounded: with the same versions on a
machine of the same kind, the same command writes the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import Group

from lm_bandit.alternatives.comparison import (
    MethodComparison,
    own_ways,
    regrets,
    shares,
    split_of_median,
)
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
SHARED = "All runs share it and the reward model; they differ in what they sample."
NOT_SHARED = "Each run has its own, and its own reward model; all methods share them."


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
        lefts = regrets(results, name)
        for seed, path, left, broken in zip(
            results.seeds, runs.values, lefts, runs.broken, strict=True
        ):
            for pulled, value, regret in zip(runs.completions, path, left, strict=True):
                rows.append((name, seed, pulled, *value, float(regret), broken))
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
        "starts": results.starts[:1] if config["shared_start"] else results.starts,
        "methods": {
            name: method_summary(results, name) for name, runs in results.runs.items()
        },
    }


def method_summary(results: MethodComparison, name: str) -> dict[str, Any]:
    """Return the statistics of one method; the split is that of its median run."""
    runs, share = results.runs[name], shares(results, name)
    parts = split_of_median(results, name)
    ways = own_ways(results, name)
    return {
        "config": runs.config,
        "completions": runs.completions,
        "share_median": np.median(share, 0),
        "share_worst": share.min(0),
        "another_target": parts and parts.another_target,
        "not_there_yet": parts and parts.not_there_yet,
        "way_to_own_optimum_median": None if ways is None else np.median(ways),
        "num_broken": sum(map(bool, runs.broken)),
    }


def comparison_table(results: MethodComparison, seconds: Mapping[str, float]) -> Group:
    """Return each method's result at the end of its budget, the best first."""
    medians = {
        name: float(np.median(shares(results, name)[:, -1])) for name in results.runs
    }
    rows = [
        method_row(results, name, f"{seconds[name]:.0f}")
        for name in sorted(medians, key=medians.__getitem__, reverse=True)
    ]
    n, best = best_of_n_row(results)
    rows += [best, optimum_row(results)]
    low, high = (
        np.median([getattr(start, name).objective for start in results.starts])
        for name in ("reference", "optimum")
    )
    pulled = max(runs.completions[-1] for runs in results.runs.values())
    title = (
        f"Exact values, medians of {len(results.seeds)} runs with {pulled:,} "
        f"completions each; J of SFT {low:.3f}, of the optimum {high:.3f}"
    )
    config = results.config
    words = {
        f"best of {n}": f"SFT writes {n} completions, and the reward model takes the "
        "best of them",
        "optimum": "the policy with the largest J that is possible",
    }
    notes = [
        "SFT is the model that all methods start from, and the reference of KL. "
        + (SHARED if config.shared_start else NOT_SHARED)
    ]
    columns = table_columns(config.ppo.kl_weight)
    return explained_table(title, columns, rows, words, notes)


def method_row(results: MethodComparison, name: str, seconds: str) -> Row:
    """Return the row of a method: its median run, and the share of its worst run."""
    ends = [path[-1] for path in results.runs[name].values]
    kl, gold = (
        np.median([getattr(x, field) for x in ends]) for field in ("kl", "gold")
    )
    share = shares(results, name)[:, -1]
    parts = split_of_median(results, name)
    return (
        name,
        f"{np.median(share):.1%}",
        f"{share.min():.1%}",
        *([f"{x:.1%}" for x in parts] if parts else "--"),
        f"{np.median(regrets(results, name)[:, -1]):.3g}",
        f"{kl:.2f}",
        f"{gold:.2f}",
        seconds,
    )


def best_of_n_row(results: MethodComparison) -> tuple[int, Row]:
    """Return the n with which best-of-n is best, and its row."""
    objective = np.array(
        [[value.objective for _, value in start.best_of_n] for start in results.starts]
    )
    place = int(np.median(objective, 0).argmax())
    values = [start.best_of_n[place][1] for start in results.starts]
    n = results.starts[0].best_of_n[place][0]
    return n, known_row(results, f"best of {n}", values)


def optimum_row(results: MethodComparison) -> Row:
    """Return the row of pi*."""
    return known_row(results, "optimum", [start.optimum for start in results.starts])


def known_row(results: MethodComparison, name: str, values: Sequence[Value]) -> Row:
    """Return the row of a policy that is known exactly, and so is its own optimum."""
    low, high, j = (
        np.array([value.objective for value in each])
        for each in (
            [start.reference for start in results.starts],
            [start.optimum for start in results.starts],
            values,
        )
    )
    share = (j - low) / (high - low)
    kl, gold = (
        np.median([getattr(x, field) for x in values]) for field in ("kl", "gold")
    )
    middle = np.median(share)
    return (
        name,
        *(f"{x:.1%}" for x in (middle, share.min(), 1.0 - middle, 0.0)),
        f"{np.median(high - j):.3g}",
        f"{kl:.2f}",
        f"{gold:.2f}",
        "",
    )


def table_columns(beta: float) -> dict[str, str]:
    """Return the meaning of each column of the table, for this beta."""
    return {
        "method": "",
        "way to optimum": "from the J of SFT (0%) to that of the optimum (100%), where "
        f"J = learned reward - beta x KL, and beta = {beta:g}; below 0: worse than SFT",
        "worst run": "the same for the worst run",
        "another target": "the way between the optimum and where the method leads to; "
        "- if nobody knows",
        "not there yet": "the way between where it leads to and where it is; below 0: "
        "it stopped where J is larger. The way and these two add up to 100%",
        "regret": "J of the optimum - J",
        "KL (nats)": "how far the policy is from SFT, for one completion",
        "gold reward": "what the raters think, in points; no method sees it, so it can "
        "be larger than the optimum's, which is the best for J",
        "seconds": "to train and to value all runs of the method",
    }
