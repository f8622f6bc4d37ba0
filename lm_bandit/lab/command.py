"""`python -m lm_bandit lab`: the experiments by name, as a table and as files.

NAME.csv    every number, a row for each seed
NAME.json   all that was found, with the versions that found it
NAME.png    the picture
"""

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from lm_bandit.alternatives.results import PACKAGES
from lm_bandit.lab import (
    bad_annotators,
    core_and_prepped,
    flaw,
    overlooked,
    overoptimisation,
    plots,
    too_hard,
    who_was_asked,
)
from mdp.interface.files import write_csv, write_files


class Experiment(NamedTuple):
    """A module with `run`, `rows`, `summary` and `meaning`, and how it is drawn."""

    module: ModuleType
    draw: Callable
    line: str


EXPERIMENTS = {
    "overoptimisation": Experiment(
        overoptimisation,
        plots.overoptimisation,
        "the learned reward climbs; the gold reward rises, peaks and falls",
    ),
    "flaw": Experiment(
        flaw, plots.flaw, "you get what you ask for: length, or a magic word"
    ),
    "annotators": Experiment(
        bad_annotators,
        plots.bad_annotators,
        "a fifth are malicious, 2% of the pairs poisoned, a fifth mistaken",
    ),
    "overlooked": Experiment(
        overlooked, plots.overlooked, "'awful' was rated +4 by one of ten: find it"
    ),
    "too-hard": Experiment(
        too_hard, plots.too_hard, "who reads more words judges with more noise"
    ),
    "who-was-asked": Experiment(
        who_was_asked, plots.who_was_asked, "two groups disagree, and one is served"
    ),
    "core-and-prepped": Experiment(
        core_and_prepped,
        plots.core_and_prepped,
        "next-token likelihood and diversity, traded for reward",
    ),
}


@dataclass(frozen=True)
class Lab:
    """What can go wrong with RLHF, seen exactly; without a name, the list of it all."""

    name: Positional[str] = ""  # of an experiment
    seeds: int = 10  # 0, 1, 2 ...: of the questions and the answers
    out: Path | None = None  # folder for NAME.csv, NAME.json and NAME.png

    def __post_init__(self):
        if self.name and self.name not in EXPERIMENTS:
            known = ", ".join(EXPERIMENTS)
            raise ValueError(f"name must be one of {known}, got {self.name}")
        if self.seeds < 2:
            raise ValueError(f"seeds must be at least 2, got {self.seeds}")

    def run(self) -> None:
        """List the experiments, or do one, show it and write it."""
        console = Console()
        if not self.name:
            listed = [("experiment", "what goes wrong")]
            listed += [(name, each.line) for name, each in EXPERIMENTS.items()]
            console.print(table(listed))
            return
        experiment = EXPERIMENTS[self.name]
        found = experiment.module.run(range(self.seeds))
        console.print(table(experiment.module.summary(found)))
        for line in experiment.module.meaning(found):
            console.print(line, highlight=False)
        if self.out is not None:
            for path in write(self.out, self.name, found):
                console.print(f"wrote {path}", highlight=False)


def write(folder: Path, name: str, found: Any) -> list[Path]:
    """All three files, whole or not at all."""
    experiment = EXPERIMENTS[name]
    page = experiment.draw(found)
    told = {
        "experiment": name,
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "found": plain(found),
    }
    return write_files(
        folder,
        {
            f"{name}.csv": lambda path: write_csv(path, experiment.module.rows(found)),
            f"{name}.json": lambda path: path.write_text(
                json.dumps(told, indent=1) + "\n", "utf-8"
            ),
            f"{name}.png": lambda path: page.savefig(
                path, dpi=150, metadata={"Software": None}
            ),
        },
    )


def plain(found: Any) -> Any:
    """Named tuples, dicts and arrays as JSON has them."""
    if hasattr(found, "_asdict"):
        found = found._asdict()
    if isinstance(found, dict):
        return {str(name): plain(x) for name, x in found.items()}
    if isinstance(found, (tuple, list)):
        return [plain(x) for x in found]
    return found.tolist() if isinstance(found, (np.ndarray, np.generic)) else found


def table(rows: list[tuple]) -> Table:
    """Rows of text under their heads, the first column to the left."""
    shown = Table(box=None)
    for i, head in enumerate(rows[0]):
        text = i == 0 or all(len(row[i]) > 20 for row in rows[1:])
        shown.add_column(str(head), justify="left" if text else "right")
    for row in rows[1:]:
        shown.add_row(*row)
    return shown
