"""Are two answers the same? If not: in their type, shape, kind of number or values?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

KINDS = {"f": "real numbers", "i": "integers", "u": "integers", "b": "true or false"}


def difference(got: Any, expected: Any, tolerance: float, fields=()) -> str | None:
    """None if they are the same, else one line that says how they differ."""
    if got is None and expected is not None:
        return "It returns nothing. Is the `return` missing?"
    if isinstance(expected, tuple):
        return _difference_of_tuples(got, expected, tolerance, fields)
    if isinstance(expected, np.ndarray) and expected.ndim:
        if not isinstance(got, np.ndarray):
            return f"It returns a {_type(got)}, and should return a numpy array."
    elif not np.isscalar(got) and np.shape(got) != ():
        return f"It returns {_an_array(got)}, and should return a single number."
    try:
        ours, theirs = np.asarray(got), np.asarray(expected)
    except ValueError:
        return f"It returns a {_type(got)} that is no array of numbers."
    if ours.shape != theirs.shape:
        return f"Its result has shape {ours.shape}, and should have {theirs.shape}."
    if ours.dtype.kind not in "fiub":
        return f"It returns {_type(got)}, and should return {KINDS['f']}."
    if ours.dtype.kind != theirs.dtype.kind:
        kinds = [KINDS.get(a.dtype.kind, str(a.dtype)) for a in (ours, theirs)]
        return f"Its result holds {kinds[0]}, and should hold {kinds[1]}."
    if np.isnan(ours).any() and not np.isnan(theirs).any():
        return "There are values that are not a number (nan) in its result."
    if not np.allclose(ours, theirs, 1e-9, tolerance, equal_nan=True):
        if ours.dtype == np.float32:
            return "It reckons in float32: too coarse where float64 is asked for."
        return "The numbers in its result are not right."
    return None


def is_same(got: Any, expected: Any) -> bool:
    """Exactly the same, but for rounding: the mark of one and the same method."""
    return difference(got, expected, 1e-9) is None


def changed(inputs: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """The first of the inputs that a function has not left as it was."""
    for name, value in inputs.items():
        if not _is_untouched(value, before[name]):
            return name
    return None


def _is_untouched(value: Any, before: Any) -> bool:
    if isinstance(before, tuple):
        return all(map(_is_untouched, value, before))
    return np.array_equal(np.asarray(value), np.asarray(before), equal_nan=True)


def _difference_of_tuples(got, expected, tolerance, fields) -> str | None:
    names = getattr(expected, "_fields", range(len(expected)))
    if not isinstance(got, tuple) or len(got) != len(expected):
        return f"It returns a {_type(got)}, and should return a {_type(expected)}."
    for name, ours, theirs in zip(names, got, expected, strict=True):
        if fields and name not in fields:
            continue
        how = difference(ours, theirs, tolerance)
        if how:
            how = how.replace("It returns", f"Its `{name}` is")
            return how.replace("Its result", f"Its `{name}`").replace(
                "in its result", f"in its `{name}`"
            )
    return None


def _type(value: Any) -> str:
    return type(value).__name__


def _an_array(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a {_type(value)}"
