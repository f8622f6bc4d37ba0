"""How far from v* a backup has left the values: bounds from above and from below.

The compiled solvers of `mdp.large` and `mdp.small` stop on them. They are tighter than
the rule of `mdp.planning.largest_change`, and never looser: where no episode ends, an
error that is the same in all states does not count.

Source: Porteus (1971), "Some bounds for discounted sequential decision processes".
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Expected discounts that differ by no more than rounding: all of them are gamma.
SAME_DISCOUNT = 1e-9


class Bounds(NamedTuple):
    """How far the values one backup later can be from v*."""

    shift: Float[Array, ""]  # what to add to them, to stand in the middle
    error: Float[Array, ""]  # how far they can be off then


def bounds_on_error(
    change: Float[Array, "S"], least: Float[Array, ""], most: Float[Array, ""]
) -> Bounds:
    """What the change in one backup, T v - v, says about the distance of T v from v*.

        d g / (1 - g)  for d = min (T v - v)  and for d = max (T v - v)

    is the least and the most that can still be added to T v. Here g is the expected
    discount of a pair: the one of all pairs that makes the bound the weaker. Where all
    are equal, the middle between the bounds is the better guess, and only the span of
    the change counts: an error that is the same in all states costs no sweep at all.
    Source: Porteus (1971); Puterman (1994), section 6.6.3.
    """
    low, high = change.min(), change.max()
    factor = jnp.array([least, most]) / (1 - jnp.array([least, most]))
    low = low * jnp.where(low > 0, factor[0], factor[1])
    high = high * jnp.where(high > 0, factor[1], factor[0])
    centred = Bounds((high + low) / 2, (high - low) / 2)
    # Where they differ, some states are ends: their value is 0 and must stay 0.
    one_sided = Bounds(jnp.zeros(()), jnp.maximum(-low, high))
    one_gamma = most - least <= SAME_DISCOUNT
    bounds = jax.tree.map(partial(jnp.where, one_gamma), centred, one_sided)
    # Nothing bounds the error by the change where gamma is 1: a change of epsilon ends.
    undiscounted = Bounds(jnp.zeros(()), abs(change).max() / 2)
    return jax.tree.map(partial(jnp.where, most < 1), bounds, undiscounted)
