"""The rewards of the tokens, against one token after another."""

from functools import partial

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.rewards import token_rewards
from tests.lm_bandit.inputs import array

at_tokens, at_end = (jax.jit(partial(token_rewards, at_end=x)) for x in (False, True))


def test_each_token_pays_and_the_last_one_is_paid(rng):
    log_ratios, score, beta = rng.normal(0.0, 1.0, 4), rng.normal(), 0.3
    for length in (1, 3, 4):
        mask = array((np.arange(4) < length).astype(float))
        expected = [-beta * d if t < length else 0.0 for t, d in enumerate(log_ratios)]
        expected[length - 1] += score
        got = at_tokens(array(score), array(log_ratios), mask, beta)
        assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
        total = np.zeros(4)
        total[length - 1] = sum(expected)
        got = at_end(array(score), array(log_ratios), mask, beta)
        assert_allclose(got, total, rtol=1e-4, atol=1e-5)
