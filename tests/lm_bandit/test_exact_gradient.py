"""The exact gradient, against the derivative of a brute-force sum."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit import exact, trie
from lm_bandit.exact_gradient import objective_and_gradient
from tests.lm_bandit.test_ppo import exact_objective


def test_it_is_the_gradient_of_the_sum_over_all_completions(tiny, fixed, policy):
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, 0.4, -2.0)
    value, gradient = objective_and_gradient(policy, problem, tiny)
    truth = exact.evaluate(problem, trie.policy_log_probs(policy, tiny))
    assert_allclose(value, truth.objective, atol=1e-5)
    expected = jax.grad(exact_objective)(policy, fixed, learned, tiny)
    for mine, theirs in zip(*map(jax.tree.leaves, (gradient, expected)), strict=True):
        assert_allclose(mine, theirs, atol=1e-5)
    assert np.linalg.norm(gradient.wte) > 0.1
