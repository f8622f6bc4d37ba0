"""Mean and deviation of scores, against those that the scores were drawn with."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.reward_model import mean_and_deviation
from tests.lm_bandit.inputs import array

compiled = jax.jit(mean_and_deviation)


def test_pair_by_pair_it_is_the_variance_of_two(rng):
    first, second = rng.normal(2.0, 1.5, (2, 5))
    mean, deviation = compiled(array(first), array(second))
    variances = [np.var(pair, ddof=1) for pair in zip(first, second, strict=True)]
    assert_allclose(mean, np.mean([first, second]), rtol=1e-4)
    assert_allclose(deviation, np.sqrt(np.mean(variances)), rtol=1e-4)


def test_what_belongs_to_the_prompt_is_in_the_mean_and_not_in_the_deviation(rng):
    """As many pairs as leave 2% of chance; prompts lie ten deviations apart."""
    of_prompts = rng.normal(3.0, 20.0, 5000)
    scores = of_prompts + rng.normal(0.0, 2.0, (2, 5000))
    mean, deviation = compiled(*map(array, scores))
    assert_allclose(mean, scores.mean(), rtol=1e-3)
    assert_allclose(deviation, 2.0, rtol=0.04)


def test_that_one_side_is_always_better_is_a_difference_as_well():
    mean, deviation = compiled(array([5.0, 1.0]), array([3.0, -1.0]))
    assert_allclose([mean, deviation], [2.0, np.sqrt(2.0)], rtol=1e-5)
