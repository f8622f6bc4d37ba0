"""A flaw in the reward: how fast its use grows, and what it costs, on ten seeds."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.lab import flaw, tabular
from lm_bandit.oracle import exact


def test_a_flaw_grows_by_its_variance_over_beta(bench):
    """The derivative of E[f] by the bonus, by central differences."""
    f = bench.used[:, bench.column(flaw.MAGIC_WORD)]
    step, beta = 1e-4, 0.5

    def optimum(bonus):
        problem = tabular.bench_problem(bench, 0.3 * bench.gold + bonus * f, beta)
        return np.exp(exact.optimum(problem).ended[0])

    slope = (optimum(1.0 + step) @ f - optimum(1.0 - step) @ f) / (2 * step)
    mean = optimum(1.0) @ f
    assert_allclose(slope, mean * (1.0 - mean) / beta, rtol=1e-5)


def test_the_optimum_uses_what_it_is_paid_for_and_people_pay():
    length, word = flaw.plant_flaws(seeds=range(10)).flaws.values()
    for each in (length, word):
        assert (np.diff(each.use) > -1e-9).all()
        assert (each.gold[:, -1] < 0.6 * each.gold[:, 0]).all()
    assert (length.use[:, 0] < 2.7).all()
    assert (length.use[:, -1] > 2.85).all()
    assert (word.use[:, 0] < 0.25 * word.reference).all(), "nobody wants it"
    assert (word.use[:, -1] > 0.8).all()
