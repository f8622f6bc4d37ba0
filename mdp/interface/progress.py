"""Progress of a long command: its stages, how far each is, what of it is kept.

    progress = BarProgress(console, run=run)
    with progress.shown():
        with progress.stage("PPO", num_updates) as report:
            train(..., report=report)             # calls report(updates_done)
    progress.seconds["PPO"]

Library functions take a `Progress` and call it; only a command line shows bars and has
a folder. In a folder (`runs.py`) the state of each loop is kept, by its report, and so
is each value that a function passes through `kept`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import rich.progress
from rich.progress import Progress as Bars
from rich.text import Text

from mdp.interface import stopping
from mdp.interface.command_line import Terminal
from mdp.interface.compilation import Compiling
from mdp.interface.keeping import Checkpoint
from mdp.interface.runs import Run

SECONDS_BETWEEN_LINES = 10.0  # of progress, where no bars are shown


class Report:
    """A function that is called as report(done, metrics=None), with the steps done."""

    def __init__(
        self,
        tell: Callable[..., None],
        checkpoint: Callable[[], Checkpoint | None] = lambda: None,
    ) -> None:
        """Report to `tell`; `checkpoint` returns that of the stage's next loop."""
        self.tell, self.checkpoint = tell, checkpoint

    def __call__(self, done: float, metrics: Any = None) -> None:
        """Tell how many steps are done."""
        self.tell(done)


def next_checkpoint(report: Callable[..., None] | None) -> Checkpoint | None:
    """Return the checkpoint of a loop that reports so, if its report has one."""
    return report.checkpoint() if isinstance(report, Report) else None


class Progress:
    """The seconds that each stage took, and what is kept; shows nothing."""

    def __init__(self, run: Run | None = None) -> None:
        """Start without stages, in the folder of a run if there is one."""
        self.run = run or Run()
        self.seconds: dict[str, float] = {}
        self.compiling: dict[str, float] = {}  # seconds, of those above
        self.earlier = 0.0  # seconds of the stage before the program was stopped

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[Report]:
        """Time a stage of so many steps, and yield its report function.

        An error in the stage gets its name as a note.
        """
        loops: list[Checkpoint] = []

        def checkpoint() -> Checkpoint | None:
            found = self.run.checkpoint(f"{name} {len(loops) + 1}")
            loops.extend([found] if found else [])
            return found

        Compiling.watch()
        self.earlier, started = 0.0, time.perf_counter()
        compiled = Compiling.seconds
        try:
            yield Report(self._begin(name, steps), checkpoint)
        except Exception as error:
            error.add_note(name)
            raise
        earlier = self.earlier + sum(loop.seconds for loop in loops)
        self.seconds[name] = time.perf_counter() - started + earlier
        self.compiling[name] = Compiling.seconds - compiled
        self._end(name)

    def kept(self, name: str, make: Callable[[], Any], *types: type) -> Any:
        """Return a value that is made once in the folder of a run, see `Run.kept`."""
        value, seconds = self.run.kept(name, make, *types)
        self.earlier += seconds
        return value

    def _begin(self, name: str, steps: int) -> Callable[[float], None]:
        return lambda done: None

    def _end(self, name: str) -> None:
        """Tell that a stage is done."""


class BarProgress(Progress):
    """Progress with a bar for each stage in a terminal, and with lines in a pipe."""

    def __init__(
        self,
        console: Terminal,
        titles: Mapping[str, str] | None = None,
        run: Run | None = None,
    ) -> None:
        """Prepare bars; `shown` shows them on the standard error.

        Args:
            console: where the results will be shown; it tells of Ctrl-C.
            titles: longer texts to show instead of the names of stages.
            run: where to keep what is done.
        """
        super().__init__(run)
        self.console = console
        self.titles = titles or {}
        self.current = "the start"  # title of the latest stage
        self.active: dict[str, tuple[str, float, int]] = {}  # title, done, steps
        self.bars = Bars(
            rich.progress.TextColumn("{task.description:32}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeElapsedColumn(),
            _TimeLeft(),
            console=Terminal(stderr=True),
        )

    @contextmanager
    def shown(self, kept: str | None = None) -> Iterator[None]:
        """Show the bars; Ctrl-C ends the program with one line and exit status 130.

        Args:
            kept: what that line says of the files, after "Stopped during STAGE; "; by
                default what is kept of the run.
        """

        def line() -> str:
            return f"Stopped during {self.current}; {kept or self.run}."

        stopping.tell(line)
        in_terminal = self.bars.console.is_terminal
        try:
            with self.bars if in_terminal else self._lines():
                yield
        except KeyboardInterrupt:
            self.console.print(line())
            raise SystemExit(130) from None

    def _begin(self, name: str, steps: int) -> Callable[[float], None]:
        self.current = stopping.printable(self.titles.get(name, name))
        title = self.current
        self.active[name] = title, 0.0, steps
        task = self.bars.add_task(title, total=steps)

        def tell(done: float) -> None:
            self.active[name] = title, done, steps
            self.bars.update(task, completed=done)

        return tell

    def _end(self, name: str) -> None:
        stage = self.active.pop(name)
        if not self.bars.console.is_terminal:
            self._print_line(stage, f", {self.seconds[name]:.0f} s")

    def _print_line(self, stage: tuple[str, float, int], note: str) -> None:
        title, done, steps = stage
        line = f"{title}: {done:,.0f} of {steps:,}{note}"
        self.bars.console.print(line, soft_wrap=True)

    @contextmanager
    def _lines(self) -> Iterator[None]:
        """Print a line now and then, as a pipe or a file shows no bars."""
        ended = Event()

        def tell() -> None:
            while not ended.wait(SECONDS_BETWEEN_LINES):
                stages = list(self.active.values())
                for stage in stages[-1:]:  # the latest of those that go on
                    self._print_line(stage, ", compiling" if Compiling.now else "")

        thread = Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class _TimeLeft(rich.progress.TimeRemainingColumn):
    """The time that a stage still takes, or that a program is being compiled."""

    max_refresh = 0.0  # show a change at once

    def render(self, task: rich.progress.Task) -> Text:
        if Compiling.now and not task.finished:
            return Text("compiling")
        return Text("left ") + super().render(task)
