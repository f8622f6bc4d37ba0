"""The command `python -m lm_bandit lab`: an experiment as a table and as files.

NAME.csv    every number, a row for each
NAME.json   the whole result, with the versions of the packages and the machine
NAME.png    the picture
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from tyro.conf import Positional

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
from lm_bandit.lab.experiment import Experiment, Rows, number_rows
from mdp.checks import CheckedConfig
from mdp.interface.command_line import Terminal, write_and_name
from mdp.interface.files import (
    Content,
    csv_text,
    json_text,
    machine,
    png_bytes,
    versions,
)

# Each experiment by its name, and the function that draws its result.
EXPERIMENTS: dict[str, tuple[Experiment[Any], Callable[[Any], plots.Figure]]] = {
    "overoptimisation": (overoptimisation.EXPERIMENT, plots.draw_overoptimisation),
    "flaw": (flaw.EXPERIMENT, plots.draw_flaw),
    "annotators": (bad_annotators.EXPERIMENT, plots.draw_bad_annotators),
    "overlooked": (overlooked.EXPERIMENT, plots.draw_overlooked),
    "too-hard": (too_hard.EXPERIMENT, plots.draw_too_hard),
    "who-was-asked": (who_was_asked.EXPERIMENT, plots.draw_who_was_asked),
    "core-and-prepped": (core_and_prepped.EXPERIMENT, plots.draw_core_and_prepped),
}


@dataclass(frozen=True)
class Lab(CheckedConfig):
    """Run an experiment on what can go wrong with RLHF; without a name, list them."""

    name: Positional[str] = ""  # of the experiment
    seeds: int = 10  # number of seeds (0, 1, 2 ...) for questions and answers
    out: Path | None = None  # folder for NAME.csv, NAME.json and NAME.png

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and self.name not in EXPERIMENTS:
            known = ", ".join(EXPERIMENTS)
            raise ValueError(f"name must be one of {known}, got {self.name}")
        if self.seeds < 2:
            raise ValueError(f"seeds must be at least 2, got {self.seeds}")

    def run(self) -> None:
        """List the experiments, or run one, show its result and write it."""
        console = Terminal()
        if not self.name:
            rows: Rows = [("experiment", "what goes wrong")]
            rows += [(name, each.title) for name, (each, _) in EXPERIMENTS.items()]
            console.print(_table(rows))
            return
        experiment, draw = EXPERIMENTS[self.name]
        result = experiment.run(range(self.seeds))
        console.print(_table(experiment.summary(result)))
        columns = " ".join((experiment.summary.__doc__ or "").split())
        for line in (columns, "", *experiment.explanation(result)):
            console.print(line)
        if self.out is not None:
            name = self.name
            report = {
                "experiment": name,
                "versions": versions(),
                "machine": machine(),
                "found": result,
            }
            files: dict[str, Content] = {
                f"{name}.csv": csv_text(number_rows(result, experiment.points)),
                f"{name}.json": json_text(report),
                f"{name}.png": png_bytes(draw(result)),
            }
            write_and_name(console, self.out, files)


def _table(rows: Rows) -> Table:
    """Show rows under their header; numbers stand at the right of their columns."""
    table = Table(box=None)
    header, *body = [[str(cell) for cell in row] for row in rows]
    for i, head in enumerate(header):
        is_text = i == 0 or all(len(row[i]) > 20 for row in body)
        table.add_column(head, justify="left" if is_text else "right")
    for row in body:
        table.add_row(*row)
    return table
