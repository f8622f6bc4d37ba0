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
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
from rich.table import Table
from tyro.conf import OmitArgPrefixes, Positional

import mdp
from mdp.checks import CheckedConfig
from mdp.interface.command_line import Terminal, name_files, run
from mdp.interface.files import Content, csv_text, png_bytes
from mdp.interface.progress import BarProgress
from mdp.interface.runs import open_run, settings_of
from mdp.worlds import WORLDS, World, acted_in
from mdp.worlds.world import cells

METHODS = {
    "value_iteration": mdp.value_iteration,
    "value_iteration_in_place": mdp.value_iteration_in_place,
    "policy_iteration": mdp.policy_iteration,
    "modified_policy_iteration": mdp.modified_policy_iteration,
}
ALGORITHMS = {
    "monte_carlo": mdp.monte_carlo_control,
    "sarsa": mdp.sarsa,
    "expected_sarsa": mdp.expected_sarsa,
    "q_learning": mdp.q_learning,
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

    world: Positional[str | None] = None  # the one whose page to show

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
        _show(Table("world", "S", "A", "gamma", "", box=None), rows)


@dataclass(frozen=True)
class Solve:
    """Compute the optimal values and policy of a world: exactly, from its model."""

    world: Positional[str]  # its name, as listed by `python -m mdp worlds`
    method: Literal[*METHODS] = "value_iteration"  # how to solve it
    discount: float | None = None  # gamma in [0, 1]; the default is the world's own
    out: Path | None = None  # a directory for a table, pictures and an animation
    overwrite: bool = False  # replace this world's files there

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
        console.print(f"{self.method}: {len(solution.residuals)} rounds, {start}")
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
class Learn(CheckedConfig):
    """Learn to act in a world from samples, and compare with the exact optimum."""

    world: Positional[str]  # its name, as listed by `python -m mdp worlds`
    algorithms: tuple[Literal[*ALGORITHMS], ...] = ("sarsa", "q_learning")  # to run
    seeds: int = 20  # independent learners for each algorithm
    seed: int = 0  # of the random numbers of all of them
    window: int = 20  # episodes over which returns are averaged in the picture
    discount: float | None = None  # gamma in [0, 1]; the default is the world's own
    # A directory for the returns and their picture; with it, the same command goes on
    # where it was stopped.
    out: Path | None = None
    overwrite: bool = False  # replace this world's files there
    control: Annotated[mdp.ControlConfig, OmitArgPrefixes] = field(
        default_factory=mdp.ControlConfig
    )

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
            with progress.shown():
                returns = self._learn(model, progress)
                paths = run.write(
                    self._files(world, returns, optimum) if self.out else {}
                )
        rows = []
        for name, table in returns.items():
            last = table[:, -self.window :].mean(1)
            error = 1.96 * last.std(ddof=1) / np.sqrt(len(last)) if len(last) > 1 else 0
            rows.append((name, f"{last.mean():.4g} ± {error:.2g}", f"{optimum:.4g}"))
        recent = f"return, last {self.window} episodes"
        _show(Table("algorithm", recent, "optimum", box=None), rows)
        name_files(console, paths)

    def _learn(
        self, model: mdp.MDP, progress: BarProgress
    ) -> dict[str, Float[np.ndarray, "learners episodes"]]:
        """Return the returns of every learner by each algorithm."""
        returns = {}
        for name in self.algorithms:

            def learn(
                algorithm: mdp.control.ControlAlgorithm = ALGORITHMS[name],
            ) -> Any:
                rng = np.random.default_rng(self.seed)
                learned = mdp.learn_many(
                    rng, model, self.control, algorithm, self.seeds
                )
                return learned.returns

            with progress.stage(name, self.seeds) as report:
                returns[name] = progress.kept(name, learn)
                report(self.seeds)
        return returns

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
    commands = Worlds | Solve | Learn
    return run(commands, args, "python -m mdp", "Finite MDPs, solved and learned.")


def _make(name: str, discount: float | None) -> tuple[World, mdp.MDP]:
    world = mdp.worlds.find(name)
    model = world.make()
    return world, model if discount is None else model.with_discount(discount)


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
        for texts in (numbers, arrows):
            grid = [list(letters) for letters in world.drawing]
            for (row, column), s in cells(world.drawing).items():
                if np.isfinite(solution.values[s]):
                    grid[row][column] = texts[s]
            _show(Table.grid(padding=(0, 2)), grid)
        return
    rows = _rows(world, solution)
    _show(Table("state", "value", "best actions", box=None), rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        console.print(f"... and {len(rows) - MOST_ROWS} more: see --out DIR")


def _show(table: Table, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        table.add_row(*row)
    console.print(table, "")


if __name__ == "__main__":
    raise SystemExit(main())
