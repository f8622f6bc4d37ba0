"""Text as a finite MDP: the solvers of `mdp` agree with the trie."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.text_mdp import text_mdp, text_policy

BETA, PENALTY = 0.3, -2.0


@pytest.fixture(scope="module")
def tokens():
    """Log-probabilities of 6 tokens at the 31 nodes of two prompts."""
    logits = np.random.default_rng(1).normal(size=(2, 31, 6))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def problem(tokens):
    """The reference is the model; scores are drawn."""
    reference = trie.completion_log_probs(tokens)
    learned = np.random.default_rng(0).normal(size=reference.ended.shape)
    return exact.Problem(reference, learned, learned, BETA, PENALTY)


def test_value_iteration_finds_the_best_completion(tiny, problem):
    for scores in problem.learned:
        world = text_mdp(tiny, scores, PENALTY)
        best = max(scores.max(), PENALTY)
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
    solutions = []
    for scores, log_probs in zip(problem.learned, tokens, strict=True):
        world, reference = text_mdp(tiny, scores, PENALTY), text_policy(log_probs)
        values = np.zeros(world.num_states)
        for _ in range(tiny.completion_length):
            values = mdp.soft_backup(world, values, reference, BETA)
        action_values = mdp.action_values(world, values)
        tilted = np.log(reference) + (action_values - values[:, None]) / BETA
        solutions.append((values[0], tilted[:-1]))
    values, policies = map(np.array, zip(*solutions, strict=True))
    assert_allclose(values, BETA * exact.log_partition(problem), atol=1e-9)
    assert_allclose(np.exp(policies).sum(-1), 1.0, atol=1e-9)
    found = np.hstack(trie.completion_log_probs(policies))
    assert_allclose(found, np.hstack(exact.optimum(problem)), atol=1e-9)
