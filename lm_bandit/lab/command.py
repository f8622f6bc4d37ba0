"""The command `python -m lm_bandit lab`: an experiment as a table and as files.

NAME.csv    every number, a row for each
NAME.json   the whole result, with the versions of the packages and the machine
NAME.png    the picture
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from mdp.checks import CheckedConfig
from mdp.interface.command_line import Terminal, name_files
from mdp.interface.files import (
    Content,
    csv_text,
    json_text,
    machine,
    png_bytes,
    versions,
)
from mdp.interface.jobs import Runner
from mdp.interface.progress import BarProgress
from mdp.interface.runs import open_run, settings_of
from mdp.interface.tables import explained_table
from mdp.interface.workers import WorkersConfig

# Each experiment by its name, and its file in this room; `plots.draw_FILE` draws it.
EXPERIMENTS = {
    "overoptimisation": "overoptimisation",
    "flaw": "flaw",
    "annotators": "bad_annotators",
    "overlooked": "overlooked",
    "too-hard": "too_hard",
    "who-was-asked": "who_was_asked",
    "core-and-prepped": "core_and_prepped",
}
SIMULATED = (
    "Annotators and the reference are simulated, by ratings of the words that people "
    "gave."
)
if TYPE_CHECKING:
    from lm_bandit.lab.experiment import Experiment


@dataclass(frozen=True)
class Lab(CheckedConfig):
    """Run an experiment on what can go wrong with RLHF; without a name, list them."""

    # The experiment to run; without a name they are listed.
    name: Positional[Annotated[str, arg(metavar="[NAME]")]] = ""
    # Repetitions with other questions and answers, at least 2; usually 5 to 20.
    seeds: int = 10
    # Folder for NAME.csv, NAME.json and NAME.png; without it nothing is written. With
    # it, the same command goes on where it was stopped.
    out: Path | None = None
    # Replace the results of this experiment in that folder.
    overwrite: bool = False
    # The processes or the cluster that share the seeds.
    share: Annotated[WorkersConfig, OmitArgPrefixes] = field(
        default_factory=WorkersConfig
    )

    @staticmethod
    def names() -> dict[str, Iterable[str]]:
        """Return the names that the command takes, for its help."""
        return {"NAME": EXPERIMENTS}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and self.name not in EXPERIMENTS:
            known = ", ".join(EXPERIMENTS)
            raise ValueError(f"name must be one of {known}, got {self.name}")
        if self.seeds < 2:
            raise ValueError(f"seeds must be at least 2, got {self.seeds}")

    def run(self) -> None:
        """List the experiments, or run one, write its result and show it."""
        console = Terminal()
        if not self.name:
            rows = [(name, find_experiment(name).title) for name in EXPERIMENTS]
            head = "what goes wrong"
            columns = {"experiment": "python -m lm_bandit lab NAME runs it", head: ""}
            console.print(explained_table("", columns, rows, texts=(head,)))
            return
        experiment = find_experiment(self.name)
        names = tuple(f"{self.name}.{end}" for end in ("json", "csv", "png"))
        with open_run(self.out, settings_of(self), names, self.overwrite) as run:
            progress = BarProgress(console, {"seeds": self.name}, run)
            with progress.shown(), self.share.executor() as executor:
                runner = Runner(executor, progress, experiment.types)
                result = experiment.run(range(self.seeds), runner=runner)
                paths = run.write(self._files(result) if self.out else {})
        table = explained_table(
            experiment.title,
            experiment.columns,
            experiment.summary(result),
            experiment.words,
            [*experiment.explanation(result), SIMULATED],
            experiment.texts,
        )
        console.print(table, "")
        name_files(console, paths)

    def _files(self, result: Any) -> dict[str, Content]:
        from lm_bandit.lab import plots
        from lm_bandit.lab.experiment import number_rows

        name, experiment = self.name, find_experiment(self.name)
        draw = getattr(plots, f"draw_{EXPERIMENTS[name]}")
        report = {
            "experiment": name,
            "versions": versions(),
            "machine": machine(),
            "found": result,
        }
        return {
            f"{name}.csv": csv_text(number_rows(result, experiment.points)),
            f"{name}.json": json_text(report),
            f"{name}.png": png_bytes(draw(result)),
        }


def find_experiment(name: str) -> "Experiment[Any]":
    """Return the experiment of that name, whose file is imported now."""
    return import_module(f"lm_bandit.lab.{EXPERIMENTS[name]}").EXPERIMENT
