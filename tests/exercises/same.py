"""Compare two results: their types, shapes, kinds of numbers, and values."""

import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np

# For float32, which has seven digits: far above rounding, far below any mistake.
COARSE = 1e-5
KINDS = {"f": "real numbers", "i": "integers", "u": "integers", "b": "true or false"}


def difference(
    got: Any, expected: Any, tolerance: float, fields: tuple[str, ...] = ()
) -> str | None:
    """Return None if the results agree, else one line that says how they differ."""
    if got is None and expected is not None:
        return "It returns nothing. Is the `return` missing?"
    if isinstance(expected, Mapping):
        return _difference_of_parts(got, expected, tolerance)
    if isinstance(expected, tuple):
        return _difference_of_tuples(got, expected, tolerance, fields)
    if is_array(expected) and expected.ndim:
        if _type(got) != _type(expected):
            return f"It returns a {_type(got)}, and should return a {_type(expected)}."
    elif not np.isscalar(got) and np.shape(got) != ():
        return f"It returns {_an_array(got)}, and should return a single number."
    try:
        ours, theirs = np.asarray(got), np.asarray(expected)
    except ValueError:
        return f"It returns a {_type(got)} that is not an array of numbers."
    if ours.shape != theirs.shape:
        return f"Its result has shape {ours.shape}, and should have {theirs.shape}."
    if ours.dtype.kind not in "fiub":
        return f"It returns {_type(got)}, and should return {KINDS['f']}."
    if ours.dtype.kind != theirs.dtype.kind:
        kinds = [KINDS.get(a.dtype.kind, str(a.dtype)) for a in (ours, theirs)]
        return f"Its result holds {kinds[0]}, and should hold {kinds[1]}."
    if np.isnan(ours).any() and not np.isnan(theirs).any():
        return "Some values in its result are not a number (nan)."
    coarse = theirs.dtype == np.float32
    least = COARSE if coarse else 1e-9
    if not np.allclose(ours, theirs, least, max(tolerance, least), equal_nan=True):
        if ours.dtype == np.float32 and not coarse:
            return "It computes in float32, which is too coarse here: use float64."
        return "The numbers in its result are not right."
    return None


def is_same(got: Any, expected: Any) -> bool:
    """Say whether two results agree up to rounding: the sign of the same method."""
    return difference(got, expected, 1e-9) is None


def answer_in(output: Any) -> Any:
    """The answer itself, without what was derived from it."""
    return output.get("answer", output) if isinstance(output, Mapping) else output


def changed(inputs: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """The first input that a function has changed, if any."""
    for name, value in inputs.items():
        if not _is_untouched(value, before[name]):
            return name
    return None


def is_array(value: Any) -> bool:
    """Say whether a value is an array of numpy or of jax."""
    return isinstance(value, np.ndarray) or is_jax_array(value)


def is_jax_array(value: Any) -> bool:
    """Say whether a value is an array of jax, without importing jax."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def _is_untouched(value: Any, before: Any) -> bool:
    if is_jax_array(before) or isinstance(before, str) or is_dataclass(before):
        return True  # nobody can change it; our dataclasses are frozen
    if isinstance(before, tuple):
        return all(map(_is_untouched, value, before))
    return np.array_equal(np.asarray(value), np.asarray(before), equal_nan=True)


def _difference_of_tuples(
    got: Any, expected: tuple, tolerance: float, fields: tuple[str, ...]
) -> str | None:
    names = getattr(expected, "_fields", range(len(expected)))
    if not isinstance(got, tuple) or len(got) != len(expected):
        return f"It returns a {_type(got)}, and should return a {_type(expected)}."
    for name, ours, theirs in zip(names, got, expected, strict=True):
        if fields and name not in fields:
            continue
        text = difference(ours, theirs, tolerance)
        if text:
            return _of(name, text)
    return None


def _difference_of_parts(
    got: Mapping, expected: Mapping, tolerance: float
) -> str | None:
    """The first difference between the named parts that were derived from answers."""
    for name, theirs in expected.items():
        ours = got.get(name)
        if name == "answer" or is_array(theirs):
            text = difference(ours, theirs, tolerance)
            if text:
                return text if name == "answer" else _of(name, text)
        elif ours != theirs:
            return f"Its `{name}`: {ours}, and should be {theirs}."
    return None


def _of(name: str, text: str) -> str:
    """Turn a sentence on the result into one on a part of it."""
    text = text.replace("It returns", f"Its `{name}` is")
    text = text.replace("Its result", f"Its `{name}`")
    return text.replace("in its result", f"in its `{name}`")


def _type(value: Any) -> str:
    if is_array(value):
        return "jax array" if is_jax_array(value) else "numpy array"
    return type(value).__name__


def _an_array(value: Any) -> str:
    return f"a {_type(value)}" + (f" of shape {value.shape}" if is_array(value) else "")
