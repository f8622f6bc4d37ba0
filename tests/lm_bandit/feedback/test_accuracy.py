"""The best possible accuracy, against every way to bet and every possible opinion."""

from itertools import product

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback import accuracy, annotators
from lm_bandit.world import World
from tests.exercises.oracle import oracle


def test_no_way_to_bet_is_right_more_often(rng):
    """There are 2^n ways to name one side of each of n pairs."""
    probs = rng.uniform(0.0, 1.0, 5)
    ways = [
        np.mean([p if first else 1 - p for p, first in zip(probs, bets, strict=True)])
        for bets in product((True, False), repeat=5)
    ]
    assert_allclose(accuracy.best_accuracy(probs), max(ways), rtol=1e-9)


def test_the_best_accuracy_is_a_half_on_coins_and_1_where_all_agree():
    assert_allclose(accuracy.best_accuracy(np.full(3, 0.5)), 0.5)
    assert_allclose(accuracy.best_accuracy(np.array([0.0, 1.0, 0.0])), 1.0)


@oracle
def share_that_prefers_the_first(world, which, first, second):
    """Enumerate all combinations of ratings, one of each word of the vocabulary."""
    wins = []
    for opinion in product(*world.ratings):
        sums = [sum(opinion[word] for word in {*map(int, y)}) for y in (first, second)]
        difference = world.signs[which] * (sums[0] - sums[1])
        wins.append(0.5 if difference == 0 else float(difference > 0))
    return np.mean(wins)


def small_world(rng):
    ratings = rng.integers(-4, 5, (5, 3)).astype(float)
    ratings[0] = 0.0
    words = ("<end>", "fine", "odd", "dull", "grim")
    return World(words, np.array([[1], [2]]), np.array([1, -1]), ratings, 4)


def test_the_win_probability_is_the_share_of_all_possible_opinions(rng):
    world = small_world(rng)
    first, second = np.zeros((2, 12, 4), int)
    first[:, :3], second[:, :3] = rng.integers(1, 5, (2, 12, 3))
    first[:6, 1], second[:6, :3] = first[:6, 0], 0  # a repeated word, and no word
    which = rng.integers(2, size=12)
    got = accuracy.win_probabilities(world, which, first, second)
    pairs = zip(which, first, second, strict=True)
    expected = [share_that_prefers_the_first(world, *pair) for pair in pairs]
    assert_allclose(got, expected, atol=1e-9)


def test_swapped_sides_or_the_opposite_prompt_give_one_minus_the_probability(rng):
    world = small_world(rng)
    first, second = np.zeros((2, 6, 4), int)
    first[:, :2], second[:, :2] = rng.integers(1, 5, (2, 6, 2))
    which = np.array([0, 1] * 3)
    got = accuracy.win_probabilities(world, which, first, second)
    swapped = accuracy.win_probabilities(world, which, second, first)
    opposite = accuracy.win_probabilities(world, 1 - which, first, second)
    assert_allclose(got + swapped, 1.0, atol=1e-9)
    assert_allclose(got + opposite, 1.0, atol=1e-9)


def test_no_predictor_of_real_answers_is_better_than_the_bayes_accuracy(world):
    """The best bet reaches it; the sign of the gold difference comes close."""
    n, rng = 20_000, np.random.default_rng(0)
    pairs = np.zeros((n, 2, 4), int)
    pairs[:, :, 0] = rng.choice(world.rated, size=(n, 2))
    which = rng.integers(8, size=n)
    answers = annotators.compare_pairs(rng, world, which, pairs)
    best = accuracy.bayes_accuracy(world, answers)
    p = accuracy.answer_probabilities(world, answers)
    assert_allclose(np.mean(np.sign(p - 0.5) / 2 + 0.5), best, atol=2 / np.sqrt(n))
    gold = world.ratings.mean(-1)
    gains = world.signs[which] * (gold[answers.chosen] - gold[answers.rejected])[:, 0]
    by_gold = np.mean(np.sign(gains) / 2 + 0.5)
    assert best - 0.02 < by_gold < best + 2 / np.sqrt(n)
