"""Statistics of the exercises and the students of a class, from its marks.

    difficulty      the share of all students who passed; a small one is hard
    discrimination  the point-biserial correlation between passing this exercise and
                    the number of the others that a student passed; below 0.2 it hardly
                    tells strong students from weak ones

Source: Ebel & Frisbie (1991), Essentials of Educational Measurement.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tests.classroom.grade import Mark
from tests.classroom.outputs import by_student

ATTEMPTS = ("passed", "failed", "no mark")
FEWEST = 3  # attempts; of fewer ones, the share that passed says little
HALF = 0.5


class Misconception(NamedTuple):
    """A trap, or another message, and the students who got it."""

    exercise: str
    trap: int  # its number, from 1; 0 for another message
    message: str
    students: tuple[str, ...]


class Item(NamedTuple):
    """An exercise, and how the class did."""

    exercise: str
    attempts: int
    passed: tuple[str, ...]  # the students who passed
    open: tuple[str, ...]  # those without an attempt
    difficulty: float  # the share of all students who passed
    discrimination: float | None  # None where all passed, or none
    misconceptions: tuple[Misconception, ...]  # the most frequent first

    @property
    def share(self) -> float:
        """The share of attempts that passed."""
        return len(self.passed) / self.attempts if self.attempts else 0.0

    @property
    def most_failed(self) -> bool:
        """Whether most attempts failed."""
        return self.attempts >= FEWEST and self.share < HALF


class Student(NamedTuple):
    """A student, and what has been passed."""

    name: str
    attempts: int
    passed: int
    failed: tuple[str, ...]  # exercises
    no_mark: tuple[str, ...]  # exercises with a file that reaches for answers
    needs_help: bool


def items(marks: list[Mark]) -> list[Item]:
    """The exercises in their order, each with the class's results."""
    students = by_student(marks)
    exercises = list(dict.fromkeys(mark.exercise for mark in marks))
    passed = {(m.student, m.exercise) for m in marks if m.passed}
    table = np.array([[(s, e) in passed for e in exercises] for s in students], float)
    found = []
    for column, name in enumerate(exercises):
        own = [mark for mark in marks if mark.exercise == name]
        ours = table[:, column]
        found.append(
            Item(
                name,
                sum(mark.state in ATTEMPTS for mark in own),
                tuple(mark.student for mark in own if mark.passed),
                tuple(mark.student for mark in own if mark.state not in ATTEMPTS),
                float(ours.mean()),
                point_biserial(ours, table.sum(axis=1) - ours),
                tuple(_misconceptions(own)),
            )
        )
    return found


def point_biserial(passed: np.ndarray, others: np.ndarray) -> float | None:
    """The correlation of a mark, 0 or 1, with a score; None if one of them is constant.

    r  =  (M_1 - M_0) / s  sqrt(p (1 - p)),   s the deviation of the scores
    """
    share, deviation = passed.mean(), others.std()
    if share in (0.0, 1.0) or deviation == 0.0:
        return None
    gap = others[passed == 1].mean() - others[passed == 0].mean()
    return float(gap / deviation * np.sqrt(share * (1 - share)))


def summaries(marks: list[Mark]) -> list[Student]:
    """The students; those who have passed least come first.

    A student needs help who has made no attempt, or has passed fewer than half as many
    exercises as the median student, or fewer than half of at least FEWEST attempts.
    """
    groups = by_student(marks)
    counts = {name: sum(m.passed for m in own) for name, own in groups.items()}
    median = float(np.median(list(counts.values())))
    found = []
    for name, own in groups.items():
        attempts = sum(mark.state in ATTEMPTS for mark in own)
        few = attempts >= FEWEST and counts[name] < HALF * attempts
        failed = tuple(mark.exercise for mark in own if mark.state == "failed")
        no_mark = tuple(mark.exercise for mark in own if mark.state == "no mark")
        needs_help = not attempts or few or counts[name] < HALF * median
        found.append(Student(name, attempts, counts[name], failed, no_mark, needs_help))
    return sorted(found, key=lambda student: (student.passed, student.name))


def _misconceptions(marks: Iterable[Mark]) -> list[Misconception]:
    """The mistakes in one exercise, and who made them; not only those of traps."""
    wrong = [mark for mark in marks if mark.state in ("failed", "no mark")]
    counted = Counter((mark.trap, mark.message) for mark in wrong)
    return [
        Misconception(
            wrong[0].exercise,
            trap,
            message,
            tuple(m.student for m in wrong if (m.trap, m.message) == (trap, message)),
        )
        for (trap, message), _ in sorted(counted.items(), key=_most_telling)
    ]


def _most_telling(counted: tuple[tuple[int, str], int]) -> tuple[int, bool]:
    """The key for sorting: frequent ones first, and of equally frequent ones, traps."""
    (trap, _), count = counted
    return -count, not trap
