"""Answers next to the right ones, as numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.exercises import same


class Trial(NamedTuple):
    """The candidate's answer to a case, and that of the reference."""

    inputs: Mapping[str, Any]
    got: Any
    expected: Any
    tolerance: float


class Pair(NamedTuple):
    """One part of the answers to a case, as numbers of the same shape."""

    inputs: dict[str, np.ndarray]  # by name; those of named tuples are fields
    ours: np.ndarray
    theirs: np.ndarray
    wrong: np.ndarray  # where they differ
    digits: float  # relative differences below this are rounding
    is_truth: bool  # True and False, as 1 and 0

    def holds(self, made: np.ndarray, where: Any = ...) -> bool:
        """Say whether our numbers are these, up to rounding, in some places."""
        made = np.broadcast_to(made, self.ours.shape)
        is_finite = np.isfinite(self.theirs)
        scale = np.max(abs(self.theirs), initial=self.digits, where=is_finite)
        ours, least = self.ours[where], self.digits * scale
        return np.allclose(ours, made[where], self.digits, least, equal_nan=True)


def pair(trial: Trial) -> Pair:
    """Our numbers and the right ones, of the same shape."""
    coarse = np.asarray(trial.expected).dtype == np.float32
    is_truth = np.asarray(trial.expected).dtype == bool
    ours, theirs = np.asarray(trial.got, float), np.asarray(trial.expected, float)
    least = same.COARSE if coarse else 1e-9
    near = np.isclose(ours, theirs, least, max(trial.tolerance, least), equal_nan=True)
    digits = 1e-4 if coarse else max(1e-7, trial.tolerance)
    return Pair(numbers_in(trial.inputs), ours, theirs, ~near, digits, is_truth)


def numbers_in(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inputs that are numbers, truths or words, and such fields of their tuples."""
    found = {}
    for name, value in inputs.items():
        fields = getattr(value, "_asdict", None)
        if fields is not None:
            inner = numbers_in(fields())
            found |= {f"{name}.{n}": x for n, x in inner.items() if "." not in n}
        elif isinstance(value, str) or is_numeric(value):
            found[name] = np.asarray(value)
    return found


def is_numeric(value: Any) -> bool:
    """Say whether a value is a number or an array of numbers."""
    if same.is_key(value):
        return False
    try:
        return np.asarray(value).dtype.kind in "fiub"
    except (ValueError, TypeError):
        return False


def num_distinct(pairs: list[Pair]) -> int:
    """The number of different right numbers in the places of wrong ones."""
    return len({float(x) for p in pairs for x in p.theirs[p.wrong]})


def fits(value: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Say whether an array can be combined with one of this shape, entry by entry."""
    try:
        return np.broadcast_shapes(value.shape, shape) == shape
    except ValueError:
        return False
