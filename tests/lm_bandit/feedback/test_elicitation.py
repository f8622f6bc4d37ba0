"""The next question: each way to choose it does what it says, and is worth it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.feedback import elicitation, linear_reward
from lm_bandit.feedback.elicitation import LearningCurve, disagreement


def test_disagreement_is_half_the_mean_squared_difference_of_two_members(rng):
    """Var = E (a - b)^2 / 2 over all pairs of members; no mean is needed."""
    weights, pool = rng.normal(0.5, 1.0, (4, 3)), rng.normal(size=(6, 3))
    expected = []
    for z in pool:
        p = [1 / (1 + np.exp(-sum(w * z))) for w in weights]
        expected.append(np.mean([(a - b) ** 2 for a in p for b in p]) / 2)
    assert_allclose(disagreement(weights, pool), expected, rtol=1e-8)


def test_members_of_one_opinion_do_not_disagree_though_people_may():
    """All say that it is a coin, or all are sure, more or less."""
    weights = np.array([[0.0, 12.0, 1.0], [0.0, 15.0, -1.0], [0.0, 9.0, 0.0]])
    coin, sure, open_question = disagreement(weights, np.eye(3))
    assert_allclose(coin, 0.0, atol=1e-12)
    assert sure < 1e-6 < 0.01 < open_question


@pytest.fixture
def answers():
    """200 answers about five words, by Bradley and Terry's model."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(200, 5))
    p = 1 / (1 + np.exp(-pairs @ np.array([1.5, 0.5, 0.0, -0.5, -1.0])))
    return np.where((rng.random(200) < p)[:, None], pairs, -pairs)


def test_the_design_takes_the_pair_that_leaves_the_smallest_determinant(answers):
    """Against the determinant of every pair's covariance, inverted anew."""
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(30, 5)) * rng.uniform(0.2, 2.0, (30, 1))
    posterior = linear_reward.fit_weights(answers)
    precision = np.linalg.inv(posterior.covariance)
    p = 1 / (1 + np.exp(-pool @ posterior.mean))
    gained = (p * (1 - p))[:, None, None] * pool[:, :, None] * pool[:, None, :]
    expected = []
    for _ in range(4):
        left = np.linalg.det(np.linalg.inv(precision + gained))
        left[expected] = np.inf
        expected.append(int(left.argmin()))
        precision = precision + gained[expected[-1]]
    assert_array_equal(elicitation.by_design(rng, answers, pool, 4), expected)
    got = elicitation.updated_covariance(posterior.covariance, pool[3], 0.2)
    exact = np.linalg.inv(posterior.covariance) + 0.2 * np.outer(pool[3], pool[3])
    assert_allclose(got, np.linalg.inv(exact), rtol=1e-8)


def test_uncertainty_asks_about_words_that_were_hardly_compared(answers):
    """The first two words were compared 200 times, the others hardly ever."""
    known = answers.copy()
    known[:190, 2:] = 0.0
    pool = np.zeros((100, 5))
    pool[:90, 0], pool[:90, 1] = 1.0, -1.0
    pool[90:, 2], pool[90:, 3] = 1.0, -1.0
    rng = np.random.default_rng(3)
    for choose in (elicitation.by_uncertainty, elicitation.by_design):
        chosen = choose(rng, known, pool, 5)
        assert (chosen >= 90).all()
        assert len(set(chosen)) == 5


def test_a_learning_curve_is_the_mean_of_its_seeds_within_their_range(world):
    curve = elicitation.learning_curve(world, elicitation.at_random, (3, 5), count=2)
    runs = [
        elicitation.accuracy_by_answers(seed, world, elicitation.at_random, count=2)
        for seed in (3, 5)
    ]
    assert_allclose(curve.answers, 2 * np.arange(1, len(runs[0]) + 1))
    assert_allclose(curve.mean, np.mean(runs, 0))
    # Of two seeds, a quarter of the bootstrap samples are the lower one twice.
    assert_allclose(curve.low, np.min(runs, 0))
    assert_allclose(curve.high, np.max(runs, 0))


@pytest.fixture(scope="module")
def curves(world):
    return [
        elicitation.learning_curve(world, choose, range(16), reads=reads)
        for choose, reads in (
            (elicitation.at_random, 2),
            (elicitation.by_uncertainty, 2),
            (elicitation.by_design, 2),
            (elicitation.at_random, 4),
        )
    ]


@pytest.mark.slow
def test_smart_questions_need_at_most_seven_answers_in_ten(curves):
    """To order the pairs as well as 300 random questions do: measured, about half."""
    random, *smart, _ = curves
    for curve in smart:
        assert elicitation.share_needed(curve, random) <= 0.7
        assert curve.low[-1] > random.mean[-1], "a band of 95% above the mean"
    assert 0.88 < random.mean[-1] < 0.95
    assert elicitation.share_needed(random, smart[0]) == np.inf


@pytest.mark.slow
def test_a_ranking_of_four_teaches_more_than_two_comparisons_that_read_as_much(curves):
    random, *_, rankings = curves
    assert elicitation.share_needed(rankings, random) <= 0.4
    # A ranking reads 4 completions where a comparison reads 2.
    fewer = rankings.answers * 2 <= random.answers[-1]
    assert (rankings.mean[fewer] > random.mean[1::2]).all()


def test_the_accuracy_rises_with_the_answers(world):
    accuracies = elicitation.accuracy_by_answers(0, world, elicitation.by_design, 6, 20)
    assert accuracies.shape == (6,)
    assert 0.6 < accuracies[0] < accuracies[-1] < 1.0


def test_the_share_needed_is_where_a_curve_reaches_the_last_accuracy_of_another():
    answers = np.arange(10, 50, 10)
    low, high = (
        LearningCurve(answers, mean, mean, mean)
        for mean in (np.array([0.5, 0.6, 0.7, 0.75]), np.array([0.6, 0.75, 0.8, 0.9]))
    )
    assert elicitation.share_needed(high, low) == 0.5
    assert elicitation.share_needed(low, high) == np.inf
