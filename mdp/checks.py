"""Checks of the numbers that a caller hands over: an MDP, a policy, a config.

Only the border is checked: constructors, configs and functions that take a policy from
outside. Every error is one line: what is wrong, where, what was expected, what came.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

# A caller may hand over lists, numbers or arrays. The checks below are stricter than a
# type could be, and their errors are sentences.
ArrayLike = Any

# Probabilities must sum to 1 this closely. Rounding to float32 is refused: at gamma = 1
# the missing part would act as one more way to end the episode.
SUM_TOLERANCE = 1e-8

# Policies are often learned in float32, and their rows sum to 1 as well as that allows.
ROUNDING = 1e-6


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
    """Return the value as an array of float64."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers, got {value!r}") from None


def checked_discount(discount: float) -> float:
    """Return the discount as a float; raise ValueError unless it is in [0, 1]."""
    if not 0 <= discount <= 1:
        raise ValueError(f"discount must be in [0, 1], got {discount}")
    return float(discount)


def states_mask(states: ArrayLike, name: str, num_states: int) -> Bool[np.ndarray, "S"]:
    """Return an array that is True for each of the listed states (or the one state)."""
    states = np.atleast_1d(np.asarray(states))
    if states.size and states.dtype.kind not in "iu":
        raise ValueError(f"{name} must list states by number, got {states.tolist()}")
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
    if np.ndim(start) == 0:
        return states_mask(start, "start", len(default)).astype(float)
    start = numbers(start, "start")
    if start.shape != default.shape:
        raise ValueError(f"start must have shape {default.shape}, got {start.shape}")
    return start


def checked_outcomes(
    table: Sequence | Mapping,
) -> tuple[dict[tuple[int, int, int], tuple[float, int, float, bool]], int]:
    """Return the outcomes of a nested table by (s, a, b), and the number of states."""
    rows = _numbered(table, "table")
    if not rows or len(rows) != 1 + max(rows):
        got = f"{len(rows)} of them, the last {max(rows)}" if rows else "none"
        raise ValueError(f"table must hold all states from 0 on, got {got}")
    outcomes = {
        (s, a, b): _checked_outcome(outcome, f"table[{s}][{a}][{b}]")
        for s, row in rows.items()
        for a, listed in _numbered(row, f"table[{s}]").items()
        for b, outcome in enumerate(listed)
    }
    return outcomes, len(rows)


def _numbered(rows: Sequence | Mapping, name: str) -> dict[int, Any]:
    """Return the rows by their number, from a sequence or a dict."""
    pairs = list(rows.items() if isinstance(rows, Mapping) else enumerate(rows))
    for key, _ in pairs:
        if not isinstance(key, int | np.integer) or key < 0:
            raise ValueError(f"{name} must be numbered 0, 1, 2, ..., got {key!r}")
    return {int(key): row for key, row in pairs}


def _checked_outcome(outcome: Any, name: str) -> tuple[float, int, float, bool]:
    """Return (probability, next state, reward, terminated) as plain Python numbers."""
    try:
        prob, next_state, reward, terminated = outcome
        return float(prob), operator.index(next_state), float(reward), bool(terminated)
    except (TypeError, ValueError):
        expected = "(probability, next_state, reward, terminated)"
        raise ValueError(f"{name} must be {expected}, got {outcome!r}") from None
