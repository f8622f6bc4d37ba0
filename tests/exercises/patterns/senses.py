"""Change an input, and see whether the candidate's answer and the right one change."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.exercises import same
from tests.exercises.patterns.as_if import Inputs, changes, kinds
from tests.exercises.patterns.pairs import Trial

PATIENCE = 0.3  # seconds of the processor for all inputs together
DEAF = "Your result does not depend on `{}`, and the right one does."
NERVOUS = "Your result depends on `{}`, and the right one does not."
MOVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "f": lambda x: 0.9 * x + 0.07,
    "b": np.logical_not,
}
Answer = Callable[[Inputs], Any]


def find(
    trials: Sequence[Trial], own_answer: Answer, right_answer: Answer
) -> str | None:
    """A sentence on the first input that only one of the two answers depends on."""
    until = time.process_time() + PATIENCE
    for place, kind in kinds(trials[-1].inputs).items():
        if kind not in MOVES or time.process_time() > until:
            continue
        moved = changes(place, MOVES[kind])
        try:
            both = [_moves(t, moved, own_answer, right_answer) for t in trials[::-1]]
        except Exception:  # the change makes no sense
            continue
        own, right = (any(them) for them in zip(*both, strict=True))
        if own != right:
            return (DEAF if right else NERVOUS).format(place)
    return None


def _moves(
    trial: Trial, moved: Callable[[Inputs], Inputs | None], own: Answer, right: Answer
) -> tuple[bool, bool]:
    """Whether our answer to a case moves with an input, and whether the right one."""
    inputs = moved(dict(trial.inputs))
    if inputs is None:
        return False, False
    before, after = (trial.got, trial.expected), (own(inputs), right(inputs))
    return tuple(not _is_same(x, y) for x, y in zip(before, after, strict=True))


def _is_same(one: Any, other: Any) -> bool:
    return same.is_same(same.answer_in(one), same.answer_in(other))
