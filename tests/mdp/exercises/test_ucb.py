"""UCB, against the formula one arm at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp


@pytest.mark.parametrize("t", [1, 2, 10, 300])
@pytest.mark.parametrize("confidence", [0.0, 0.7, 2.0])
def test_the_bonus_grows_with_time_and_shrinks_with_experience(rng, t, confidence):
    counts = rng.multinomial(t - 1, [0.4, 0.3, 0.2, 0.1, 0.0], size=4)
    estimates = rng.normal(-1.0, 2.0, counts.shape)
    scores = mdp.ucb_scores(estimates, counts, t, confidence)
    for run, arm in np.ndindex(counts.shape):
        expected = np.inf
        if counts[run, arm]:
            bonus = confidence * np.sqrt(np.log(t) / counts[run, arm])
            expected = estimates[run, arm] + bonus
        assert scores[run, arm] == pytest.approx(expected)


def test_one_run_alone():
    scores = mdp.ucb_scores(np.array([-2.0, 1.0]), np.array([1, 4]), 6, 3.0)
    bonus = 3 * np.sqrt(np.log(6))
    assert_allclose(scores, [-2 + bonus, 1 + bonus / 2])


def test_the_arguments_are_left_as_they_were(rng):
    estimates, counts = rng.normal(size=(2, 3)), np.array([[0, 1, 2], [3, 0, 0]])
    given = estimates.copy(), counts.copy()
    mdp.ucb_scores(estimates, counts, 4, 2.0)
    assert_array_equal(estimates, given[0])
    assert_array_equal(counts, given[1])
