"""The main job: RLHF on real human ratings, held against its exact optimum.

python -m lm_bandit [--seed 1] [--out DIR] [--ppo.kl-weight 0.1] [--help]
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from lm_bandit import pipeline, report
from lm_bandit.text import pocket_world
from mdp.command_line import parse, refuse
from policy_gradient.compilation import keep_compiled_programs

STAGES = {
    "pretraining": "pretraining on babble",
    "SFT": "SFT on demonstrations",
    "reward model": "reward model on comparisons",
    "PPO": "PPO against the reward model",
    "exact oracle": "exact oracle, every completion",
}


@dataclass(frozen=True)
class Command(pipeline.RunConfig):
    """The config of a run, and where it goes."""

    out: Path | None = None  # folder for the report and figure [runs/pocket-SEED]


class BarProgress(pipeline.Progress):
    """A progress bar for each stage."""

    def __init__(self, console: Console):
        super().__init__()
        self.current = "the start"
        self.bars = Bars(
            TextColumn("{task.description:32}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )

    def begin(self, name: str, steps: int):
        self.current = STAGES[name]
        task = self.bars.add_task(self.current, total=steps)
        return lambda done, metrics=None: self.bars.update(task, completed=done)


def main() -> None:
    """Parse, run, show."""
    command = parse(Command, "python -m lm_bandit", __doc__.splitlines()[0])
    folder = command.out or Path("runs") / f"pocket-{command.seed}"
    world = _or_refuse(lambda: pocket_world(command.ratings))
    _or_refuse(lambda: _make_writable(folder))
    keep_compiled_programs()
    console = Console()
    progress = BarProgress(console)
    try:
        with progress.bars:
            learned = pipeline.learn(world, command, progress)
            truth = pipeline.measure(world, learned, command, progress)
        found = report.build(world, learned, truth, command)
        found["seconds"] = progress.seconds
        picture = report.figure(found)
        _or_refuse(lambda: report.write(folder, found, picture))
    except KeyboardInterrupt:
        console.print(f"Stopped during {progress.current}; nothing was written.")
        raise SystemExit(130) from None
    console.print(report.values_table(found), report.samples_table(found))
    console.print(
        f"{found['completions']:,} completions enumerated: {found['ended']:,} end and "
        f"are scored one by one, {found['cut_off']:,} are cut off.\n"
        f"{sum(progress.seconds.values()):.0f} s in all. Written to {folder}/: "
        "report.json, reward_kl.png"
    )


def _make_writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def _or_refuse(action):
    """The action's result; what the user got wrong is one line and exit code 2."""
    try:
        return action()
    except OSError as error:
        refuse(f"{error.filename2 or error.filename}: {error.strerror}")
    except ValueError as error:
        refuse(str(error))


if __name__ == "__main__":
    main()
