"""Whom a stranger prefers, against every opinion that she may have."""

from itertools import product

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.accuracy import win_probabilities
from lm_bandit.world import World
from tests.exercises.oracle import oracle


@oracle
def preferred(world, which, first, second):
    """The share of all combinations of ratings, one of each word of the vocabulary."""
    wins = []
    for opinion in product(*world.ratings):
        worths = [
            sum(opinion[word] for word in set(map(int, side)))
            for side in (first, second)
        ]
        gained = world.signs[which] * (worths[0] - worths[1])
        wins.append(0.5 if gained == 0 else float(gained > 0))
    return np.mean(wins)


def some_world(rng):
    ratings = rng.integers(-4, 5, (5, 3)).astype(float)
    ratings[0] = 0.0
    words = ("<end>", "fine", "odd", "dull", "grim")
    return World(words, np.array([[1], [2]]), np.array([1, -1]), ratings, 4)


def test_of_all_opinions_that_she_may_have_this_share_prefers_the_first(rng):
    world = some_world(rng)
    first, second = np.zeros((2, 12, 4), int)
    first[:, :3], second[:, :3] = rng.integers(1, 5, (2, 12, 3))
    first[:6, 1], second[:6, :3] = first[:6, 0], 0  # a word said twice, and no word
    which = rng.integers(2, size=12)
    got = win_probabilities(world, which, first, second)
    pairs = zip(which, first, second, strict=True)
    expected = [preferred(world, *pair) for pair in pairs]
    assert_allclose(got, expected, atol=1e-9)


def test_to_swap_the_sides_or_to_ask_for_the_opposite_turns_it_around(rng):
    world = some_world(rng)
    first, second = np.zeros((2, 6, 4), int)
    first[:, :2], second[:, :2] = rng.integers(1, 5, (2, 6, 2))
    which = np.array([0, 1] * 3)
    got = win_probabilities(world, which, first, second)
    swapped = win_probabilities(world, which, second, first)
    opposite = win_probabilities(world, 1 - which, first, second)
    assert_allclose(got + swapped, 1.0, atol=1e-9)
    assert_allclose(got + opposite, 1.0, atol=1e-9)
