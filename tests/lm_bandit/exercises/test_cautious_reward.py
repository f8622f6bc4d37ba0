"""A cautious reward, prompt by prompt, by the constants that it must not see."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.ensemble import cautious_reward
from tests.lm_bandit.inputs import array


def test_it_is_the_mean_less_so_many_deviations_of_the_members(rng):
    scores, caution = rng.normal(0.0, 1.5, (3, 2, 4)), rng.uniform(0.2, 0.9)
    expected = np.zeros((2, 4))
    for x, y in np.ndindex(2, 4):
        told = [member[x, y] - np.mean(member[x]) for member in scores]
        expected[x, y] = np.mean(told) - caution * np.std(told)
    assert_allclose(
        cautious_reward(array(scores), caution), expected, rtol=1e-3, atol=1e-5
    )


def test_constants_of_members_and_prompts_change_nothing(rng):
    scores = rng.normal(0.0, 1.0, (3, 2, 4))
    constants = rng.normal(0.0, 5.0, (3, 2, 1))
    got = cautious_reward(array(scores + constants), 0.5)
    assert_allclose(got, cautious_reward(array(scores), 0.5), atol=1e-4)


def test_where_all_agree_caution_costs_nothing(rng):
    row = rng.normal(0.0, 1.0, (1, 2, 4))
    expected = row[0] - row[0].mean(-1, keepdims=True)
    assert_allclose(
        cautious_reward(array(np.repeat(row, 3, axis=0)), 5.0), expected, atol=1e-4
    )
