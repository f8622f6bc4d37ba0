"""Exams: the exact performance of learned policies, over several seeds.

A race measures how fast an algorithm is. An exam measures what it learned in a given
number of environment steps: J of its policy by the linear solve, one mark per seed.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Candidate:
    """A learner, and how to obtain its marks."""

    name: str
    marks: Callable[[], Float[np.ndarray, "seeds"]]


@dataclass(frozen=True)
class Exam:
    """One task, and the marks that ours must reach."""

    name: str
    ours: Candidate
    peers: tuple[Candidate, ...] = ()
    median: float | None = None  # mark that the median of our seeds must reach
    worst: float | None = None  # mark that ours must reach with every seed


@dataclass(frozen=True)
class Marks:
    """Marks of one candidate in one exam."""

    exam: str
    candidate: str
    seeds: int
    median: float
    worst: float
    best: float
    verdict: str  # for ours only


def hold_exam(exam: Exam) -> list[Marks]:
    """Return the marks of all candidates, ours first."""
    return [_marked(exam, candidate) for candidate in (exam.ours, *exam.peers)]


def show(results: list[Marks]) -> None:
    """Print a table of all exams."""
    table = Table(*"exam candidate seeds worst median best bar".split())
    for result in results:
        table.add_row(
            result.exam if result.verdict else "",
            result.candidate,
            str(result.seeds),
            f"{result.worst:.3f}",
            f"{result.median:.3f}",
            f"{result.best:.3f}",
            result.verdict,
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _marked(exam: Exam, candidate: Candidate) -> Marks:
    marks = candidate.marks()
    median, worst = float(np.median(marks)), float(marks.min())
    bars = [("median", median, exam.median), ("worst", worst, exam.worst)]
    asked = [(name, mark, bar) for name, mark, bar in bars if bar is not None]
    verdict = ", ".join(f"{name} at least {bar:g}" for name, _, bar in asked)
    verdict += ": holds" if all(mark >= bar for _, mark, bar in asked) else ": MISSED"
    return Marks(
        exam=exam.name,
        candidate=candidate.name,
        seeds=len(marks),
        median=median,
        worst=worst,
        best=float(marks.max()),
        verdict=(verdict if asked else "reported") if candidate is exam.ours else "",
    )
