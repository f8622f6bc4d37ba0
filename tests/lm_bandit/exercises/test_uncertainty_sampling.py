"""Where an ensemble disagrees, pair by pair and member by member."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.elicitation import disagreement


def test_it_is_half_the_mean_squared_difference_of_two_members(rng):
    """Var = E (a - b)^2 / 2 over all pairs of members; no mean is needed."""
    worths, pool = rng.normal(0.5, 1.0, (4, 3)), rng.normal(size=(6, 3))
    expected = []
    for z in pool:
        said = [1 / (1 + np.exp(-sum(w * z))) for w in worths]
        expected.append(np.mean([(a - b) ** 2 for a in said for b in said]) / 2)
    assert_allclose(disagreement(worths, pool), expected, rtol=1e-8)


def test_members_of_one_opinion_do_not_disagree_though_people_may(rng):
    """All say that it is a coin's; or all are sure, by more or less."""
    worths = np.array([[0.0, 12.0, 1.0], [0.0, 15.0, -1.0], [0.0, 9.0, 0.0]])
    coin, sure, open_question = disagreement(worths, np.eye(3))
    assert_allclose(coin, 0.0, atol=1e-12)
    assert sure < 1e-6 < 0.01 < open_question
