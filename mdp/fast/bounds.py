"""Bounds on the distance of values from v*, from the change in one more backup.

    bounds_on_error    the bounds, and the best estimate between them
    may_go_on          True if gamma = 1, so that there are none
    one_gamma          the discount, if all outcomes have the same one

Source: Porteus (1971), "Some bounds for discounted sequential decision processes".
Shapes: S states, A actions, B outcomes per pair; n worlds of a stack.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mdp.model import MDP

# Expected discounts that differ by no more than rounding: all of them are gamma.
SAME_DISCOUNT = 1e-9

# Without a discount, an end that is rarer than this gives a bound that rounding spoils.
RARE_END = 1e-6


class Bounds(NamedTuple):
    """The distance of values from v*, as the change in their last backup bounds it."""

    shift: Any  # add it to the values to stand in the middle of the bounds
    error: Any  # the largest error after that


def bounds_on_error(
    change: Any, least: Any, most: Any, where: Callable = np.where
) -> Bounds:
    """Return bounds on the distance of T v from v*, from the change T v - v.

        d g / (1 - g)  for d = min (T v - v)  and for d = max (T v - v)

    are the smallest and the largest difference v* - T v. Here g is the expected
    discount of a pair, between `least` and `most`: of all pairs, the one with the
    weaker bound. If all are equal, the middle between the bounds is the better
    estimate, and only the span of the change counts. If they differ, some states are
    ends: their value is 0 and must stay 0. If gamma = 1 there is no such bound, and the
    error is infinite.

    Args:
        change: T v - v, [S].
        least: smallest expected discount of an available pair.
        most: the largest.
        where: `np.where`, or `jnp.where` for numbers of jax.

    Source: Porteus (1971); Puterman (1994), section 6.6.3.
    """
    low, high = change.min(), change.max()
    # Gamma = 1 has no bound; here it must only not divide by 0.
    weak, strong = (g / (1 - where(g < 1, g, 0.0)) for g in (least, most))
    lower = low * where(low > 0, weak, strong)
    upper = high * where(high > 0, strong, weak)
    all_equal = most - least <= SAME_DISCOUNT
    shift = where(all_equal, (upper + lower) / 2, 0.0)
    error = where(all_equal, (upper - lower) / 2, where(upper > -lower, upper, -lower))
    return Bounds(where(most < 1, shift, 0.0), where(most < 1, error, np.inf))


def may_go_on(mdp: MDP) -> Bool[np.ndarray, "*n"]:
    """Return True if some action is sure to go on undiscounted, or almost: gamma = 1.

    For a stack there is one answer for each world. The bounds on the error divide by
    the probability of not going on.
    """
    # What a stack stores once (stride 0) is looked at once.
    once = tuple(slice(None if stride else 1) for stride in mdp.discounts.strides)
    undiscounted = (mdp.discounts[once] == 1).any((-3, -2, -1))
    if undiscounted.any():
        expected = np.einsum("...b,...b->...", mdp.probs, mdp.discounts)
        undiscounted = undiscounted & (expected > 1 - RARE_END).any((-2, -1))
    return np.asarray(undiscounted)


def one_gamma(discounts: Float[np.ndarray, "*n S A B"]) -> float | None:
    """Return the discount if all outcomes have the same one, and None if they differ.

    Equal *expected* discounts are not enough: where every step may end the episode, the
    other outcomes are still discounted by all of gamma.
    """
    gamma = discounts.flat[0]
    return float(gamma) if (discounts == gamma).all() else None
