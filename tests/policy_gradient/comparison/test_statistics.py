"""The statistics of a comparison: their oracles, and how often they cry wolf."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import mannwhitneyu, trim_mean

from policy_gradient.comparison import statistics


@pytest.mark.parametrize("n", [2, 5, 8, 33])
def test_the_interquartile_mean_is_the_mean_trimmed_by_a_quarter(n):
    scores = np.random.default_rng(n).normal(size=(3, n))
    expected = [trim_mean(runs, 0.25) for runs in scores]
    assert_allclose(statistics.interquartile_mean(scores), expected, rtol=1e-12)


def test_one_broken_run_does_not_move_the_middle():
    scores = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, -1e9]])
    rng = np.random.default_rng(0)
    assert statistics.interquartile_estimate(scores, rng).value == np.mean([1, 2, 2, 3])


def test_the_probability_of_improvement_is_the_u_of_mann_and_whitney():
    """U / (m n) in each world, ties counting half, averaged over the worlds."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(6, size=(2, 7)) / 2, rng.integers(6, size=(2, 9)) / 2
    worlds = zip(x, y, strict=True)
    wins = [mannwhitneyu(*runs, method="asymptotic")[0] for runs in worlds]
    expected = np.mean(wins) / 63
    found = statistics.probability_of_improvement(x, y, rng)
    assert found.value == pytest.approx(expected, abs=1e-12)
    turned = statistics.probability_of_improvement(y, x, rng)
    assert found.value + turned.value == pytest.approx(1, abs=1e-12)


def test_runs_are_drawn_again_within_their_world():
    """Worlds of different scores, each without spread: there is nothing to doubt."""
    scores = np.array([[0.0] * 8, [1.0] * 8, [5.0] * 8])
    estimate = statistics.interquartile_estimate(scores, np.random.default_rng(0))
    assert estimate == (estimate.value,) * 3


@pytest.mark.slow
def test_the_interval_of_the_middle_covers_it_as_often_as_it_says():
    """Of 400 samples of 32 uniform scores, 91% to 98% of the intervals hold 1/2."""
    rng = np.random.default_rng(2)
    estimates = [
        statistics.interquartile_estimate(rng.random((1, 32)), rng) for _ in range(400)
    ]
    covered = np.mean([low <= 0.5 <= high for _, low, high in estimates])
    assert 0.91 <= covered <= 0.98


# Scores as they come: skewed to the low side, and heaped up on a few greedy policies.
SKEWED = -np.random.default_rng(3).lognormal(1.0, 1.5, size=(2, 1000))
HEAPED = np.random.default_rng(4).choice([0.5, 0.78, 0.82, 1.0], size=(2, 1000))


@pytest.mark.slow
@pytest.mark.parametrize("pool", [SKEWED, HEAPED], ids=["skewed", "heaped"])
@pytest.mark.parametrize("num_runs", [8, 32])
def test_an_algorithm_differs_from_itself_in_3_to_8_percent_of_1000(pool, num_runs):
    rng = np.random.default_rng(num_runs)

    def runs():
        return np.take_along_axis(pool, rng.integers(1000, size=(2, num_runs)), 1)

    differs = 0
    for _ in range(1000):
        found = statistics.probability_of_improvement(runs(), runs(), rng)
        differs += not found.low <= 0.5 <= found.high
    assert 30 <= differs <= 80


def test_what_is_better_by_a_deviation_is_found_to_be():
    """At 32 runs the power is above 0.95: of 100 comparisons, 90 at least."""
    rng, found = np.random.default_rng(5), []
    for _ in range(100):
        x, y = rng.normal([[[1.0]], [[0.0]]], size=(2, 1, 32))
        found.append(statistics.probability_of_improvement(x, y, rng))
    assert np.sum([low > 0.5 for _, low, _ in found]) >= 90
    # P(X > Y) = Phi(1 / sqrt 2) = 0.760
    assert np.mean([value for value, _, _ in found]) == pytest.approx(0.760, abs=0.02)
