"""The loss of rankings, against their pairs one by one."""

from itertools import combinations

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.likelihoods import ranking_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(ranking_loss))


def test_all_pairs_of_a_ranking_weigh_together_as_much_as_one_comparison(rng):
    scores = rng.normal(0.0, 1.5, (3, 4))
    surprises = [
        np.log1p(np.exp(row[j] - row[i]))
        for row in scores
        for i, j in combinations(range(4), 2)
    ]
    assert_allclose(compiled(array(scores))[0], np.sum(surprises) / 6 / 3, rtol=1e-4)


def test_the_gradient_lifts_the_first_and_knows_no_constant(rng):
    scores = rng.normal(0.0, 1.5, (2, 5))
    loss, slopes = compiled(array(scores))
    shifted, _ = compiled(array(scores + rng.normal(0.0, 3.0, (2, 1))))
    assert_allclose(shifted, loss, rtol=1e-4)
    assert (slopes[:, 0] < 0).all()
    assert (slopes[:, -1] > 0).all()
    assert_allclose(slopes.sum(1), 0.0, atol=1e-5)


def test_however_wrong_the_scores_are_it_stays_finite():
    """Three pairs, wrong by 100, 200 and 100."""
    loss, slopes = compiled(array([[-100.0, 0.0, 100.0]]))
    assert_allclose(loss, 400.0 / 3, rtol=1e-5)
    assert np.isfinite(slopes).all()
