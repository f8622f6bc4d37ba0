"""Find the places of wrong numbers, and whether they are too large or too small."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.exercises.patterns.pairs import Pair, fits

Place = Callable[[Pair], np.ndarray | None]
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
}


def find(pairs: list[Pair]) -> str | None:
    """A place in which everything is wrong, and outside which everything is right."""
    for says, place in _places(pairs):
        inside = [place(p) for p in pairs]
        if any(where is None for where in inside):
            continue
        both = list(zip(pairs, inside, strict=True))
        outside = sum(int((~where).sum()) for where in inside)
        if outside < 2 or any((p.wrong & ~where).any() for p, where in both):
            continue
        if all(p.wrong[where].all() for p, where in both):
            return f"{{whole}} is wrong {says}, and right elsewhere."
        if says.startswith("in the cases"):
            return f"{{whole}} is wrong only {says}."
    return None


def extent(pairs: list[Pair]) -> str | None:
    """Whether all wrong numbers are too large, or too small."""
    ours = np.concatenate([p.ours[p.wrong] for p in pairs])
    theirs = np.concatenate([p.theirs[p.wrong] for p in pairs])
    if all(p.is_truth for p in pairs):
        if (ours > theirs).all():
            return "Wherever {whole} is wrong, it is True and should be False."
        if (ours < theirs).all():
            return "Wherever {whole} is wrong, it is False and should be True."
        return None
    same_sign = ours * theirs > 0
    for says, holds in (
        ("not a number (nan)", np.isnan(ours)),
        ("infinite", np.isinf(ours)),
        ("of the wrong sign", ours * theirs < 0),
        ("too far from 0", same_sign & (abs(ours) > abs(theirs))),
        ("too near to 0", same_sign & (abs(ours) < abs(theirs))),
        ("too large", ours > theirs),
        ("too small", ours < theirs),
    ):
        if len(ours) > 1 and holds.all():
            return f"Wherever {{whole}} is wrong, it is {says}."
    return None


def _places(pairs: list[Pair]) -> Iterator[tuple[str, Place]]:
    axes = min(p.ours.ndim for p in pairs)
    for axis in range(axes):
        along = f" along axis {axis}" if axes > 1 else ""
        for says, index in (("first", 0), ("last", -1)):
            yield f"in the {says} entry{along}", _at(axis, index)
    for name, value in pairs[-1].inputs.items():
        place = "in the cases where" if value.ndim == 0 else "where"
        if value.dtype.kind in "bUS":
            for way in sorted(
                {str(p.inputs.get(name)) for p in pairs if value.ndim == 0}
            ):
                yield f"{place} `{name}` is {way}", _where_text(name, way)
            for truth in (
                (True, False) if value.dtype.kind == "b" and value.ndim else ()
            ):
                yield f"{place} `{name}` is {truth}", _where(name, "==", truth)
            continue
        for sign, says in (
            ("==", "0"),
            ("!=", "not 0"),
            (">", "positive"),
            ("<", "negative"),
        ):
            yield f"where `{name}` is {says}", _where(name, sign, 0)
    for sign, says in (("<", "negative"), (">", "positive"), ("==", "0")):
        yield f"where the right number is {says}", _right(sign)
    yield "in the cases with more than one row or entry", _more_than_one


def _at(axis: int, index: int) -> Place:
    def place(p: Pair) -> np.ndarray:
        where = np.zeros(p.ours.shape, bool)
        np.moveaxis(where, axis, 0)[index] = True
        return where

    return place


def _where(name: str, sign: str, than: Any) -> Place:
    def place(p: Pair) -> np.ndarray | None:
        value = p.inputs.get(name)
        if value is None or not fits(value, p.ours.shape):
            return None
        return np.broadcast_to(SIGNS[sign](value, than), p.ours.shape)

    return place


def _where_text(name: str, way: str) -> Place:
    return lambda p: np.full(p.ours.shape, str(p.inputs.get(name)) == way)


def _right(sign: str) -> Place:
    return lambda p: SIGNS[sign](p.theirs, 0)


def _more_than_one(p: Pair) -> np.ndarray:
    most = max((len(x) for x in p.inputs.values() if x.ndim), default=1)
    return np.full(p.ours.shape, most > 1)
