"""Baselines, over all outcomes of small experiments."""

import jax.numpy as jnp
import numpy as np
import pytest

from policy_gradient.baselines import leave_one_out_mean


def test_leaving_one_out_is_unbiased_and_the_batch_mean_is_not():
    """Against a mean that contains the sample, gradients shrink by 1 - 1/n.

    Over all outcomes of n = 3 rolls of a biased coin, E[(r - b) score] is exact.
    """
    p, rewards = 0.3, np.array([2.0, -1.0])
    score = np.array([1 / p, -1 / (1 - p)])  # d log pi / d p of heads and tails
    true_gradient = rewards[0] - rewards[1]  # d/dp of p r_0 + (1 - p) r_1
    with_others = with_all = 0.0
    for rolls in np.ndindex(2, 2, 2):
        probability = np.prod([[p, 1 - p][roll] for roll in rolls])
        r = rewards[list(rolls)]
        others = np.asarray(leave_one_out_mean(jnp.asarray(r)))
        with_others += probability * np.mean((r - others) * score[list(rolls)])
        with_all += probability * np.mean((r - r.mean()) * score[list(rolls)])
    assert with_others == pytest.approx(true_gradient, rel=1e-5)
    assert with_all == pytest.approx((1 - 1 / 3) * true_gradient, rel=1e-5)
