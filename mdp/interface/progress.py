"""Which stage a run is at, and how long it will take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

STAGES = {
    "pretraining": "pretraining on babble",
    "SFT": "SFT on demonstrations",
    "reward model": "reward model on comparisons",
    "PPO": "PPO against the reward model",
    "exact oracle": "exact oracle, every completion",
    "estimates": "estimates from samples",
}


class Progress:
    """Told of every stage; this one keeps the seconds and shows nothing."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Callable[..., None]]:
        """Time a stage of so many steps; yields what to call as steps get done."""
        started = time.perf_counter()
        yield self.begin(name, steps)
        self.seconds[name] = time.perf_counter() - started

    def begin(self, name: str, steps: int) -> Callable[..., None]:
        return lambda done, metrics=None: None


class BarProgress(Progress):
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
