"""The command line: python -m mdp worlds | solve WORLD | learn WORLD.

Thin: it reads the command, calls the library, and shows the results. With --out it also
writes them to files first, which appear only when they are all complete.
"""

from mdp.interface import stopping

if __name__ == "__main__":
    stopping.watch()  # first: the imports below take a while

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from rich.table import Table
from tyro.conf import OmitArgPrefixes, Positional, Suppress, arg

import mdp
from mdp.checks import CheckedConfig
from mdp.fast import learners
from mdp.fast.learners import ALGORITHMS, Learners
from mdp.interface.command_line import Terminal, name_files, run
from mdp.interface.compilation import fix_threads, prepare_card
from mdp.interface.files import Content, csv_text, png_bytes
from mdp.interface.jobs import Runner
from mdp.interface.progress import BarProgress
from mdp.interface.runs import open_run, settings_of
from mdp.interface.tables import explained_table
from mdp.interface.workers import WorkersConfig
from mdp.worlds import WORLDS, World, acted_in
from mdp.worlds.world import cells

METHODS = {
    "value_iteration": mdp.value_iteration,
    "value_iteration_in_place": mdp.value_iteration_in_place,
    "policy_iteration": mdp.policy_iteration,
    "modified_policy_iteration": mdp.modified_policy_iteration,
}
# Ends of the names of files.
SOLVED = (".csv", ".png", "_residuals.png", "_sweeps.html")
LEARNED = ("_learning.csv", "_learning.png")
MOST_ROWS = 24  # of a table on the screen; the file has them all
MOST_FRAMES = 20  # of an animation

console = Terminal()


@dataclass(frozen=True)
class Worlds:
    """List the worlds, or show the page of one."""

    # The world whose page to show; without a name all are listed.
    world: Positional[Annotated[str | None, arg(metavar="[WORLD]")]] = None

    @staticmethod
    def names() -> dict[str, Iterable[str]]:
        """Return the names that the command takes, for its help."""
        return {"WORLD": WORLDS}

    def run(self) -> None:
        """Print a line for each world, or the docstring of one."""
        if self.world is not None:
            page = mdp.worlds.find(self.world).make.__doc__
            console.print(page)
            return
        rows = []
        for world in WORLDS.values():
            made = world.make()
            numbers = made.num_states, made.num_actions, made.discounts.max()
            rows.append((world.name, *(f"{n:g}" for n in numbers), world.title))
        columns = {
            "world": "",
            "S": "number of states",
            "A": "number of actions",
            "gamma": "discount: a reward after one more step counts so much less",
            "what it is": "python -m mdp worlds WORLD shows its page",
        }
        console.print(explained_table("", columns, rows, texts=("what it is",)))


@dataclass(frozen=True)
class Solve:
    """Compute the optimal values and policy of a world: exactly, from its model."""

    # The world to solve.
    world: Positional[Annotated[str, arg(metavar="WORLD")]]
    # How to solve it; all methods find the same values.
    method: Literal[*METHODS] = "value_iteration"
    # gamma, from 0 to 1: a reward after one more step counts so much less; the default
    # is the world's own.
    discount: float | None = None
    # Folder for a table, pictures and an animation; without it nothing is written.
    out: Path | None = None
    # Replace the files of this world in that folder.
    overwrite: bool = False

    @staticmethod
    def names() -> dict[str, Iterable[str]]:
        """Return the names that the command takes, for its help."""
        return {"WORLD": WORLDS}

    def run(self) -> None:
        """Print the solution, after writing it if --out is given."""
        world, model = _make(self.world, self.discount)
        names = tuple(f"{world.name}{end}" for end in SOLVED)
        with open_run(self.out, settings_of(self), names, self.overwrite) as run:
            solution = self._solve(world, model)
            # Values of nan and rows of zeros are left out of tables and pictures.
            shown = acted_in(model)
            solved = solution._replace(
                values=np.where(shown, solution.values, np.nan),
                policy=np.where(shown[:, None], solution.policy, 0.0),
            )
            paths = run.write(self._files(world, model, solved) if self.out else {})
        start = f"value of the start {model.start @ solution.values:.6g}"
        _show_solution(world, solved)
        console.print(
            f"{self.method}: {len(solution.residuals)} rounds, {start}. The value of a "
            "state is the mean return (the rewards from there on, discounted) with "
            "the best actions."
        )
        name_files(console, paths)

    def _solve(self, world: World, model: mdp.MDP) -> mdp.Solution:
        solution = METHODS[self.method](model)
        if not solution.converged:
            raise ValueError(
                f"{world.name} must have finite values, got some that still change "
                f"after {len(solution.residuals)} sweeps: try a --discount below 1"
            )
        return solution

    def _files(
        self, world: World, model: mdp.MDP, solution: mdp.Solution
    ) -> dict[str, Content]:
        # Only here, because it takes a while to import.
        from mdp import plots

        picture, _ = plots.draw_solution(
            solution.values,
            solution.policy,
            world.actions,
            world.drawing,
            world.states,
            world.sides,
        )
        residuals = plots.plot_residuals({self.method: solution.residuals})
        table = [("state", "value", "best actions"), *_rows(world, solution)]
        files: dict[str, Content] = {
            f"{world.name}.csv": csv_text(table),
            f"{world.name}.png": png_bytes(picture.figure),
            f"{world.name}_residuals.png": png_bytes(residuals.figure),
        }
        if world.drawing:
            sweeps = [np.zeros(model.num_states)]
            while len(sweeps) <= min(MOST_FRAMES, len(solution.residuals)):
                sweeps.append(mdp.optimality_backup(model, sweeps[-1]))
            shown = np.where(np.isnan(solution.values), np.nan, sweeps)
            page = plots.animate_sweeps(shown, world.drawing).to_jshtml()
            files[f"{world.name}_sweeps.html"] = page
        return files


@dataclass(frozen=True)
class LearnerConfig(mdp.ControlConfig):
    """Numbers of the learners; this command keeps no snapshots of q."""

    # Not used here.
    num_snapshots: Annotated[int, Suppress] = 1


@dataclass(frozen=True)
class Learn(CheckedConfig):
    """Learn to act in a world from samples, and compare with the exact optimum."""

    common: ClassVar[tuple[str, ...]] = (
        *("--algorithms", "--num-episodes", "--step-size", "--exploration"),
        *("--seeds", "--seed", "--discount", "--window", "--out", "--overwrite"),
    )

    # The world to learn in.
    world: Positional[Annotated[str, arg(metavar="WORLD")]]
    # The algorithms to run.
    algorithms: tuple[Literal[*ALGORITHMS], ...] = ("sarsa", "q_learning")
    # Learners of each algorithm, independent of each other; usually 10 to 100.
    seeds: int = 20
    # Seed of the random numbers of all of them.
    seed: int = 0
    # Episodes whose returns are averaged, in the table and the picture.
    window: int = 20
    # gamma, from 0 to 1: a reward after one more step counts so much less; the default
    # is the world's own.
    discount: float | None = None
    # Folder for the returns and their picture; without it nothing is written. With it,
    # the same command goes on where it was stopped.
    out: Path | None = None
    # Replace the files of this world in that folder.
    overwrite: bool = False
    # The processes or the cluster that share the learners.
    share: Annotated[WorkersConfig, OmitArgPrefixes] = field(
        default_factory=WorkersConfig
    )
    # The learners' numbers, which all algorithms share.
    control: Annotated[LearnerConfig, OmitArgPrefixes] = field(
        default_factory=LearnerConfig
    )

    @staticmethod
    def names() -> dict[str, Iterable[str]]:
        """Return the names that the command takes, for its help."""
        return {"WORLD": WORLDS}

    def run(self) -> None:
        """Print the returns of each algorithm, after writing them if asked to."""
        most = self.control.num_episodes
        if not 1 <= self.window <= most:
            raise ValueError(f"--window must be in 1..{most}, got {self.window}")
        if self.seeds < 1:
            raise ValueError(f"--seeds must be at least 1, got {self.seeds}")
        world, model = _make(self.world, self.discount)
        solution = mdp.policy_iteration(model)
        optimum = float(model.start @ solution.values)
        names = tuple(f"{world.name}{end}" for end in LEARNED)
        with open_run(self.out, settings_of(self), names, self.overwrite) as run:
            progress = BarProgress(console, run=run)
            with progress.shown(), self.share.executor() as executor:
                runner = Runner(executor, progress, (Learners,))
                control = mdp.ControlConfig(**vars(self.control))
                learned = learners.learn_and_value(
                    self.algorithms, model, control, self.seed, self.seeds, runner
                )
                returns = {name: each.returns for name, each in learned.items()}
                paths = run.write(
                    self._files(world, returns, optimum) if self.out else {}
                )
        self._show(learned, optimum)
        name_files(console, paths)

    def _show(self, learned: dict[str, Learners], optimum: float) -> None:
        """Print the returns at the end of learning, and the values of what it gave."""
        rows = []
        for name, (returns, values) in learned.items():
            last = returns[:, -self.window :].mean(1)
            ending = values[np.isfinite(values)]
            greedy = _with_error(ending) if len(ending) else "never ends"
            rows.append((name, _with_error(last), greedy, f"{optimum:.4g}"))
        endless = sum(np.isnan(values).sum() for _, values in learned.values())
        notes = [
            f"x ± e: the mean of {self.seeds} learners, and 1.96 standard errors; the "
            "mean of very many learners would be that near in about 95 of 100 cases."
        ]
        if endless:
            notes.append(
                f"Left out: {endless} of {len(learned) * self.seeds} greedy policies. "
                "They never end an episode, and gamma is 1: they have no finite value."
            )
        columns = {
            "algorithm": "",
            "return while learning": f"mean return of the last {self.window} episodes, "
            "in which the learner still explores and pays for it",
            "greedy policy": "exact value of the policy that it has learned: always "
            "the action with the largest q, without exploration",
            "optimum": "exact value of the best policy",
        }
        title = f"{self.world}, {self.control.num_episodes} episodes"
        console.print(explained_table(title, columns, rows, notes=notes), "")

    def _files(
        self,
        world: World,
        returns: dict[str, Float[np.ndarray, "learners episodes"]],
        optimum: float,
    ) -> dict[str, Content]:
        # Only here, because it takes a while to import.
        from mdp import plots

        curves = plots.plot_learning(returns, optimum, self.window)
        curves.set_title(f"{world.name}, {self.seeds} learners each")
        rows: list[tuple] = [("algorithm", "learner", "episode", "return")]
        for name, table in returns.items():
            for (learner, episode), value in np.ndenumerate(table):
                rows.append((name, learner, episode + 1, value))
        return {
            f"{world.name}_learning.csv": csv_text(rows),
            f"{world.name}_learning.png": png_bytes(curves.figure),
        }


def main(args: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 2 after one line about a mistake."""
    fix_threads()
    prepare_card()
    commands = Worlds | Solve | Learn
    return run(commands, args, "python -m mdp", "Finite MDPs, solved and learned.")


def _make(name: str, discount: float | None) -> tuple[World, mdp.MDP]:
    world = mdp.worlds.find(name)
    model = world.make()
    return world, model if discount is None else model.with_discount(discount)


def _with_error(numbers: Float[np.ndarray, "n"]) -> str:
    """Return the mean and 1.96 of its standard errors."""
    error = 0.0
    if len(numbers) > 1:
        error = 1.96 * numbers.std(ddof=1) / np.sqrt(len(numbers))
    return f"{numbers.mean():.4g} ± {error:.2g}"


def _rows(world: World, solution: mdp.Solution) -> list[tuple[str, str, str]]:
    """Return state, value and best actions, by name, for every finite value."""
    values = solution.values
    names = world.states or [str(s) for s in range(len(values))]
    best = [" ".join(compress(world.actions, row)) for row in solution.policy > 0]
    acted = np.flatnonzero(np.isfinite(values)).tolist()
    return [(names[s], f"{values[s]:.6g}", best[s]) for s in acted]


def _show_solution(world: World, solution: mdp.Solution) -> None:
    """Print the values and the best actions, as a small grid or state by state."""
    if world.drawing and len(world.drawing[0]) <= 12:
        numbers = [f"{value:.4g}" for value in solution.values]
        arrows = ["".join(compress(world.actions, row)) for row in solution.policy > 0]
        for title, texts in (("Values", numbers), ("Best actions", arrows)):
            grid = [list(letters) for letters in world.drawing]
            for (row, column), s in cells(world.drawing).items():
                if np.isfinite(solution.values[s]):
                    grid[row][column] = texts[s]
            shown = Table.grid(padding=(0, 2))
            for line in grid:
                shown.add_row(*line)
            console.print(title, shown, "")
        return
    rows = _rows(world, solution)
    columns = dict.fromkeys(("state", "value", "best actions"), "")
    table = explained_table("", columns, rows[:MOST_ROWS], texts=("best actions",))
    console.print(table, "")
    if len(rows) > MOST_ROWS:
        console.print(f"... and {len(rows) - MOST_ROWS} more: see --out DIR")


if __name__ == "__main__":
    raise SystemExit(main())
