"""One card, at most 8 minutes: `python -m benchmarks gpu --json gpu.json`.

Fine-tuning, generation and PPO at the usual size of the benchmark (d 128, 4 blocks) and
at that of the smallest GPT-2 (d 768, 12 blocks), each beside torch on the same card,
and the grid of a million states, which torch does not solve. It runs on the device that
jax finds, and names it. Without a card this is the CPU; `--small` has models that take
seconds there.

Both sides multiply in float32. Each measurement has a process of its own and a limit.
If one fails, or has no time left, only its own numbers are missing. Operations on paper
are those of costs.py.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
from rich.console import Console

from benchmarks import costs, lm_bandit
from benchmarks.alone import Measured, Prepare, measure
from benchmarks.lm_peers import NEW_TOKENS, torch_device
from benchmarks.scaling import solve_grid
from lm_bandit.config import TransformerConfig
from mdp.interface.compilation import prepare_card
from mdp.interface.files import machine, write_json

SECONDS = 480.0  # for everything
LIMIT = 110.0  # for one measurement
UPDATES = 8  # of SFT in one call

SMALL = TransformerConfig(num_layers=1, num_heads=2, d_model=16)
USUAL = lm_bandit.SIZE
LARGE = TransformerConfig(num_layers=12, num_heads=12, d_model=768)
SIDE, SMALL_SIDE = 1000, 30  # of the grid


@dataclass(frozen=True)
class Task:
    """One piece of work, by us and perhaps by torch."""

    name: str
    size: str
    unit: str  # what a run's amount counts
    ours: Prepare
    torch: Prepare | None = None
    cost: costs.Cost | None = None  # of one run of ours, on paper


@dataclass(frozen=True)
class Row:
    """The numbers of one task."""

    task: str
    size: str
    unit: str
    ours: Measured
    torch: Measured
    cost: costs.Cost | None


def main(arguments: list[str]) -> None:
    """Measure all tasks in turn, print a line for each, and save them."""
    parser = argparse.ArgumentParser("python -m benchmarks gpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the numbers")
    parser.add_argument("--small", action="store_true", help="tiny sizes: to try it")
    parser.add_argument("--only", metavar="WORD", default="", help="of tasks and sizes")
    options = parser.parse_args(arguments)
    prepare_card()  # in the environment, for the processes that measure
    rows, ends = [], time.monotonic() + SECONDS
    for task in small_tasks() if options.small else tasks():
        if options.only in f"{task.name}, {task.size}":
            rows.append(carry_out(task, ends))
            Console().print(_line(rows[-1]), highlight=False, soft_wrap=True)
    if options.json:
        about = {"machine": machine(), "torch": torch_device()}
        write_json(options.json, {**about, "rows": rows})


def tasks() -> list[Task]:
    """Return the tasks, the most important ones first."""
    return [*of_size(USUAL), *of_size(LARGE), grid_task(SIDE)]


def small_tasks() -> list[Task]:
    """Return the same tasks, at sizes that take seconds on a CPU."""
    return [*of_size(SMALL), grid_task(SMALL_SIDE)]


def of_size(size: TransformerConfig) -> list[Task]:
    """Return the three tasks of a transformer."""
    model = costs.Model(size, lm_bandit.VOCABULARY, lm_bandit.TEXT)
    batch, prompt, settings = lm_bandit.BATCH, lm_bandit.PROMPT, lm_bandit.PPO
    iterations = lm_bandit.ITERATIONS
    name = f"d {size.d_model}, {size.num_layers} blocks"
    return [
        Task(
            f"SFT, {batch} x {lm_bandit.TEXT}",
            name,
            "tokens",
            partial(
                counted,
                partial(lm_bandit.our_fine_tuning, UPDATES, size),
                tokens_learned,
            ),
            partial(torch_fine_tuning, size),
            costs.fine_tuning(model, batch, lm_bandit.TEXT).times(UPDATES),
        ),
        Task(
            f"generation, {batch} x ({prompt} + {NEW_TOKENS})",
            name,
            "tokens",
            partial(counted, partial(lm_bandit.our_generation, size), tokens_written),
            partial(torch_generation, size),
            costs.generation(model, batch, 1, prompt, NEW_TOKENS),
        ),
        Task(
            f"PPO with a critic, {batch} x {NEW_TOKENS}",
            name,
            "iterations",
            partial(counted, partial(lm_bandit.our_ppo, size), float),
            partial(torch_ppo, size),
            costs.ppo(
                model, batch // settings.pulls, prompt, NEW_TOKENS, settings
            ).times(iterations),
        ),
    ]


def grid_task(side: int) -> Task:
    """Return the task of solving a grid of side x side states."""
    solve = partial(solve_grid, "solve_large", side)
    return Task("grid to 1e-6", f"{side * side:,} states", "states", solve)


def carry_out(task: Task, ends: float) -> Row:
    """Measure a task, by us and then by torch, until time is up."""

    def within_limits(prepare: Prepare) -> Measured:
        left = min(LIMIT, ends - time.monotonic())
        return measure(prepare, left) if left > 1 else Measured("no time was left")

    ours = within_limits(task.ours)
    if task.torch is None:
        theirs = Measured("torch has no such solver")
    elif torch_device() is None:
        theirs = Measured("torch and transformers are not installed")
    else:
        theirs = within_limits(task.torch)
    return Row(task.name, task.size, task.unit, ours, theirs, task.cost)


def _line(row: Row) -> str:
    """Return one line about a row."""
    name, ours, theirs = f"{row.task:26} {row.size:18}", row.ours, row.torch
    if not ours.seconds or not ours.amount:
        return f"{name} {ours.problem}"
    text = f"{name} {ours.devices}: {ours.amount / ours.seconds:.4g} {row.unit}/s"
    if row.cost:
        text += f", {row.cost.flops / ours.seconds / 1e9:.3g} GFLOP/s"
    if not theirs.seconds or not theirs.amount:
        return f"{text}; {theirs.problem}"
    rate = theirs.amount / theirs.seconds
    ratio = ours.amount / ours.seconds / rate
    return f"{text}; torch on {torch_device()}: {rate:.4g}, ratio {ratio:.2f}"


# The work, in its own process.


def counted(
    prepare: Callable[[], Callable], amount: Callable[..., float]
) -> Callable[[], float]:
    """Return prepared work that returns the amount of what it made."""
    run = prepare()
    return lambda: amount(run())


def tokens_learned(losses) -> float:
    """Return the number of tokens in the batches that had these losses."""
    return float(len(losses) * lm_bandit.BATCH * lm_bandit.TEXT)


def tokens_written(written) -> float:
    """Return the number of tokens that were written."""
    return float(written.tokens)


def torch_fine_tuning(size: TransformerConfig) -> Callable[[], float]:
    """Return the same updates by torch.compile."""
    _leave_card_to_torch()
    theirs = partial(lm_bandit.their_fine_tuning, UPDATES, True, size)
    return counted(theirs, tokens_learned)


def torch_generation(size: TransformerConfig) -> Callable[[], float]:
    """Return generation by Hugging Face."""
    _leave_card_to_torch()
    return counted(partial(lm_bandit.their_generation, size), tokens_written)


def torch_ppo(size: TransformerConfig) -> Callable[[], float]:
    """Return PPO by TRL."""
    _leave_card_to_torch()
    return counted(
        partial(lm_bandit.their_ppo, size), lambda _: float(lm_bandit.ITERATIONS)
    )


def _leave_card_to_torch() -> None:
    """Let jax make the weights on the CPU."""
    jax.config.update("jax_platforms", "cpu")
