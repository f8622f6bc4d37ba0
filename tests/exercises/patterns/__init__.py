"""Say how wrong answers are related to the right ones, where no trap fits.

A sentence is said only if it is true in every case that differs. The sentences are
general: nothing here knows of any exercise. The most telling one is said.

    shapes      the right numbers in another shape
    relations   minus the right number, a factor, a term, another order
    as_if       the right answers to changed inputs: something is left out
    senses      an input that the answer does not depend on
    places      only the first, only where the mask is 0; too large, too small

If no sentence is true of all cases, one may be said about the smallest case alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tests.exercises import same
from tests.exercises.patterns import as_if, places, relations, senses, shapes
from tests.exercises.patterns.pairs import Pair, Trial, is_numeric, num_distinct, pair

__all__ = ["Finding", "Trial", "find"]


class Finding(NamedTuple):
    """A sentence, and whether it names a cause or only a direction."""

    says: str
    is_cause: bool


def find(
    trials: Sequence[Trial],
    fields: tuple[str, ...],
    own_answer: Callable[[dict[str, Any]], Any],
    right_answer: Callable[[dict[str, Any]], Any],
) -> Finding | None:
    """The most telling sentence that is true of all trials; None if there is none."""
    with np.errstate(all="ignore"):
        name, parts = _first_part_that_differs(trials, fields)
        if not all(is_numeric(t.got) and is_numeric(t.expected) for t in parts):
            return None
        whole = _called(name)
        if any(np.shape(t.got) != np.shape(t.expected) for t in parts):
            return _finding(shapes.find(parts), whole)
        pairs: list[Pair] = [pair(t) for t in parts if np.size(t.expected)]
        text = (
            relations.find(pairs)
            or as_if.find(trials, right_answer)
            or senses.find(trials, own_answer, right_answer)
            or places.find(pairs)
            or _of_the_smallest(pairs)
        )
        return _finding(text, whole) or _finding(places.extent(pairs), whole, False)


def _of_the_smallest(pairs: list[Pair]) -> str | None:
    """A sentence on the smallest case alone; it may show only one of two mistakes."""
    smallest = next((p for p in pairs if p.wrong.any()), None)
    if smallest is None or num_distinct([smallest]) < 2:
        return None
    text = relations.order([smallest]) or relations.fixed([smallest])
    return text and f"In the smallest case, {text[0].lower()}{text[1:]}"


def _first_part_that_differs(
    trials: Sequence[Trial], fields: tuple[str, ...]
) -> tuple[Any, list[Trial]]:
    """The first part that differs in the smallest case, and all trials of it alone."""
    for trial in trials:
        for name in _names_of_parts(trial.expected, fields):
            if same.difference(*_only(trial, name)[1:]):
                return name, [
                    _only(t, name)
                    for t in trials
                    if name in _names_of_parts(t.expected, fields)
                ]
    return None, list(trials)


def _only(trial: Trial, name: Any) -> Trial:
    got, expected = _part(trial.got, name), _part(trial.expected, name)
    return trial._replace(got=got, expected=expected)


def _finding(text: str | None, whole: str, is_cause: bool = True) -> Finding | None:
    if not text:
        return None
    says = text.format(whole=whole)
    return Finding(says[0].upper() + says[1:], is_cause)


def _names_of_parts(expected: Any, fields: tuple[str, ...]) -> list[Any]:
    """The names of the parts that are compared; None is the whole answer."""
    if isinstance(expected, Mapping):
        return [n for n, x in expected.items() if n == "answer" or same.is_array(x)]
    if isinstance(expected, tuple):
        names = getattr(expected, "_fields", range(len(expected)))
        return [name for name in names if not fields or name in fields]
    return [None]


def _part(output: Any, name: Any) -> Any:
    if name is None:
        return output
    if isinstance(output, Mapping):
        return output.get(name)
    if isinstance(name, int):
        return output[name] if isinstance(output, tuple) else None
    return getattr(output, name, None)


def _called(name: Any) -> str:
    """The name of a part in a sentence."""
    if name in (None, "answer"):
        return "your result"
    return f"your {same.called(name)}"
