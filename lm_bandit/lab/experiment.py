"""The common shape of the lab's experiments, and the tables that they share.

An experiment is a function from seeds to a result, and two ways to tell the result: a
summary for the terminal, and sentences that explain it. Its picture is in `plots.py`,
and `number_rows` lists its numbers.

Words that all experiments use:

    learned reward   the reward model's score, which the policy is optimised for
                     ("proxy reward" in Gao et al. 2022)
    gold reward      what the raters really think: the mean of their ratings, in points
                     of rating, minus the reference's mean ("gold reward" there, too)
    deviation        the standard deviation of a reward under the reference, within a
                     prompt
    beta             the KL weight; a smaller one lets the policy go further
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np

from mdp.interface.jobs import Job

Result = TypeVar("Result")
STAGE = "seeds"  # the progress bar of an experiment
Rows = list[tuple[Any, ...]]


class Experiment(NamedTuple, Generic[Result]):
    """One experiment of the lab: how to run it, and how to tell its result."""

    # From seeds, and runner=..., to the result: a named tuple whose field `seeds` holds
    # them, and whose arrays have a leading axis of seeds.
    run: Callable[..., Result]
    columns: dict[str, str]  # the meaning of each column of the summary, by its head
    summary: Callable[[Result], Rows]  # the rows of a table of texts
    explanation: Callable[[Result], list[str]]  # what the table says, in sentences
    words: dict[str, str]  # the meaning of words in the table
    texts: tuple[str, ...] = ()  # heads of columns of text, besides the first
    points: tuple[str, ...] = ()  # fields of the result without an axis of seeds
    types: tuple[type, ...] = ()  # named tuples that are kept for each seed

    @property
    def title(self) -> str:
        """The first line of the experiment's file."""
        return (inspect.getdoc(inspect.getmodule(self.run)) or "").partition("\n")[0]


def seed_jobs(
    seeds: Sequence[int], measure: Callable[..., Any], *arguments: Any
) -> list[Job]:
    """Return a job measure(seed, *arguments) for each seed."""
    return [
        Job(f"seed {seed}", STAGE, 1, partial(measure, seed, *arguments))
        for seed in seeds
    ]


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


def number_rows(result: Any, points: Collection[str] = ()) -> Rows:
    """Return every number of a result as a row, under a header.

    The columns are the measure (a field of the result), the case (names inside the
    field), the seed, the point (counted from 0), and the number. A number that is the
    same for all seeds has no seed.

    Args:
        result: a named tuple; its arrays have a leading axis of seeds.
        points: the fields of the result without that axis.
    """
    rows: Rows = [("measure", "case", "seed", "point", "number")]
    # None has no leaves: the seeds are a column, not a measure.
    for (field, *path), leaf in jax.tree.leaves_with_path(result._replace(seeds=None)):
        numbers = np.asarray(leaf)
        if numbers.dtype.kind not in "if":
            continue  # words
        case = jax.tree_util.keystr(tuple(path), simple=True, separator=", ")
        common = field.name in points or numbers.ndim == 0
        seeds = ("",) if common else result.seeds
        table = numbers.reshape(len(seeds), -1).tolist()
        for seed, line in zip(seeds, table, strict=True):
            rows += [(field.name, case, seed, j, x) for j, x in enumerate(line)]
    return rows
