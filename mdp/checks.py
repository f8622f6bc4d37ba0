"""Checks of the numbers that a caller hands over: an MDP, a policy, a config.

Only the border is checked: constructors, configs and functions that take a policy from
outside. Every error is one line: what is wrong, where, what was expected, what came.
"""

import difflib
import reprlib
import sys
import types
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Union,
    get_args,
    get_origin,
)

import numpy as np
from jaxtyping import Bool, Float

# A caller may hand over lists, numbers or arrays. The checks below are stricter than a
# type could be, and their errors are sentences.
ArrayLike = Any
if TYPE_CHECKING:
    Number, Table = float, Sequence | Mapping
else:
    Number, Table = Any, Any

# Probabilities must sum to 1 this closely. Rounding to float32 is refused: at gamma = 1
# the missing part would act as one more way to end the episode.
SUM_TOLERANCE = 1e-8

# A table with one action of number 10^12 would be read as 10^12 actions.
MOST_CELLS = 2**28

# jax reads the last 32 bits of a seed: a larger one repeats the results of a smaller.
LARGEST_SEED = 2**32 - 1
MOST_SEEDS = 1_000_000  # runs side by side
LARGEST_COUNT = 2**31 - 1  # jax counts in 32 bits, and nothing here in more
LARGEST = sys.float_info.max
SEEDS = ("seed", "first_seed")

# Policies are often learned in float32, and their rows sum to 1 as well as that allows.
ROUNDING = 1e-6


class CheckedConfig:
    """The base of every config: its fields are checked when it is made.

    A subclass with checks of its own calls this one first.
    """

    infinite: ClassVar[tuple[str, ...]] = ()  # numbers that may be infinite

    def __post_init__(self) -> None:
        """Raise ValueError at the first field that has not the type it declares."""
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name in SEEDS and is_whole(value):
                require_range(self, 0, LARGEST_SEED, field.name)
            elif not _is_of_type(value, field.type):
                expected = _expected(field.type)
                raise ValueError(f"{field.name} must {expected}, got {shown(value)}")
            if field.name == "seeds" and value > MOST_SEEDS:
                raise ValueError(f"seeds must be at most {MOST_SEEDS}, got {value}")
            if isinstance(value, int | float | np.integer | np.floating):
                may_be = field.name in self.infinite and value in (np.inf, -np.inf)
                if not may_be and not -LARGEST <= value <= LARGEST:
                    raise ValueError(f"{field.name} must be finite, got {shown(value)}")


def require(
    fits: ArrayLike, name: str, axes: str, expected: str, got: ArrayLike
) -> None:
    """Raise ValueError at the first False of `fits`, whose axes have these names."""
    wrong = np.argwhere(~np.asarray(fits))
    if len(wrong):
        pairs = zip(axes.split(), wrong[0], strict=False)
        where = ", ".join(f"{axis}={i}" for axis, i in pairs)
        place = f"{name}[{where}]" if where else name
        value = np.asarray(got)[tuple(wrong[0])]
        raise ValueError(f"{place} must {expected}, got {value:.10g}")


def require_range(
    config: Any, lowest: float | int, highest: float | int, *names: str
) -> None:
    """Raise ValueError at the first field that is not in the range, ends included."""
    inside = f"in [{lowest}, {highest}]"
    expected = f"at least {lowest}" if highest == np.inf else inside
    for name in names:
        value = getattr(config, name)
        if not lowest <= value <= highest:
            raise ValueError(f"{name} must be {expected}, got {value}")


def require_distributions(
    probs: Float[np.ndarray, "*batch n"],
    name: str,
    axes: str,
    used: Bool[np.ndarray, "*batch"] | None = None,
) -> None:
    """Raise ValueError unless `used` rows sum to 1 and the others to 0."""
    require(np.isfinite(probs), name, axes, "be finite", probs)
    require(probs >= 0, name, axes, "be at least 0", probs)
    totals = probs.sum(-1)
    expected = np.ones_like(totals) if used is None else used
    for total in (1, 0):
        fits = (expected != total) | (np.abs(totals - total) <= SUM_TOLERANCE)
        require(fits, name, axes, f"sum to {total}", totals)


def require_policy(
    policy: Float[np.ndarray, "S A"], available: Bool[np.ndarray, "S A"], name: str
) -> None:
    """Raise ValueError unless every row is a distribution over available actions."""
    require(policy >= 0, name, "s a", "be at least 0", policy)
    possible = available | (policy == 0)
    require(possible, name, "s a", "be 0: no such action", policy)
    totals = policy.sum(-1)
    require(np.abs(totals - 1) < ROUNDING, name, "s", "sum to 1", totals)


def numbers(value: ArrayLike, name: str) -> Float[np.ndarray, "..."]:
    """Return the value as an array of float64; raise ValueError unless all are numbers.

    A text is no number, even if it spells one.
    """
    array = entries(value, name, "be an array of numbers", "biuf")
    return array.astype(float, copy=False)


def entries(value: ArrayLike, name: str, expected: str, kinds: str) -> np.ndarray:
    """Return the value as an array, of one of these kinds (letters of numpy).

    Raises ValueError, which names the first entry that is of another kind. Masked
    arrays are refused, as the mask would be lost.
    """
    try:
        with warnings.catch_warnings(action="error"):
            array = np.asarray(value)
    except (TypeError, ValueError, OverflowError, RecursionError, Warning):
        array = np.array(None)  # for example, lists of different lengths
    if array.dtype.kind in kinds and not np.ma.isMaskedArray(value):
        return array
    got = shown(value)
    if array.ndim and array.dtype.kind == "O":
        for index, entry in np.ndenumerate(array):
            is_plain = isinstance(entry, int | float | np.number | np.bool_)
            if not is_plain or not -np.inf < entry < 2**63:
                got = f"{shown(entry)} at [{', '.join(map(str, index))}]"
                break
    raise ValueError(f"{name} must {expected}, got {got}")


def read_only(array: np.ndarray) -> np.ndarray:
    """Return the array if it cannot be written to, or else a copy that cannot be."""
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array


def is_number(value: Any) -> bool:
    """Whether a value is a real number; True, False and texts are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of at most 64 bits; True and False are none."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and -(2**63) <= int(value) < 2**63


def _is_of_type(value: Any, kind: Any) -> bool:
    """Whether a value is of a type that a field of a config declares."""
    origin, options = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _is_of_type(value, options[0])
    if origin is Literal:
        return isinstance(value, str) and value in options
    if origin in (Union, types.UnionType):
        return any(_is_of_type(value, option) for option in options)
    if kind is int:
        return is_whole(value) and abs(int(value)) <= LARGEST_COUNT
    if kind is float:  # not a fraction, which jax cannot read
        return isinstance(value, int | float | np.number) and is_number(value)
    return isinstance(value, origin or kind)


def _expected(kind: Any) -> str:
    """Return the words for a type that a field of a config declares."""
    origin, options = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"be one of {', '.join(options)}"
    if origin in (Union, types.UnionType):
        return _expected(options[0])
    words = {
        int: f"be a whole number of at most {LARGEST_COUNT}",
        float: "be a number",
        bool: "be True or False",
    }
    return words.get(kind, f"be a {getattr(origin or kind, '__name__', kind)}")


def unknown_name(kind: str, given: str, known: Iterable[str]) -> ValueError:
    """Return the error about a name that is not known, with the nearest ones."""
    names = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(given.lower(), names, n=3, cutoff=0.4)
    words = " or ".join(names[x] for x in nearest)
    hint = f" (did you mean {words}?)" if nearest else ""
    expected = ", ".join(names.values())
    return ValueError(f"{kind} must be one of {expected}, got {given!r}{hint}")


def shown(value: Any) -> str:
    """Return a value as a short text of one line, for a message."""
    if isinstance(value, np.generic) or type(value) is float:
        return str(value)
    if isinstance(value, np.ndarray):
        kind = "a masked array" if np.ma.isMaskedArray(value) else "an array"
        return f"{kind} of {value.dtype.name} {value.shape}"
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:  # an integer of thousands of digits
        return "an integer with thousands of digits"


def checked_discount(discount: Number) -> float:
    """Return the discount as a float; raise ValueError unless it is in [0, 1]."""
    if not is_number(discount) or not 0 <= discount <= 1:
        raise ValueError(f"discount must be in [0, 1], got {shown(discount)}")
    return float(discount)


def states_mask(states: ArrayLike, name: str, num_states: int) -> Bool[np.ndarray, "S"]:
    """Return an array that is True for each of the listed states (or the one state)."""
    if isinstance(states, Sequence) and not len(states):
        return np.zeros(num_states, bool)
    states = np.atleast_1d(entries(states, name, "list states by number", "iu"))
    inside = (states >= 0) & (states < num_states)
    if not inside.all():
        outside = states[~inside][0]
        raise ValueError(f"{name} must be in 0..{num_states - 1}, got {outside}")
    return np.isin(np.arange(num_states), states)


def distribution_over_states(
    start: ArrayLike | None, default: Bool[np.ndarray, "S"]
) -> Float[np.ndarray, "S"]:
    """Return a start state, or a distribution, as a distribution; None is `default`.

    Uniform over the states that are True in `default`, or over the others if none is.
    """
    if start is None:
        weights = default if default.any() else ~default
        return weights / weights.sum()
    start = entries(start, "start", "be an array of numbers", "biuf")
    if start.ndim == 0:
        return states_mask(start, "start", len(default)).astype(float)
    if start.shape != default.shape:
        raise ValueError(f"start must have shape {default.shape}, got {start.shape}")
    return start.astype(float)


def checked_outcomes(
    table: Table,
) -> tuple[dict[tuple[int, int, int], tuple[float, int, float, bool]], int]:
    """Return the outcomes of a nested table by (s, a, b), and the number of states."""
    outcomes, states = {}, []
    for s, row in _numbered(table, "table"):
        states.append(s)
        for a, listed in _numbered(row, f"table[{s}]"):
            for b, outcome in _numbered(listed, f"table[{s}][{a}]"):
                place = f"table[{s}][{a}][{b}]"
                outcomes[s, a, b] = _checked_outcome(outcome, place)
    if not states or len(states) != 1 + max(states):
        got = f"{len(states)} of them, the last {max(states)}" if states else "none"
        raise ValueError(f"table must hold all states from 0 on, got {got}")
    cells = np.prod([1.0 + max(numbers) for numbers in zip(*outcomes, strict=True)])
    if cells > MOST_CELLS:
        got = f"actions and outcomes up to {max(outcomes, key=lambda k: k[1:])}"
        raise ValueError(f"table must have at most {MOST_CELLS} cells, got {got}")
    return outcomes, len(states)


def _numbered(rows: Any, name: str) -> Iterator[tuple[int, Any]]:
    """Yield the rows with their numbers, from a sequence or a dict."""
    if isinstance(rows, Mapping):
        pairs = iter(rows.items())
    elif _is_list(rows):
        pairs = enumerate(rows)
    else:
        raise ValueError(f"{name} must be a list or a dict, got {shown(rows)}")
    for key, row in pairs:
        if not is_whole(key) or key < 0:
            got = shown(key)
            raise ValueError(f"{name} must be numbered 0, 1, 2, ..., got {got}")
        yield int(key), row


def _checked_outcome(outcome: Any, name: str) -> tuple[float, int, float, bool]:
    """Return (probability, next state, reward, terminated) as plain Python numbers."""
    try:
        parts: Any = outcome if _is_list(outcome) else ()
        prob, next_state, reward, terminated = parts
        flag = isinstance(terminated, bool | np.bool_ | Integral)
        right = is_number(prob) and is_whole(next_state) and is_number(reward)
        if right and flag and terminated in (0, 1):
            return float(prob), int(next_state), float(reward), bool(terminated)
    except (TypeError, ValueError, OverflowError):
        pass
    expected = "(probability, next_state, reward, terminated)"
    raise ValueError(f"{name} must be {expected}, got {shown(outcome)}")


def _is_list(value: Any) -> bool:
    """Whether a value is a list, a tuple, or the like, but no text."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
