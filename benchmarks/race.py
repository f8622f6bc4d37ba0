"""Races: contestants take turns, each in its own process; rounds are compared.

Machines are noisy, so only ratios within one round count. All contestants of a race are
alive together and run one after the other in every round: a slow minute is slow for all
of them. A race reports the median of the ratios of its rounds, and their
range. Building the model, importing and compiling are not timed.
"""

import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

# A round lasts at least this long: short tasks are repeated within it.
ROUND_SECONDS = 0.05

# Variables that limit linear algebra to the kernels, or the cache, of an old processor.
PINNED = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_DEBUG_CPU_TYPE",
    "NVPL_BLAS_DEBUG_CPU_TYPE",
)


@dataclass(frozen=True)
class Contestant:
    """One way to do the task."""

    name: str
    prepare: Callable[[], Any]  # returns the model in the form of this library
    run: Callable[[Any], Any]  # timed: from the model to the answer
    spent: bool = False  # the model remembers its solution: prepare it for every round


@dataclass(frozen=True)
class Race:
    """One task, and the speed that ours must reach."""

    name: str
    ours: Contestant
    peers: tuple[Contestant, ...] = ()
    bar: float | None = None  # ours must be so many times as fast as the fastest peer
    error: Callable[[Any], float] | None = None  # distance of an answer from the truth
    tolerance: float = 0.0  # the largest error that an answer may have
    amount: Callable[[Any], float] | None = None  # of work done: time is per unit
    memory: float | None = None  # GB that ours may add at most
    seconds: float | None = None  # that ours may take at most
    first: float | None = None  # seconds of its first run, with compilation, at most


@dataclass(frozen=True)
class FirstRun:
    """A contestant's first run, which compiles."""

    answer: Any
    seconds: float
    added_gb: float  # at its peak


@dataclass(frozen=True)
class Result:
    """Times of one contestant in one race."""

    race: str
    contestant: str
    seconds: float  # median, per unit of work
    fastest: float  # of all rounds
    error: float | None
    first: float  # seconds of the first run, which compiles
    added_gb: float  # at the peak of the first run
    ratios: list[float]  # of its time to that of ours, round by round
    verdict: str  # for ours only: the requirements, and whether they were met


def run_race(race: Race, rounds: int) -> list[Result]:
    """Run a race, and return the results, ours first."""
    for name in PINNED:
        os.environ.pop(name, None)
    contestants = (race.ours, *race.peers)
    context = multiprocessing.get_context("spawn")
    pipes, firsts = [], []
    for contestant in contestants:
        here, there = context.Pipe()
        worker = context.Process(target=_serve, args=(there, contestant), daemon=True)
        worker.start()
        there.close()
        # One after the other: together they would compile on each other's cores.
        firsts.append(_answer(here))
        pipes.append(here)
    amounts = [race.amount(first.answer) if race.amount else 1.0 for first in firsts]
    times: list[list[float]] = [[] for _ in contestants]
    for _ in range(rounds):
        for pipe, amount, record in zip(pipes, amounts, times, strict=True):
            pipe.send("go")
            record.append(_answer(pipe) / amount)
    for pipe in pipes:
        pipe.send("stop")
    return compare(race, firsts, times)


def compare(
    race: Race, firsts: list[FirstRun], times: list[list[float]]
) -> list[Result]:
    """Return the results of all contestants, from their times round by round."""
    errors = [race.error(first.answer) if race.error else None for first in firsts]
    ratios = [
        [t / o for t, o in zip(record, times[0], strict=True)] for record in times
    ]
    # A peer that misses the tolerance is shown, but not compared with.
    peers = list(zip(ratios, errors, strict=True))[1:]
    rivals = [peer for peer, error in peers if _fits(race, error)]
    rival = min(rivals, key=statistics.median, default=[float("nan")])
    verdict = _verdict(race, rival, statistics.median(times[0]), firsts[0], errors[0])
    return [
        Result(
            race=race.name,
            contestant=contestant.name,
            seconds=statistics.median(times[i]),
            fastest=min(times[i]),
            first=firsts[i].seconds,
            error=errors[i],
            added_gb=firsts[i].added_gb,
            ratios=ratios[i],
            verdict=verdict if i == 0 else "",
        )
        for i, contestant in enumerate((race.ours, *race.peers))
    ]


def spread(ratios: list[float]) -> str:
    """Return the median of the ratios of all rounds, with the smallest and largest."""
    low, high = min(ratios), max(ratios)
    return f"{statistics.median(ratios):.2f}x ({low:.2f} to {high:.2f})"


def _verdict(
    race: Race,
    rival: list[float],
    seconds: float,
    first: FirstRun,
    error: float | None,
) -> str:
    """Return the requirements on ours, the results, and whether they were met.

    `rival` holds the ratios of the fastest peer.
    """
    parts, holds = [], _fits(race, error)
    if race.bar is not None:
        parts.append(f"{spread(rival)} of {race.bar:g}x")
        holds &= statistics.median(rival) >= race.bar
    if race.seconds is not None:
        parts.append(f"{seconds:.1f} s of {race.seconds:g} s")
        holds &= seconds <= race.seconds
    if race.first is not None:
        parts.append(f"at first {first.seconds:.1f} s of {race.first:g} s")
        holds &= first.seconds <= race.first
    if race.memory is not None:
        parts.append(f"{first.added_gb:.2f} GB of {race.memory:g} GB")
        holds &= first.added_gb <= race.memory
    return f"{', '.join(parts)}: {'holds' if holds else 'MISSED'}"


def _fits(race: Race, error: float | None) -> bool:
    # Not `error > tolerance`: nan is no answer either.
    return error is None or error <= race.tolerance


def _serve(pipe, contestant: Contestant) -> None:
    """Run a contestant in its own process: once to warm up, then at each signal."""
    try:
        model = contestant.prepare()
        began = time.perf_counter()
        with _PeakMemory() as memory:
            answer = contestant.run(model)
        seconds = time.perf_counter() - began
        pipe.send(FirstRun(answer, seconds, memory.added_gb))
        while pipe.recv() == "go":
            if contestant.spent:
                model = contestant.prepare()
            runs, began = 0, time.perf_counter()
            while runs == 0 or time.perf_counter() - began < ROUND_SECONDS:
                contestant.run(model)
                runs += 1
                if contestant.spent:
                    break
            pipe.send((time.perf_counter() - began) / runs)
    except Exception as error:
        pipe.send(error)


def _answer(pipe) -> Any:
    """Return what the process sent, or raise its exception."""
    answer = pipe.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


class _PeakMemory:
    """The peak memory of this process inside a `with` block, minus that before it."""

    def __enter__(self):
        self.before = self.peak = self._now()
        self.done = threading.Event()
        self.watch = threading.Thread(target=self._follow)
        self.watch.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.watch.join()

    @property
    def added_gb(self) -> float:
        return (self.peak - self.before) / 1e9

    def _follow(self) -> None:
        while not self.done.wait(0.005):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now() -> int:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def show(results: list[Result]) -> None:
    """Print a table of all races."""
    heads = "task contestant median fastest first error added ratio bar"
    table = Table(*heads.split())
    for result in results:
        table.add_row(
            result.race if result.verdict else "",
            result.contestant,
            _time(result.seconds),
            _time(result.fastest),
            _time(result.first),
            "" if result.error is None else f"{result.error:.1e}",
            f"{result.added_gb:.2f} GB",
            "" if result.verdict else spread(result.ratios),
            result.verdict,
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _time(seconds: float) -> str:
    """Return a time with a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
