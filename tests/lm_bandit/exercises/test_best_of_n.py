"""Best-of-n, against every way in which n draws may fall."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.oracle.exact import best_of_n
from tests.lm_bandit import inputs, oracles


@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_as_likely_as_its_ways_to_be_the_best_of_n(rng, n):
    problem = inputs.problem(rng)
    policy = np.exp(np.concatenate(best_of_n(problem, n), axis=1))
    reference = np.exp(np.concatenate(problem.reference, axis=1))
    for x in range(2):
        scores = np.append(problem.learned[x], [problem.penalty] * 2)
        expected = oracles.all_that_can_be_drawn(reference[x], scores, n)
        assert_allclose(policy[x], expected, rtol=1e-9)
