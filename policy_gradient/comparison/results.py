"""What a comparison leaves behind: every run as a table, and how to come by it again.

    runs.csv          a row for each checkpoint of each run: what it was worth, exactly
    comparison.json   the statistics; and versions, seeds, configs: all it depends on

Nothing in them was timed, and no float is rounded: with the same versions on a machine
of the same kind, the same command writes the same bytes.
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mdp import MDP
from mdp.interface.files import write_csv
from policy_gradient.comparison.compare import Comparison, Judged, Reference
from policy_gradient.comparison.named import REFERENCE
from policy_gradient.comparison.summary import Summary

PACKAGES = ("bellman-to-rlhf", "numpy", "scipy", "jax", "jaxlib", "optax")
COLUMNS = (
    *("world", "algorithm", "seed", "steps"),
    *("sampling", "greedy", "sampling_regret", "greedy_regret"),
    # "yes": gamma = 1 and the policy never ends, so this is J up to the time limit
    *("sampling_cut_off", "greedy_cut_off"),
    "diverged",  # when, if it did; what it was worth from there on is left empty
)


def write_runs(path: Path, found: Comparison) -> None:
    """Every checkpoint of every run, as comma-separated values."""
    rows = [COLUMNS]
    for world, reference in found.references.items():
        best = reference.optimum
        rows.append((world, REFERENCE, "", 0, best, best, 0.0, 0.0, "", "", ""))
        for name, judged in found.judged[world].items():
            rows += _rows(found, world, name, reference, judged)
    write_csv(path, rows)


def write_summary(path: Path, found: Comparison, summary: Summary) -> None:
    """The statistics, and all that they depend on."""
    told = {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "machine": platform.machine(),
        "seeds": found.seeds,
        **found.budget._asdict(),
        "worlds": {
            name: {
                "optimum": reference.optimum,
                "uniform": reference.uniform,
                "sha256": fingerprint(reference.world),
            }
            for name, reference in found.references.items()
        },
        "algorithms": {
            name: None if config is None else asdict(config)
            for name, config in found.configs.items()
        },
        "summary": _plain(summary),
    }
    path.write_text(json.dumps(_plain(told), indent=1) + "\n", "utf-8")


def fingerprint(world: MDP) -> str:
    """The same for the same table, and hardly ever for another."""
    digest = hashlib.sha256()
    for name, field in world._asdict().items():
        kind = {"next_states": np.int64, "available": np.bool_}.get(name, np.float64)
        digest.update(np.ascontiguousarray(field, kind).tobytes())
    return digest.hexdigest()


def _rows(
    found: Comparison, world: str, name: str, reference: Reference, judged: Judged
) -> Iterator[tuple]:
    for run, seed in enumerate(found.seeds):
        for at, steps in enumerate(found.budget.checkpoints):
            worth = judged.sampling[run, at], judged.greedy[run, at]
            regrets = (reference.optimum - of_one for of_one in worth)
            flags = judged.sampling_cut_off[run, at], judged.greedy_cut_off[run, at]
            yield (
                *(world, name, seed, steps),
                *("" if np.isnan(x) else float(x) for x in (*worth, *regrets)),
                *("yes" if flag else "" for flag in flags),
                judged.diverged[run],
            )


def _plain(x: Any) -> Any:
    """Named tuples as objects; what is not finite as null: JSON has no word for it."""
    if hasattr(x, "_asdict"):
        x = x._asdict()
    if isinstance(x, dict):
        return {name: _plain(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
