"""Compare two results: their types, shapes, kinds of numbers, and values."""

import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np

# For float32, which has seven digits: far above rounding, far below any mistake.
COARSE = 1e-5
MOST_PARTS, DEEPEST = 10**6, 30  # of an answer
KINDS = {"f": "real numbers", "i": "integers", "u": "integers", "b": "true or false"}

NOT_RIGHT, NOT_A_NUMBER = "are not right.", "are not a number (nan)."


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
            makes = "jnp.array" if is_jax_array(expected) else "np.array"
            how = f": {makes} makes one of it" if isinstance(got, list) else ""
            return f"It returns {_a(got)}, and should return {_a(expected)}{how}."
    elif not _is_single(got):
        return f"It returns {_an_array(got)}, and should return a single number."
    try:
        ours, theirs = np.asarray(got), np.asarray(expected)
    except ValueError:
        return f"It returns {_a(got)} that is not an array of numbers."
    if ours.shape != theirs.shape:
        return f"Its result has shape {ours.shape}, and should have {theirs.shape}."
    if ours.dtype.kind not in "fiub":
        return f"It returns {_a(got)}, and should return {KINDS['f']}."
    is_whole = ours.ndim == 0 and ours.dtype.kind in "ib"  # 1 is as right as 1.0
    if ours.dtype.kind != theirs.dtype.kind and not is_whole:
        kinds = [KINDS.get(a.dtype.kind, str(a.dtype)) for a in (ours, theirs)]
        return f"Its result holds {kinds[0]}, and should hold {kinds[1]}."
    if np.isnan(ours).any() and not np.isnan(theirs).any():
        return f"Some values in its result {NOT_A_NUMBER}"
    coarse = theirs.dtype == np.float32
    least = COARSE if coarse else 1e-9
    if not np.allclose(ours, theirs, least, max(tolerance, least), equal_nan=True):
        if ours.dtype == np.float32 and not coarse:
            return "It computes in float32, which is too coarse here: use float64."
        return f"The numbers in its result {NOT_RIGHT}"
    return None


def is_about_numbers(message: str) -> bool:
    """Say whether a message is about numbers or shapes, and not about types."""
    return message.endswith((NOT_RIGHT, NOT_A_NUMBER)) or "has shape" in message


def is_same(got: Any, expected: Any) -> bool:
    """Say whether two results agree up to rounding, as those of one method do."""
    return difference(got, expected, 1e-9) is None


def is_small(output: Any) -> bool:
    """Say whether an answer has at most MOST_PARTS parts, and is not deeply nested.

    A part that occurs in many places counts each time, because each is compared.
    """
    layer, number = [output], 0
    for _ in range(DEEPEST):
        number += len(layer)
        if number > MOST_PARTS:
            return False
        inner = [list(x.values()) if isinstance(x, dict) else x for x in layer]
        layer = [part for x in inner if isinstance(x, tuple | list) for part in x]
        if not layer:
            return True
    return False


def is_nan(output: Any) -> bool:
    """Say whether an answer holds no number at all."""
    if isinstance(output, Mapping):
        return all(map(is_nan, output.values()))
    if isinstance(output, tuple):
        return all(map(is_nan, output))
    if shape_of(output) is None:
        return False
    is_real = np.asarray(output).dtype.kind == "f"
    return is_real and bool(np.isnan(np.asarray(output)).all())


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


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of an answer; None if it is a list of rows of several lengths."""
    try:
        return np.shape(value)
    except ValueError:
        return None


def is_key(value: Any) -> bool:
    """Say whether a value is a key of jax."""
    return str(getattr(value, "dtype", "")).startswith("key")


def called(part: Any) -> str:
    """The name of a part of the answer in a sentence."""
    if isinstance(part, int):
        return f"result number {part + 1}"
    return part if " " in part else f"`{part}`"


def _is_single(value: Any) -> bool:
    """Say whether a value is a single number, and not an array, a list or the like."""
    try:
        return np.isscalar(value) or np.shape(value) == ()
    except ValueError:  # parts of unequal lengths
        return False


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
        return f"It returns {_a(got)}, and should return {_a(expected)}."
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
            return _fact(name, ours, theirs)
    return None


def _fact(name: str, ours: Any, theirs: Any) -> str:
    """A sentence on a fact that was measured on the answers."""
    if isinstance(theirs, bool):
        return f"This should {'hold' if theirs else 'not hold'}: {name}."
    return f"This should be {theirs}, and is {ours}: {name}."


def _of(name: Any, text: str) -> str:
    """Turn a sentence on the result into one on a part of it."""
    part = called(name)
    text = text.replace("It returns", f"Its {part} is")
    text = text.replace("Its result", f"Its {part}")
    return text.replace("in its result", f"in its {part}")


def unmasked(output: Any) -> Any:
    """The output; a masked array without masked entries becomes a plain one."""
    if isinstance(output, np.ma.MaskedArray) and not np.ma.is_masked(output):
        return np.ma.getdata(output)
    return output


def _type(value: Any) -> str:
    if is_array(value):
        return "jax array" if is_jax_array(value) else "numpy array"
    return type(value).__name__


def _a(value: Any) -> str:
    kind = _type(value)
    return f"{'an' if kind[0] in 'AEIOUaeio' else 'a'} {kind}"


def _an_array(value: Any) -> str:
    return _a(value) + (f" of shape {value.shape}" if is_array(value) else "")
