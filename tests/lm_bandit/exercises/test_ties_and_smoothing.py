"""Answers that are not taken at their word, against a cross-entropy by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.reward_model import soft_pairwise_loss
from tests.lm_bandit.inputs import array

with_slopes = jax.value_and_grad(soft_pairwise_loss)
TIED = np.array([False, True, False, True])


def test_a_tie_is_half_a_win_for_each_side_and_asks_for_no_margin(rng):
    chosen, rejected = rng.normal(0.0, 1.5, (2, 4))
    margin, smoothing = rng.uniform(0.1, 0.9), rng.uniform(0.02, 0.3)
    surprises = []
    for first, second, tied in zip(chosen, rejected, TIED, strict=True):
        d = first - second - (0.0 if tied else margin)
        t = 0.5 if tied else 1.0 - smoothing
        p = 1 / (1 + np.exp(-d))
        surprises.append(-t * np.log(p) - (1 - t) * np.log(1 - p))
    sides = array(chosen), array(rejected)
    loss, _ = with_slopes(*sides, jnp.asarray(TIED), margin, smoothing)
    assert_allclose(loss, np.mean(surprises), rtol=1e-4)


def test_smoothing_is_content_with_its_own_log_odds_behind_the_margin(rng):
    """Its gradient is 0 at d = log((1 - s) / s): beyond, it pulls back."""
    smoothing, margin = rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.9)
    enough = np.log((1 - smoothing) / smoothing) + margin
    for by, sign in ((-0.1, -1), (0.0, 0), (0.1, 1)):
        no = jnp.array([False])
        _, slope = with_slopes(
            array([enough + by]), array([0.0]), no, margin, smoothing
        )
        assert sign * slope[0] > 1e-3 or (sign == 0 and abs(slope[0]) < 1e-5)


def test_however_far_apart_the_scores_are_it_stays_finite():
    sides = array([-200.0, 200.0]), array([200.0, -200.0])
    loss, slopes = with_slopes(*sides, jnp.array([False, True]), 0.0, 0.1)
    assert_allclose(loss, (0.9 * 400.0 + 0.5 * 400.0) / 2, rtol=1e-5)
    assert np.isfinite(slopes).all()
