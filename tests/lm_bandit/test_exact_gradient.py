"""The exact gradient, against the derivative of a brute-force sum."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.gradient import objective_and_gradient
from tests.lm_bandit.test_ppo import exact_objective


def test_it_is_the_gradient_of_the_sum_over_all_completions(tiny, fixed, policy):
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, 0.4, -2.0)
    value, gradient = objective_and_gradient(policy, problem, tiny)
    truth = exact.policy_value(problem, trie.policy_log_probs(policy, tiny))
    assert_allclose(value, truth.objective, atol=1e-5)
    expected = jax.grad(exact_objective)(policy, fixed, learned, tiny)
    for mine, theirs in zip(*map(jax.tree.leaves, (gradient, expected)), strict=True):
        assert_allclose(mine, theirs, atol=1e-5)
    assert np.linalg.norm(gradient.wte) > 0.1


def test_it_vanishes_at_the_optimum_and_only_there(tiny, fixed, policy):
    """Pi = pi* where pi_ref is pi exp(-r / beta), normalised; another beta moves it."""
    learned = trie.learned_scores(fixed.reward_model, tiny)
    mine = trie.policy_log_probs(policy, tiny)
    untilt = exact.Problem(mine, -learned, -learned, 0.4, penalty=2.0)
    problem = exact.Problem(exact.optimum(untilt), learned, learned, 0.4, penalty=-2.0)
    assert_allclose(exact.gap(problem, mine), 0.0, atol=1e-9)
    for beta, is_optimal in [(0.4, True), (0.8, False)]:
        weighed = problem._replace(kl_weight=beta)
        _, gradient = objective_and_gradient(policy, weighed, tiny)
        largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradient))
        assert (largest < 1e-5) if is_optimal else (largest > 0.01)


def test_what_changes_no_policy_has_no_gradient(tiny, fixed, policy):
    """The bias of the keys adds one number to all scores of a query: softmax drops it.

    The biases of queries and values do not cancel.
    """
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, 0.4, -2.0)
    _, gradient = objective_and_gradient(policy, problem, tiny)
    queries, keys, values = np.moveaxis(np.abs(gradient.h.c_attn.b), 1, 0)
    assert keys.max() < 1e-6
    assert min(queries.max(), values.max()) > 1e-4
