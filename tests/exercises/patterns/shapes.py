"""The right numbers in another shape, or put together into fewer."""

from collections.abc import Callable, Iterator

import numpy as np

from tests.exercises.patterns.pairs import Trial

RESHAPED: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("{whole} is right, but transposed.", np.transpose),
    ("{whole} has the right numbers in one row: keep the axes.", np.ravel),
    ("{whole} has an axis too many; its numbers are right.", lambda x: x[..., None]),
    ("{whole} has an axis too many; its numbers are right.", lambda x: x[None]),
    ("{whole} lacks its last entry; the others are right.", lambda x: x[:-1]),
    ("{whole} lacks its first entry; the others are right.", lambda x: x[1:]),
    ("{whole} lacks an axis; its numbers are right.", np.squeeze),
)
REDUCTIONS = ("sum", "mean", "max", "min")


def find(trials: list[Trial]) -> str | None:
    """A sentence that is true wherever the shapes differ."""
    both = [
        (np.asarray(t.got, float), np.asarray(t.expected, float))
        for t in trials
        if np.shape(t.got) != np.shape(t.expected)
    ]
    for says, made in RESHAPED:
        if all(_is(made, theirs, ours) for ours, theirs in both):
            return says
    for reduction, along, made in _reductions():
        if all(_is(made, theirs, ours) for ours, theirs in both):
            return f"{{whole}} is the {reduction} of the right numbers{along}."
        if all(_is(made, ours, theirs) for ours, theirs in both):
            return f"The right result is the {reduction} of yours{along}."
    return None


def _reductions() -> Iterator[tuple[str, str, Callable[[np.ndarray], np.ndarray]]]:
    for name in REDUCTIONS:
        yield name, "", getattr(np, name)
        for axis in (0, 1, -1):
            reduction = getattr(np, name)
            yield name, f" along axis {axis}", lambda x, r=reduction, a=axis: r(x, a)


def _is(
    made: Callable[[np.ndarray], np.ndarray], start: np.ndarray, end: np.ndarray
) -> bool:
    try:
        result = made(start)
    except (ValueError, IndexError):  # an axis that is not there
        return False
    return result.shape == end.shape and np.allclose(result, end, 1e-4, 1e-5)
