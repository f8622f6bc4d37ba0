"""Bars in the terminal: which stage a run is at, and how long it will take."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from lm_bandit import pipeline

STAGES = {
    "pretraining": "pretraining on babble",
    "SFT": "SFT on demonstrations",
    "reward model": "reward model on comparisons",
    "PPO": "PPO against the reward model",
    "exact oracle": "exact oracle, every completion",
    "estimates": "estimates from samples",
}


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
        self.current = STAGES.get(name, name)
        task = self.bars.add_task(self.current, total=steps)
        return lambda done, metrics=None: self.bars.update(task, completed=done)
