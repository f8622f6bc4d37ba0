"""Baselines of completions, against means that are written out; and their bias."""

import itertools

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.rewards import expected_returns
from tests.lm_bandit.inputs import array

compiled = jax.jit(expected_returns, static_argnames="baseline")


def test_only_completions_of_the_same_prompt_are_asked(rng):
    for shape in ((3, 3), (2, 4)):
        returns = rng.normal(1.0, 3.0, shape)
        others = [[np.delete(x, j).mean() for j in range(len(x))] for x in returns]
        expected = {
            "none": np.zeros(shape),
            "constant": np.full(shape, 0.7),
            "average": [[row.mean() for _ in row] for row in returns],
            "leave_one_out": others,
        }
        for name, numbers in expected.items():
            got = compiled(array(returns), name, 0.7)
            assert got.shape == shape
            assert_allclose(got, numbers, rtol=1e-4, atol=1e-5)


def test_the_others_leave_the_gradient_as_it_is_and_the_mean_of_all_shrinks_it(rng):
    """Exactly, over all pairs of pulls of an arm with two ends, by 1 - 1/n."""
    p, rewards = rng.uniform(0.2, 0.8), rng.normal(0.0, 2.0, 2)
    probs, score = np.array([1 - p, p]), np.array([-p, 1 - p])  # d log pi / d logit
    gradient = np.sum(probs * score * rewards)

    def mean_gradient(baseline):
        total = 0.0
        for pair in itertools.product((0, 1), repeat=2):
            arms = list(pair)
            expected = compiled(array([rewards[arms]]), baseline)
            advantages = rewards[arms] - np.asarray(expected, float)[0]
            total += np.prod(probs[arms]) * np.mean(score[arms] * advantages)
        return total

    assert_allclose(mean_gradient("none"), gradient, rtol=1e-4, atol=1e-6)
    assert_allclose(mean_gradient("leave_one_out"), gradient, rtol=1e-4, atol=1e-6)
    assert_allclose(mean_gradient("average"), gradient / 2, rtol=1e-4, atol=1e-6)
