"""Which statistic finds one mistaken rating, and planted ones, on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.lab import overlooked


@pytest.fixture(scope="module")
def result():
    return overlooked.find_overlooked(seeds=range(10))


def test_no_number_of_ten_is_more_than_three_deviations_from_their_mean():
    """The bound sqrt(R - 1) is reached by one number far away from nine equal ones."""
    rng = np.random.default_rng(0)
    values = overlooked.z_score(rng.standard_cauchy((1000, 10)))
    assert values.max() < 3.0
    far = np.zeros((1, 10))
    far[0, 3] = 1e6
    assert_allclose(overlooked.z_score(far)[0, 3], 3.0)


def test_the_statistics_compare_a_rating_with_the_others_only():
    ratings = np.array([[-2.0, -3.0, 4.0, -2.0], [1.0, 1.0, 1.0, 2.0]])
    for r in range(4):
        others = np.delete(ratings, r, axis=1)
        away = np.abs(ratings[:, r] - others.mean(1))
        assert_allclose(overlooked.residual(ratings)[:, r], away)
        expected = away / np.maximum(others.std(1), 1.0)
        assert_allclose(overlooked.standardised_residual(ratings)[:, r], expected)
        middle = np.median(others, axis=1)
        spread = np.median(np.abs(others - middle[:, None]), axis=1)
        expected = np.abs(ratings[:, r] - middle) / np.maximum(spread, 1.0) / 1.4826
        assert_allclose(overlooked.robust_residual(ratings)[:, r], expected)


@pytest.mark.slow
def test_awful_is_the_first_of_2660_unless_it_hides_in_its_own_deviation(result):
    for name in ("residual", "standardised", "robust"):
        assert result.rank[name] == 1
        assert result.tied[name] == 0
        assert result.first[name][0] == "awful"
    assert result.tied["the rating"] > 100
    assert 1 < result.rank["in deviations"] < 10
    found = result.planted
    assert (found["the rating"] == 0).all()
    assert (found["standardised"] > 0.65).all()
    assert (found["standardised"] > found["robust"] + 0.2).all()
    assert (found["residual"] > found["in deviations"] + 0.1).all()


@pytest.mark.slow
def test_one_rating_makes_awful_the_praise_learned_from_that_rater_alone(result):
    assert (result.share["that rater"] > 0.2).all()
    for name in ("that rater, mended", "all ten raters"):
        assert (result.share[name] < 0.01).all()
        assert (result.weight[name] < -1.0).all()
    assert (result.weight["that rater"] > 3.0).all()
