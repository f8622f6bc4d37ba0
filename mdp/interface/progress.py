"""Progress of a long command: its stages, how far each is, how long each took.

    progress = BarProgress(console)
    with progress.shown("nothing was written"):
        with progress.stage("PPO", num_updates) as report:
            train(..., report=report)             # calls report(updates_done)
    progress.seconds["PPO"]

Library functions take a `Progress` and call it; only a command line shows bars.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import rich.progress
from rich.progress import Progress as Bars

from mdp.interface.command_line import Terminal, printable

# report(done, metrics=None): called with the number of steps done so far.
Report = Callable[..., None]


class Progress:
    """The seconds that each stage took; shows nothing."""

    def __init__(self) -> None:
        """Start without stages."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Report]:
        """Time a stage of so many steps, and yield its report function."""
        started = time.perf_counter()
        yield self._begin(name, steps)
        self.seconds[name] = time.perf_counter() - started

    def _begin(self, name: str, steps: int) -> Report:
        return lambda done, metrics=None: None


class BarProgress(Progress):
    """Progress with a bar for each stage, in a terminal."""

    def __init__(
        self, console: Terminal, titles: Mapping[str, str] | None = None
    ) -> None:
        """Prepare bars on a console; `shown` shows them.

        Args:
            console: where to show them.
            titles: longer texts to show instead of the names of stages.
        """
        super().__init__()
        self.console = console
        self.titles = titles or {}
        self.current = "the start"  # title of the latest stage
        self.bars = Bars(
            rich.progress.TextColumn("{task.description:32}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn("left"),
            rich.progress.TimeRemainingColumn(),
            console=console,
        )

    @contextmanager
    def shown(self, kept: str = "nothing was written") -> Iterator[None]:
        """Show the bars; Ctrl-C ends the program with one line and exit status 130.

        Args:
            kept: what that line says of the files, after "Stopped during STAGE; ".
        """
        try:
            with self.bars:
                yield
        except KeyboardInterrupt:
            self.console.print(f"Stopped during {self.current}; {kept}.")
            raise SystemExit(130) from None

    def _begin(self, name: str, steps: int) -> Report:
        self.current = printable(self.titles.get(name, name))
        task = self.bars.add_task(self.current, total=steps)
        return lambda done, metrics=None: self.bars.update(task, completed=done)
