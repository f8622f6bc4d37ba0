"""Text as a finite MDP: the solvers of `mdp` find what the trie finds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.text_mdp import text_mdp, text_policy

BETA, PENALTY = 0.3, -2.0


@pytest.fixture(scope="module")
def tokens(model, tiny):
    return trie.node_log_probs(model, tiny)


@pytest.fixture(scope="module")
def problem(tokens):
    """The reference is the model; scores are drawn."""
    reference = trie.completion_log_probs(tokens)
    learned = np.random.default_rng(0).normal(size=reference.ended.shape)
    return exact.Problem(reference, learned, learned, BETA, PENALTY)


@pytest.mark.parametrize("prompt", [0, 1])
def test_value_iteration_finds_the_best_completion(tiny, problem, prompt):
    world = text_mdp(tiny, problem.learned[prompt], PENALTY)
    best = max(problem.learned[prompt].max(), PENALTY)
    assert_allclose(mdp.value_iteration(world).values[0], best, atol=1e-12)


def test_the_value_of_the_language_model_is_its_expected_reward(tiny, problem, tokens):
    starts = [
        mdp.evaluate(text_mdp(tiny, scores, PENALTY), text_policy(log_probs))[0]
        for scores, log_probs in zip(problem.learned, tokens, strict=True)
    ]
    expected = exact.policy_value(problem, problem.reference).learned
    assert_allclose(np.mean(starts), expected, atol=1e-12)


def test_the_soft_backup_finds_the_partition_function_and_the_optimum(
    tiny, problem, tokens
):
    """v(empty) = beta log Z(x), and pi* is soft-greedy, token by token."""
    of_tokens = []
    for scores, log_probs in zip(problem.learned, tokens, strict=True):
        world, reference = text_mdp(tiny, scores, PENALTY), text_policy(log_probs)
        values = np.zeros(world.num_states)
        for _ in range(tiny.completion_length):
            values = mdp.soft_backup(world, values, reference, BETA)
        action_values = mdp.action_values(world, values)
        tilted = np.log(reference) + (action_values - values[:, None]) / BETA
        of_tokens.append((values[0], tilted[:-1]))
    values, policies = map(np.array, zip(*of_tokens, strict=True))
    assert_allclose(values, BETA * exact.log_partition(problem), atol=1e-9)
    assert_allclose(np.exp(policies).sum(-1), 1.0, atol=1e-9)
    for mine, best in zip(
        trie.completion_log_probs(policies), exact.optimum(problem), strict=True
    ):
        assert_allclose(mine, best, atol=1e-9)
