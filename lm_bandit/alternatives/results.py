"""What a comparison leaves behind: every run as a table, and how to come by it again.

    runs.csv          a row for each checkpoint of each run: what it was worth, exactly
    comparison.json   the statistics; and versions, seeds, configs: all it depends on
    comparison.png    the paths under the frontier, and the regret

Nothing in the first two was timed, and no float is rounded: with the same versions on a
machine of the same kind, the same command writes the same bytes.
"""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from lm_bandit import plots
from lm_bandit.alternatives.comparison import MethodComparison, objectives, shares
from lm_bandit.oracle.exact import Value
from mdp.interface.files import write_csv, write_files

PACKAGES = ("bellman-to-rlhf", "numpy", "jax", "jaxlib", "optax")


def write_comparison(folder: Path, found: MethodComparison) -> list[Path]:
    """All three files, whole or not at all."""
    page = plots.comparison(found)
    files = {
        "runs.csv": lambda path: write_csv(path, run_rows(found)),
        "comparison.json": lambda path: path.write_text(
            json.dumps(comparison_summary(found), indent=1, default=str) + "\n", "utf-8"
        ),
        "comparison.png": lambda path: page.savefig(
            path, dpi=150, metadata={"Software": None}
        ),
    }
    return write_files(folder, files)


def run_rows(found: MethodComparison) -> list[tuple]:
    """A header, and a row for each checkpoint of each run."""
    table = [("method", "seed", "completions", *Value._fields, "regret", "broken")]
    for name, runs in found.runs.items():
        for seed, path, broken in zip(
            found.seeds, runs.values, runs.broken, strict=True
        ):
            for pulled, value in zip(runs.completions, path, strict=True):
                regret = found.optimum.objective - value.objective
                table.append((name, seed, pulled, *value, regret, broken))
    return table


def comparison_summary(found: MethodComparison) -> dict[str, Any]:
    """The statistics, and all that they depend on."""
    config = {f: x for f, x in asdict(found.config).items() if f != "out"}
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "machine": platform.machine(),
        "seeds": found.seeds,
        "config": config | {"ratings": found.config.ratings.name},
        "reference": found.reference._asdict(),
        "optimum": found.optimum._asdict(),
        "frontier": [value._asdict() for value in found.frontier],
        "best_of_n": [{"n": n, **value._asdict()} for n, value in found.best_of_n],
        "methods": {
            name: {
                "config": asdict(runs.config),
                "completions": runs.completions,
                "share_median": np.median(shares(found, name), 0).tolist(),
                "share_worst": shares(found, name).min(0).tolist(),
                "num_broken": sum(map(bool, runs.broken)),
            }
            for name, runs in found.runs.items()
        },
    }


def comparison_table(found: MethodComparison, seconds: dict[str, float]) -> Table:
    """What each method came to at the end of its budget; the best first."""
    shown = Table(
        title=f"Exact values, medians of {len(found.seeds)} runs; "
        f"J {found.reference.objective:.3f} (reference), "
        f"{found.optimum.objective:.3f} (optimum)",
        title_justify="left",
        box=None,
    )
    heads = "method,completions,way to J*,worst,regret,KL,gold,seconds".split(",")
    for head in heads:
        shown.add_column(head, justify="left" if head == "method" else "right")
    ranked = sorted(found.runs, key=lambda name: -np.median(shares(found, name)[:, -1]))
    for name in ranked:
        runs = found.runs[name]
        last = [path[-1] for path in runs.values]
        share = shares(found, name)[:, -1]
        regret = found.optimum.objective - np.median(objectives(found, name)[:, -1])
        shown.add_row(
            name,
            f"{runs.completions[-1]:,}",
            f"{np.median(share):.1%}",
            f"{share.min():.1%}",
            f"{regret:.3g}",
            *(
                f"{np.median([getattr(v, f) for v in last]):.2f}"
                for f in ("kl", "gold")
            ),
            f"{seconds[name]:.0f}",
        )
    n, best = max(found.best_of_n, key=lambda each: each[1].objective)
    start, top = found.reference.objective, found.optimum.objective
    share = f"{(best.objective - start) / (top - start):.1%}"
    regret, kl, gold = top - best.objective, best.kl, best.gold
    numbers = share, share, f"{regret:.3g}", f"{kl:.2f}", f"{gold:.2f}", ""
    shown.add_row(f"best of {n}", f"{n} an answer", *numbers)
    shown.add_row(
        *("pi*", "", "100.0%", "100.0%", "0"),
        *(f"{found.optimum.kl:.2f}", f"{found.optimum.gold:.2f}", ""),
    )
    return shown


def broken_runs(found: MethodComparison) -> list[str]:
    """A line for each run that broke an invariant."""
    return [
        f"{name}, seed {seed}, broke at {why}"
        for name, runs in found.runs.items()
        for seed, why in zip(found.seeds, runs.broken, strict=True)
        if why
    ]
