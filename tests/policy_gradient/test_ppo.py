"""PPO: its estimates, and what it learns against the exact optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from policy_gradient import exact, ppo
from policy_gradient.advantages import generalized_advantages
from policy_gradient.config import PPOConfig
from policy_gradient.policies import policy_table, tabular_softmax


def test_value_targets_are_made_before_advantages_are_normalised(three_episodes):
    stacked = jax.tree.map(lambda x: x[None], three_episodes)
    batch = ppo.estimate(stacked, PPOConfig())
    plain = ppo.estimate(stacked, PPOConfig(normalize_advantages=False))
    expected = generalized_advantages(three_episodes, PPOConfig().trace_decay)
    assert_allclose(plain.advantages, expected, rtol=1e-5)
    scaled = (expected - expected.mean()) / expected.std()
    assert_allclose(batch.advantages, scaled, rtol=1e-4, atol=1e-6)
    for one in (batch, plain):
        targets = expected + three_episodes.values
        assert_allclose(one.value_targets, targets, rtol=1e-5, atol=1e-6)
        assert_array_equal(one.log_probs, three_episodes.log_probs)


@pytest.mark.slow
def test_ppo_walks_along_the_cliff():
    """After 200,000 steps greedy -13, sampled at least -14.5, exactly, 3 of 3 seeds."""
    cliff = mdp.worlds.cliff_walking()
    policy = tabular_softmax(cliff)

    def learn(key):
        return ppo.train(key, cliff, PPOConfig())

    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    learned, history = jax.jit(jax.vmap(learn))(keys)
    assert_allclose(history.first_ratio, 1.0, atol=1e-5)
    for seed in range(3):
        params = jax.tree.map(lambda x, seed=seed: x[seed], learned)
        table = policy_table(policy, params, 48)
        greedy = np.eye(4)[table.argmax(-1)]
        assert exact.performance(cliff, greedy) == pytest.approx(-13, abs=1e-9)
        assert exact.performance(cliff, table) >= -14.5


@pytest.mark.slow
def test_the_size_of_a_chunk_changes_nothing(small):
    config = PPOConfig(num_updates=40, num_environments=4, num_steps=16)
    key = jax.random.key(0)
    told = []
    whole, history = ppo.train(key, small, config)
    chunked, same = ppo.train(
        key, small, config, report=lambda done, _: told.append(done)
    )
    assert told == [20, 40]
    for one, other in zip(
        jax.tree.leaves((whole, history)), jax.tree.leaves((chunked, same)), strict=True
    ):
        assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_config_refuses_what_cannot_be():
    with pytest.raises(ValueError, match=r"clip must be positive, got 0"):
        PPOConfig(clip=0.0)
    with pytest.raises(ValueError, match=r"trace_decay must be in \[0, 1\], got 1.5"):
        PPOConfig(trace_decay=1.5)
    with pytest.raises(ValueError, match="minibatches must divide the batch"):
        PPOConfig(num_environments=3, num_steps=5, minibatches=4)
