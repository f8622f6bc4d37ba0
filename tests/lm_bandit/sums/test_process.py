"""The gain of a token is q - v of the text MDP, as the solvers of `mdp` find it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from lm_bandit.bandit import pull
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.text_mdp import text_mdp, text_policy
from lm_bandit.ppo import Fixed
from lm_bandit.reward_table import RewardTable
from lm_bandit.sums import process
from lm_bandit.sums.process import process_advantages

PENALTY, BETA = -0.5, 0.3


@pytest.fixture(scope="module")
def scores():
    return np.random.default_rng(0).normal(size=(2, 31)).astype(np.float32)


@pytest.fixture(scope="module")
def tabled(tiny, model, scores):
    table = RewardTable(jnp.asarray(tiny.prompts), jnp.asarray(scores), jnp.asarray(5))
    return Fixed(jnp.asarray(tiny.prompts), model, table)


@pytest.fixture(scope="module")
def steps(tabled):
    return process.text_steps(tabled, 3, PENALTY)


def test_gains_are_those_of_the_text_mdp(tiny, policy, tabled, steps, scores):
    """Without a price of the KL; the last state of the MDP is the end."""
    log_probs, rewards = process.priced_rewards(policy, tabled, steps, 3, 0.0)
    for i in range(2):
        world = text_mdp(tiny, scores[i], PENALTY)
        tokens = trie.node_log_probs(policy, tiny)[i]
        values = mdp.evaluate(world, text_policy(tokens))
        expected = (mdp.action_values(world, values) - values[:, None])[:-1]
        following = steps.next_prefixes
        own = process.text_values(jnp.exp(log_probs[i]), rewards[i], following, 3)
        assert_allclose(own, values[:-1], atol=1e-5)
        gains = process_advantages(
            jnp.asarray(values[:-1], jnp.float32), rewards[i], following
        )
        assert_allclose(gains, expected, atol=1e-5)


def test_gains_of_a_chain_by_hand():
    """Two words: prefix 0 leads to 1 by the word, and prefix 1 over the limit."""
    following = jnp.array([[2, 1], [2, 2]])
    rewards = jnp.array([[0.0, -0.25], [1.0, -3.0]])
    gains = process_advantages(jnp.array([0.5, 2.0]), rewards, following)
    assert_allclose(gains, [[-0.5, 1.25], [-1.0, -5.0]], atol=1e-6)


def test_gains_add_up_to_the_reward_less_the_value_of_the_prompt(policy, tabled, steps):
    """With the price of the KL, token by token; a telescope."""
    pulls = pull(policy, jax.random.key(0), tabled.prompts, 16, 3)
    gains = process.token_gains(policy, pulls, tabled, steps, BETA)
    log_probs, rewards = process.priced_rewards(policy, tabled, steps, 3, BETA)
    for i in range(2):
        value = process.text_values(
            jnp.exp(log_probs[i]), rewards[i], steps.next_prefixes, 3
        )[0]
        earned = jax.vmap(process.look_up_tokens, (None, 0, None))(
            rewards[i], pulls.completions[i], steps.next_prefixes
        )
        assert_allclose(gains[i].sum(-1), earned.sum(-1) - value, atol=1e-5)


def test_the_value_of_the_empty_prefix_is_the_exact_objective(
    tiny, policy, tabled, steps, scores
):
    reference = trie.policy_log_probs(tabled.reference, tiny)
    problem = exact.Problem(reference, scores, scores, BETA, PENALTY)
    expected = exact.policy_value(problem, trie.policy_log_probs(policy, tiny))
    got = process.exact_objective(policy, tabled, steps, 3, BETA)
    assert_allclose(got, expected.objective, atol=1e-5)
