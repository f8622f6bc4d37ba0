"""The best possible accuracy, against every way to bet."""

from itertools import product

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.accuracy import best_accuracy


def test_no_way_to_bet_is_right_more_often(rng):
    """Of all 2^n ways to name one side of each of n pairs, the best one."""
    probs = rng.uniform(0.0, 1.0, 5)
    ways = [
        np.mean([p if first else 1 - p for p, first in zip(probs, bets, strict=True)])
        for bets in product((True, False), repeat=5)
    ]
    assert_allclose(best_accuracy(probs), max(ways), rtol=1e-9)


def test_of_coins_it_is_a_half_and_of_what_all_agree_on_1():
    assert_allclose(best_accuracy(np.full(3, 0.5)), 0.5)
    assert_allclose(best_accuracy(np.array([0.0, 1.0, 0.0])), 1.0)
