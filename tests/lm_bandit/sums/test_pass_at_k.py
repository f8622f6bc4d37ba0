"""Pass@k: the estimate has no bias, and the optimum is never behind the reference."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.oracle import exact
from lm_bandit.oracle.trie import LogProbs
from lm_bandit.sums.pass_at_k import (
    crossing,
    estimated_pass_at_k,
    optimal_success,
    pass_at_k,
    success_probs,
)


@pytest.mark.parametrize("tries", [1, 3, 7])
def test_the_estimate_is_the_share_of_subsets_with_a_right_answer(tries):
    """Brute force: every subset of 7 answers, for every number of right ones."""
    for right in range(8):
        answers = [1] * right + [0] * (7 - right)
        chosen = [any(subset) for subset in combinations(answers, tries)]
        got = estimated_pass_at_k(np.array([right]), 7, tries)
        assert_allclose(got, [np.mean(chosen)], atol=1e-12)


def test_the_mean_of_the_estimate_is_pass_at_k():
    """A sum over all numbers of right answers, with their probabilities."""
    drawn, right = 10, np.arange(11)
    ways = np.array([comb(10, c) for c in right])
    for p in (0.03, 0.5, 0.9):
        chance = ways * p**right * (1 - p) ** (drawn - right)
        for tries in (1, 4, 10):
            mean = chance @ estimated_pass_at_k(right, drawn, tries)
            assert_allclose(mean, 1 - (1 - p) ** tries, atol=1e-12)


def test_the_estimate_keeps_shapes_and_digits_where_numbers_are_large():
    right = np.array([[0, 1], [150, 200]])
    got = estimated_pass_at_k(right, 200, 100)
    assert got.shape == right.shape
    assert_allclose(got, [[0.0, 0.5], [1.0, 1.0]], atol=1e-12)


def test_pass_at_k_is_a_mean_over_prompts_and_not_of_their_mean():
    assert_allclose(pass_at_k(np.array([1.0, 0.0]), np.array([1, 50])), 0.5)
    got = pass_at_k(np.array([0.5, 0.1]), np.array([2]))
    assert_allclose(got, [(0.75 + 0.19) / 2])


@pytest.mark.parametrize("beta", [0.1, 0.5, 3.0])
def test_the_optimum_multiplies_the_odds_of_a_right_answer(beta):
    """Against pi* over a list of completions, of which several are right."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(6, 0.5), size=5)
    scores = (rng.random((5, 4)) < 0.5).astype(float)
    reference = LogProbs(np.log(probs[:, :4]), np.log(probs[:, 4:]))
    problem = exact.Problem(reference, scores, scores, beta, 0.0)
    expected = success_probs(exact.optimum(problem), scores)
    got = optimal_success(success_probs(reference, scores), beta)
    assert_allclose(got, expected, atol=1e-12)


def test_the_optimum_of_a_tiny_beta_overflows_nowhere():
    got = optimal_success(np.array([0.0, 1e-3, 1.0]), 1e-3)
    assert_allclose(got, [0.0, 1.0, 1.0], atol=1e-12)


def test_the_curves_cross_only_where_a_prompt_was_lost():
    base, tries = np.array([0.5, 0.2]), np.array([1, 2, 4, 8, 16, 64])
    assert crossing(base, optimal_success(base, 0.5), tries) is None
    lost = np.array([0.99, 0.001])
    first = crossing(base, lost, tries)
    before, after = tries[tries < first], tries[tries >= first]
    ahead = [pass_at_k(base, k) > pass_at_k(lost, k) for k in (before, after)]
    assert not ahead[0].any()
    assert ahead[1].all()
