"""Gao et al.'s forms, and their fit with an interval."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.lab import scaling_law
from lm_bandit.lab.tabular import RewardPath


@pytest.mark.parametrize("terms", [scaling_law.best_of_n_terms, scaling_law.rlhf_terms])
def test_the_fit_finds_the_coefficients_and_an_interval_around_them(terms):
    rng = np.random.default_rng(0)
    d = np.tile(np.linspace(0.0, 3.0, 30), (10, 1))
    of_seeds = np.array([3.0, 1.0]) + 0.1 * rng.normal(size=(10, 2))
    gold = np.einsum("sni,si->sn", terms(d), of_seeds)
    fit = scaling_law.fit_scaling_law(RewardPath(d**2, gold, gold), terms)
    for i, estimate in enumerate((fit.alpha, fit.beta)):
        assert_allclose(estimate.value, of_seeds[:, i].mean(), rtol=1e-9)
        assert estimate.low < estimate.value < estimate.high
        standard_error = of_seeds[:, i].std() / np.sqrt(10)
        width = estimate.high - estimate.low
        assert_allclose(width, 2 * 1.96 * standard_error, rtol=0.15)
    assert fit.r_squared > 0.9


def test_the_forms_are_gao_et_als():
    d = np.array([0.0, 0.5, 2.0])
    assert_allclose(scaling_law.best_of_n_terms(d) @ [3.0, 1.0], d * (3.0 - d))
    expected = [0.0, 0.5 * (3.0 - np.log(0.5)), 2.0 * (3.0 - np.log(2.0))]
    assert_allclose(scaling_law.rlhf_terms(d) @ [3.0, 1.0], expected)
