"""Files of a comparison: all runs as a table, and the statistics with their settings.

    runs.csv          one row for each checkpoint of each run: its exact J
    comparison.json   statistics, versions, seeds and configs: all that they depend on

They hold no times, and no float is rounded: with the same versions on a machine of the
same kind, the same command writes the same bytes.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from mdp import MDP
from mdp.interface.files import csv_text, json_text, machine, versions
from policy_gradient.comparison.compare import Comparison, Judged, Reference
from policy_gradient.comparison.contenders import REFERENCE
from policy_gradient.comparison.summary import Summary

FILES = ("comparison.json", "comparison.png", "runs.csv")
COLUMNS = (
    *("world", "algorithm", "seed", "steps"),
    *("sampling", "greedy", "sampling_regret", "greedy_regret"),
    # "yes": gamma = 1 and the policy never ends, so this is J up to the time limit
    *("sampling_cut_off", "greedy_cut_off"),
    "diverged",  # when, if it did; J is left empty from there on
)


def runs_csv(comparison: Comparison) -> str:
    """Return every checkpoint of every run as comma-separated values."""
    rows: list[tuple[Any, ...]] = [COLUMNS]
    for world, reference in comparison.references.items():
        best = reference.optimum
        rows.append((world, REFERENCE, "", 0, best, best, 0.0, 0.0, "", "", ""))
        for name, judged in comparison.judged[world].items():
            rows += _rows(comparison, world, name, reference, judged)
    return csv_text(rows)


def summary_json(comparison: Comparison, summary: Summary) -> str:
    """Return the statistics, and all that they depend on, as JSON."""
    worlds = {
        name: {
            "optimum": reference.optimum,
            "uniform": reference.uniform,
            "sha256": fingerprint(reference.world),
        }
        for name, reference in comparison.references.items()
    }
    return json_text(
        {
            "versions": versions(),
            "machine": machine(),
            "seeds": comparison.seeds,
            **comparison.budget._asdict(),
            "worlds": worlds,
            "algorithms": comparison.configs,
            "summary": summary,
        }
    )


def fingerprint(world: MDP) -> str:
    """A digest of an MDP's tables; equal tables have equal digests."""
    digest = hashlib.sha256()
    for name, field in world._asdict().items():
        kind = {"next_states": np.int64, "available": np.bool_}.get(name, np.float64)
        digest.update(np.ascontiguousarray(field, kind).tobytes())
    return digest.hexdigest()


def _rows(
    comparison: Comparison,
    world: str,
    name: str,
    reference: Reference,
    judged: Judged,
) -> Iterator[tuple[Any, ...]]:
    for run, seed in enumerate(comparison.seeds):
        for i, steps in enumerate(comparison.budget.checkpoints):
            values = judged.sampling[run, i], judged.greedy[run, i]
            regrets = (reference.optimum - value for value in values)
            flags = judged.sampling_cut_off[run, i], judged.greedy_cut_off[run, i]
            yield (
                *(world, name, seed, steps),
                *("" if np.isnan(x) else float(x) for x in (*values, *regrets)),
                *("yes" if flag else "" for flag in flags),
                judged.diverged[run],
            )
