"""Reliability by questions with a known answer, against Bayes' rule on a grid."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.crowd import reliability_by_gold

GRID = (np.arange(20_000) + 0.5) / 20_000  # every reliability, as credible as any other


def test_it_is_what_bayes_believes_of_each_on_average(rng):
    right, who = rng.random(15) < 0.7, rng.integers(4, size=15)
    expected = []
    for k in range(6):  # nobody asked the last two
        credible = np.ones(len(GRID))
        for answer in right[who == k]:
            credible *= GRID if answer else 1 - GRID
        expected.append(np.sum(GRID * credible) / np.sum(credible))
    assert_allclose(reliability_by_gold(right, who, 6), expected, rtol=1e-5)
