"""How far from v* a backup has left the values: bounds from above and from below.

The fast solvers of `mdp.large` and `mdp.small` stop on them. They are tighter than the
rule of `mdp.planning.largest_change`, and never looser: where no episode ends, an error
that is the same in all states does not count.

Source: Porteus (1971), "Some bounds for discounted sequential decision processes".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mdp.model import Array

# Expected discounts that differ by no more than rounding: all of them are gamma.
SAME_DISCOUNT = 1e-9


class Bounds(NamedTuple):
    """How far the values one backup later can be from v*."""

    shift: float | Array  # what to add to them, to stand in the middle
    error: float | Array  # how far they can be off then


def bounds_on_error(
    change: Array, least: float | Array, most: float | Array, where: Callable = np.where
) -> Bounds:
    """What the change in one backup, T v - v, says about the distance of T v from v*.

        d g / (1 - g)  for d = min (T v - v)  and for d = max (T v - v)

    is the least and the most that can still be added to T v. Here g is the expected
    discount of a pair, between `least` and `most`: the one of all pairs that makes the
    bound the weaker. Where all are equal, the middle between the bounds is the better
    guess, and only the span of the change counts: an error that is the same in all
    states costs no sweep at all. For numbers of jax's, `where` must be jax's too.

    Source: Porteus (1971); Puterman (1994), section 6.6.3.
    """
    low, high = change.min(), change.max()
    # Gamma = 1 is told apart below; here it must only not divide by 0.
    weak, strong = (g / (1 - where(g < 1, g, 0.0)) for g in (least, most))
    lower = low * where(low > 0, weak, strong)
    upper = high * where(high > 0, strong, weak)
    one_gamma = most - least <= SAME_DISCOUNT
    # Where they differ, some states are ends: their value is 0 and must stay 0.
    shift = where(one_gamma, (upper + lower) / 2, 0.0)
    error = where(one_gamma, (upper - lower) / 2, where(upper > -lower, upper, -lower))
    # Nothing bounds the error by the change where gamma is 1: a change of epsilon ends.
    undiscounted = where(high > -low, high, -low) / 2
    return Bounds(where(most < 1, shift, 0.0), where(most < 1, error, undiscounted))


def one_gamma(discounts: Array) -> float | None:
    """The discount, if it is that of every outcome ([..., B]); None if they differ.

    Equal *expected* discounts are not enough: where every step may end the episode,
    what follows the other outcomes is still discounted by all of gamma.
    """
    gamma = discounts.flat[0]
    return float(gamma) if (discounts == gamma).all() else None
