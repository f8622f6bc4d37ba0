"""The common shape of the lab's experiments, and the tables that they share.

An experiment is a function from seeds to a result, and three ways to tell the result:
all numbers as rows of a CSV file, a summary for the terminal, and sentences that
explain it. Its picture is in `plots.py`.

Words that all experiments use:

    learned reward   the reward model's score, which the policy is optimised for
                     ("proxy reward" in Gao et al. 2022)
    gold reward      what the raters really think: the mean of their ratings, in points
                     of rating, minus the reference's mean ("gold reward" there, too)
    deviation        the standard deviation of a reward under the reference, within a
                     prompt
    beta             the KL weight; a smaller one lets the policy go further

Shapes: S seeds, n points of each seed.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Real

Result = TypeVar("Result")
Rows = list[tuple[Any, ...]]  # the first row is the header


class Experiment(NamedTuple, Generic[Result]):
    """One experiment of the lab: how to run it, and how to tell its result."""

    run: Callable[[Sequence[int]], Result]  # from seeds to the result
    rows: Callable[[Result], Rows]  # every number, for the CSV file
    summary: Callable[[Result], Rows]  # a table of text; its docstring explains it
    explanation: Callable[[Result], list[str]]  # what the table says, in sentences

    @property
    def title(self) -> str:
        """The first line of the experiment's file."""
        return (inspect.getdoc(inspect.getmodule(self.run)) or "").partition("\n")[0]


def stack_seeds(results: Sequence[Any]) -> Any:
    """Return the results of S seeds as one, whose arrays have a leading axis of seeds.

    A result is a number, an array, or a dict or named tuple of such.
    """
    first = results[0]
    if isinstance(first, dict):
        return {name: stack_seeds([each[name] for each in results]) for name in first}
    if isinstance(first, tuple):
        return type(first)(*map(stack_seeds, zip(*results, strict=True)))
    return np.stack(results)


def case_rows(
    seeds: Sequence[int], measures: Mapping[str, Mapping[str, Float[np.ndarray, "S"]]]
) -> Rows:
    """Return rows (measure, case, seed, number), without a header."""
    return [
        (measure, case, seed, number)
        for measure, cases in measures.items()
        for case, numbers in cases.items()
        for seed, number in zip(seeds, numbers.tolist(), strict=True)
    ]


def point_rows(
    seeds: Sequence[int],
    points: Real[np.ndarray, "n"],
    columns: Iterable[Float[np.ndarray, "S n"]],
) -> Iterator[tuple[int, float, list[float]]]:
    """Yield each seed, each point (such as a beta), and a number of each column."""
    table = np.stack([*columns], axis=-1).tolist()
    for seed, by_point in zip(seeds, table, strict=True):
        for point, numbers in zip(points.tolist(), by_point, strict=True):
            yield seed, point, numbers
