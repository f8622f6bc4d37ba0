"""The likelihood of a ranking, against all orders drawn without replacement."""

from itertools import permutations

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.likelihoods import plackett_luce_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(plackett_luce_loss))


def test_the_orders_of_three_are_drawn_in_proportion_to_exp_and_sum_to_1(rng):
    scores = rng.normal(0.0, 1.5, 3)
    total = 0.0
    for order in permutations(range(3)):
        expected, left = 1.0, list(np.exp(scores[list(order)]))
        while left:
            expected *= left[0] / sum(left)
            left.pop(0)
        prob = np.exp(-float(compiled(array([scores[list(order)]]))[0]))
        assert_allclose(prob, expected, rtol=1e-4)
        total += prob
    assert_allclose(total, 1.0, rtol=1e-4)


def test_it_is_the_mean_over_rankings(rng):
    scores = rng.normal(0.0, 1.5, (4, 3))
    alone = [float(compiled(array([row]))[0]) for row in scores]
    assert_allclose(compiled(array(scores))[0], np.mean(alone), rtol=1e-4)


def test_however_wrong_the_scores_are_it_stays_finite():
    """The best one is chosen last of all: 200 and 100 too late."""
    loss, slopes = compiled(array([[-100.0, 0.0, 100.0]]))
    assert_allclose(loss, 300.0, rtol=1e-5)
    assert np.isfinite(slopes).all()
