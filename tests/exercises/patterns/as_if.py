"""Compare a candidate's answers with the right answers to changed inputs.

Where a candidate gives in every case what the right function gives for `x` = 1, it
leaves `x` out; where it gives that for minus `x`, a sign is wrong.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tests.exercises import same
from tests.exercises.patterns.pairs import Trial

PATIENCE = 0.5  # seconds of the processor for all questions together
Inputs = dict[str, Any]
Change = Callable[[np.ndarray], np.ndarray | None]
Question = tuple[str, Callable[[Inputs], Inputs | None]]

START = "Your results are the right ones for"
LEFT_OUT = START + " `{}` = {} everywhere: do you leave it out?"
OF_NUMBERS: tuple[tuple[str, Change], ...] = (
    (LEFT_OUT.format("{}", 0), lambda x: 0 * x),
    (LEFT_OUT.format("{}", 1), lambda x: 0 * x + 1),
    (START + " minus `{}`: is a sign wrong?", lambda x: -x),
    (
        START + " 1 / `{}`: do you multiply where you should divide, or divide where "
        "you should multiply?",
        lambda x: 1 / x if x.ndim == 0 and x != 0 else None,
    ),
    (
        START + " 1 - `{}`: are two chances exchanged?",
        lambda x: 1 - x if np.all((x >= 0) & (x <= 1)) else None,
    ),
    (START + " the square of `{}`: does it count twice?", lambda x: x * x),
    (
        START + " `{}` one step later: are you off by one?",
        lambda x: np.roll(x, 1, -1) if x.ndim else None,
    ),
    (
        START + " `{}` one step earlier: are you off by one?",
        lambda x: np.roll(x, -1, -1) if x.ndim else None,
    ),
    (
        START + " `{}` turned round: do you go through it from the wrong end?",
        lambda x: x[..., ::-1] if x.ndim else None,
    ),
    (
        START + " the mean of `{}` in the place of its entries: each has its own.",
        lambda x: 0 * x + x.mean() if x.ndim else None,
    ),
)
OF_TRUTHS: tuple[tuple[str, Change], ...] = (
    (LEFT_OUT.format("{}", True), lambda x: np.ones_like(x)),
    (LEFT_OUT.format("{}", False), lambda x: np.zeros_like(x)),
    (START + " the opposite of `{}`: do you take True for False?", np.logical_not),
)
EXCHANGED = START + " `{}` and `{}` exchanged: which is which?"
CONFUSED = START + " `{1}` in the place of `{0}`: do you take one for the other?"


def find(trials: Sequence[Trial], right_answer: Callable[[Inputs], Any]) -> str | None:
    """A sentence on a change of inputs for which the candidate's answers are right."""
    if not all(_is_finite(t.got) for t in trials):
        return None  # many changes lead to nan
    if all(_is_same(t.got, t.expected) for t in trials):
        return None  # only what is derived from the answers is wrong
    until = time.process_time() + PATIENCE
    for says, changed in _questions(trials[-1].inputs):
        if time.process_time() > until:
            return None
        if all(_agrees(trial, right_answer, changed) for trial in reversed(trials)):
            return says
    return None


def _agrees(
    trial: Trial,
    right_answer: Callable[[Inputs], Any],
    changed: Callable[[Inputs], Inputs | None],
) -> bool:
    """Whether the right answer to changed inputs is the candidate's."""
    inputs = changed(dict(trial.inputs))
    if inputs is None:
        return False
    try:
        other = right_answer(inputs)
    except Exception:  # the change makes no sense
        return False
    return _is_same(trial.got, other)


def _is_same(one: Any, other: Any) -> bool:
    return same.is_same(same.answer_in(one), same.answer_in(other))


def _is_finite(output: Any) -> bool:
    output = same.answer_in(output)
    try:
        return bool(np.isfinite(np.asarray(output, float)).all())
    except (ValueError, TypeError):
        return isinstance(output, tuple) and all(map(_is_finite, output))


def _questions(inputs: Mapping[str, Any]) -> Iterator[Question]:
    """Sentences, and the changes of inputs that they are about."""
    numbers = kinds(inputs)
    for place, kind in numbers.items():
        for says, change in {"f": OF_NUMBERS, "b": OF_TRUTHS}.get(kind, ()):
            yield says.format(place), changes(place, change)
    for one in numbers:
        for other in numbers:
            if one != other and numbers[one] == numbers[other] != "":
                if one < other:
                    yield EXCHANGED.format(one, other), _exchanges(one, other)
                yield CONFUSED.format(one, other), _confuses(one, other)


def kinds(inputs: Mapping[str, Any]) -> dict[str, str]:
    """The kind of numbers in each input, and in each field of a named tuple."""
    found = {}
    for name, value in inputs.items():
        fields = getattr(value, "_asdict", None)
        if fields is None:
            found[name] = _kind(value)
        else:
            found |= {f"{name}.{field}": _kind(x) for field, x in fields().items()}
    return found


def _kind(value: Any) -> str:
    """The kind of numbers, if they may be changed."""
    if same.is_key(value) or not (
        isinstance(value, float | bool) or same.is_array(value)
    ):
        return ""
    return np.asarray(value).dtype.kind


def changes(place: str, change: Change) -> Callable[[Inputs], Inputs | None]:
    """A change of one of the inputs."""

    def changed(inputs: Inputs) -> Inputs | None:
        new = change(np.asarray(_get(inputs, place)))
        return None if new is None else _put(inputs, place, new)

    return changed


def _exchanges(one: str, other: str) -> Callable[[Inputs], Inputs | None]:
    def changed(inputs: Inputs) -> Inputs | None:
        values = _get(inputs, one), _get(inputs, other)
        if np.shape(values[0]) != np.shape(values[1]):
            return None
        return _put(_put(inputs, one, values[1]), other, values[0])

    return changed


def _confuses(one: str, other: str) -> Callable[[Inputs], Inputs | None]:
    def changed(inputs: Inputs) -> Inputs | None:
        values = _get(inputs, one), _get(inputs, other)
        if np.shape(values[0]) != np.shape(values[1]):
            return None
        return _put(inputs, one, values[1])

    return changed


def _get(inputs: Inputs, place: str) -> Any:
    name, _, field = place.partition(".")
    return getattr(inputs[name], field) if field else inputs[name]


def _put(inputs: Inputs, place: str, new: Any) -> Inputs:
    """The inputs with one changed, which keeps its type."""
    name, _, field = place.partition(".")
    old = _get(inputs, place)
    if same.is_jax_array(old):
        new = old.at[...].set(np.asarray(new))
    elif isinstance(old, float | bool):
        new = type(old)(new)
    else:
        new = np.asarray(new, old.dtype)
    return inputs | {name: inputs[name]._replace(**{field: new}) if field else new}
