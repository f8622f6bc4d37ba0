"""Time and peak memory of a piece of work as it grows: `python -m benchmarks scaling`.

    states         solving a grid to 1e-6: value iteration, and `solve_large`
    environments   128 random steps in each of many FrozenLakes
    width          one update of fine-tuning, 64 texts of 32 tokens, 4 blocks
    completions    J, J* and both KLs, summed over every completion of 8 prompts
    devices        the update of width 128, its batch shared out among parts of a CPU

A further panel is one more `Curve` below. Every point is measured in a process of its
own; a point may set the variables of its process, such as the number of devices that
jax makes of a CPU.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
from rich.console import Console

import mdp
from benchmarks import lm_bandit
from benchmarks import mdp as worlds
from benchmarks import policy_gradient as acting
from benchmarks.alone import Measured, measure
from benchmarks.trl_peers import random_reward_model
from lm_bandit import transformer
from lm_bandit.config import RLHFConfig, TransformerConfig
from lm_bandit.oracle import exact, problem, streamed, trie
from lm_bandit.world import World, wide_world
from mdp.interface.files import machine, png_bytes, read_json, write_files, write_json
from policy_gradient import devices

LIMIT = 120.0  # seconds for one point
EPSILON = 1e-6
TUNING = RLHFConfig()


def no_variables(size: int) -> Mapping[str, str]:
    """Return the variables of a process that needs none."""
    return {}


@dataclass(frozen=True)
class Curve:
    """One piece of work at several sizes."""

    panel: str  # what grows: curves of one panel are drawn together
    name: str
    unit: str  # what a run's amount counts
    sizes: tuple[int, ...]
    prepare: Callable[[int], Callable[[], float]]  # the work of a size, see alone.py
    power: float = 1.0  # of the size: the slope of the line that is drawn beside it
    size_of: Callable[[int], float] = float  # where the axis counts something else
    variables: Callable[[int], Mapping[str, str]] = no_variables


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    panel: str
    curve: str
    unit: str
    power: float
    size: float
    measured: Measured


def curves() -> tuple[Curve, ...]:
    """Return all curves, in the order in which they are drawn."""
    return (
        Curve(
            "states",
            "value iteration",
            "states",
            (10, 32, 56),
            partial(solve_grid, "value_iteration"),
            size_of=_squared,
        ),
        Curve(
            "states",
            "solve_large",
            "states",
            (10, 32, 100, 316, 1000),
            partial(solve_grid, "solve_large"),
            size_of=_squared,
        ),
        Curve("environments", "random steps", "steps", (1, 16, 256, 4096, 65536), act),
        Curve("width", "SFT", "tokens", (32, 64, 128, 256, 512), fine_tune, power=2.0),
        Curve(
            "completions",
            "listed (exact.py)",
            "completions",
            (12, 18, 27, 39),
            list_completions,
            size_of=_completions,
        ),
        Curve(
            "completions",
            "summed (streamed.py)",
            "completions",
            (12, 18, 27, 39, 60),
            sum_completions,
            size_of=_completions,
        ),
        Curve(
            "devices",
            "SFT, width 128",
            "tokens",
            (1, 2, 4),
            fine_tune_on,
            power=0.0,
            variables=parts_of_a_cpu,
        ),
    )


def main(arguments: list[str]) -> None:
    """Measure all points, print them, and save numbers and figure."""
    parser = argparse.ArgumentParser("python -m benchmarks scaling")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="save the numbers; panels that are not measured now keep theirs",
    )
    parser.add_argument("--figure", type=Path, metavar="FILE", help="save the figure")
    parser.add_argument("--only", metavar="WORD", default="", help="of panels' names")
    options = parser.parse_args(arguments)
    panels = list(dict.fromkeys(curve.panel for curve in curves()))
    points = saved_points(options.json) if options.json else []
    points = [point for point in points if options.only not in point.panel]
    for curve in curves():
        for size in curve.sizes if options.only in curve.panel else ():
            points.append(take_point(curve, size))
            Console().print(_line(points[-1]), highlight=False, soft_wrap=True)
            points.sort(key=lambda point: panels.index(point.panel))
            if options.json:  # after each point: the command may be stopped
                write_json(options.json, {"machine": machine(), "points": points})
    if options.figure:
        from benchmarks.plots import scaling_figure

        picture = png_bytes(scaling_figure(points))
        write_files(options.figure.parent, {options.figure.name: picture})


def saved_points(file: Path) -> list[Point]:
    """Return the points of a file that was saved before, if there is one."""
    if not file.exists():
        return []
    saved = read_json(file)["points"]
    return [
        Point(**{**each, "measured": Measured(**each["measured"])}) for each in saved
    ]


def take_point(curve: Curve, size: int) -> Point:
    """Measure one point of a curve."""
    work, variables = partial(curve.prepare, size), curve.variables(size)
    found = measure(work, LIMIT, variables)
    place = curve.size_of(size)
    return Point(curve.panel, curve.name, curve.unit, curve.power, place, found)


def _line(point: Point) -> str:
    """Return one line about a point."""
    found, name = point.measured, f"{point.panel} {point.size:12,.0f}  {point.curve:22}"
    if found.problem:
        return f"{name} {found.problem}"
    rate = f"{found.amount / found.seconds:12.3g} {point.unit}/s"
    return f"{name} {found.seconds:10.4g} s {rate:26} {found.peak_gb:6.2f} GB"


# The work. Each function returns what is timed.


def solve_grid(solver: str, side: int) -> Callable[[], float]:
    """Return the solution of a grid of side x side states by one of our solvers."""
    world = worlds.grid(side)

    def solve() -> float:
        assert getattr(mdp, solver)(world, EPSILON).converged
        return float(world.num_states)

    return solve


def act(num_environments: int) -> Callable[[], float]:
    """Return random steps in FrozenLake, by many environments side by side."""
    steps = acting.random_actors(mdp.worlds.frozen_lake, num_environments)
    return lambda: float(acting.act_in_jax(steps))


def fine_tune_on(num_devices: int) -> Callable[[], float]:
    """Return an update of fine-tuning whose batch is shared out among the devices."""
    devices.use(num_devices)
    return fine_tune(128)


def parts_of_a_cpu(count: int) -> Mapping[str, str]:
    """Return the variables of a process whose CPU is `count` devices."""
    return {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}"}


def fine_tune(width: int) -> Callable[[], float]:
    """Return an update of fine-tuning of a transformer of this width."""
    size = TransformerConfig(num_layers=4, num_heads=4, d_model=width)
    train = lm_bandit.our_fine_tuning(1, size)

    def update() -> float:
        train()
        return float(lm_bandit.BATCH * lm_bandit.TEXT)

    return update


def list_completions(num_words: int) -> Callable[[], float]:
    """Return the exact values, from the list of all completions."""
    world, models = random_world(num_words), random_models(num_words)

    def evaluate() -> float:
        posed = problem.pose_problem(world, models.reference, models.scorer, TUNING)
        policy = trie.policy_log_probs(models.policy, world)
        exact.policy_value(posed, policy)
        exact.kl(posed.reference, policy)
        exact.optimal_objective(posed)
        return _completions(num_words)

    return evaluate


def sum_completions(num_words: int) -> Callable[[], float]:
    """Return the exact values, summed without a list."""
    world, models = random_world(num_words), random_models(num_words)
    return lambda: float(streamed.evaluate(models, world, TUNING).completions)


def random_world(num_words: int) -> World:
    """Return the wide world with `num_words` words, and completions of 4 tokens."""
    wide = wide_world()
    return wide._replace(
        vocabulary=wide.vocabulary[: num_words + 1],
        ratings=wide.ratings[: num_words + 1],
        completion_length=4,
    )


def random_models(num_words: int) -> streamed.Models:
    """Return a random policy, reference and reward model of the usual size."""
    context = random_world(num_words).context
    policy, reference = (
        transformer.init(key, num_words + 1, context, TransformerConfig())
        for key in jax.random.split(jax.random.key(0))
    )
    return streamed.Models(policy, reference, random_reward_model(reference))


def _squared(side: int) -> float:
    return float(side**2)


def _completions(num_words: int) -> float:
    return float(trie.num_completions(random_world(num_words)))
