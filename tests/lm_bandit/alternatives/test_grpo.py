"""GRPO, against its equations written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.alternatives import grpo
from lm_bandit.alternatives.config import GRPOConfig
from lm_bandit.alternatives.grpo import GRPOBatch, group_standardized
from lm_bandit.alternatives.loop import ScoredPulls
from lm_bandit.generate import token_log_probs
from tests.lm_bandit.alternatives.conftest import BETA, assert_same_step, descending


def test_the_loss_is_the_clipped_surrogate_and_k3_at_a_price(fixed, policy, model):
    """Both signs of the advantage, with ratios on both sides of the clip range."""
    rng = np.random.default_rng(0)
    completions = np.array([[2, 0, 0], [3, 4, 0], [1, 2, 5], [4, 0, 0]])
    which, lengths = np.array([0, 1, 1, 0]), np.array([2, 3, 3, 2])
    prompts = fixed.prompts[which]
    read = jax.jit(token_log_probs)
    now, references = (
        np.asarray(read(params, prompts, completions)) for params in (policy, model)
    )
    old = (now - np.array([[0.5, -0.5, 0.1]]) * (now != 0)).astype(np.float32)
    advantages = np.array([1.0, -2.0, 0.5, -1.5], np.float32)
    scores = rng.normal(size=4).astype(np.float32)
    pulls = ScoredPulls(
        *map(jnp.asarray, (which, completions, old, references, scores))
    )
    config = GRPOConfig(kl_weight=BETA, clip=0.2)
    batch = GRPOBatch(pulls, jnp.asarray(advantages))
    loss, first_ratio = jax.jit(grpo.loss)(policy, batch, fixed, config)

    total, ratios = 0.0, []
    for i, length in enumerate(lengths):
        for t in range(length):
            ratio = np.exp(now[i, t] - old[i, t])
            clipped = np.clip(ratio, 0.8, 1.2)
            surrogate = min(ratio * advantages[i], clipped * advantages[i])
            d = references[i, t] - now[i, t]
            k3 = np.exp(d) - d - 1.0
            total += (surrogate - BETA * k3) / length / 4
            ratios.append(ratio)
    assert_allclose(loss, -total, rtol=1e-4)
    assert_allclose(first_ratio, np.mean(ratios), rtol=1e-4)


@pytest.mark.slow
def test_an_update_follows_advantages_within_the_prompt(fixed, short_run, facts):
    """At pi_old: mean_y 1/|y| sum_t (A - beta (1 - pi_ref / pi)) grad log pi(y_t).

    And GRPO leads towards the optimum; its own fixed point is another.
    """
    config = descending(GRPOConfig, 1.0)()
    step, policy, pulls, share = short_run(grpo.train, config)
    scores = np.array([score for *_, score, _ in facts(policy, pulls)]).reshape(2, 16)
    centred = scores - scores.mean(1, keepdims=True)
    advantages = centred / np.sqrt(np.mean(centred**2, 1, keepdims=True))
    ends = [[*row, 0].index(0) + 1 for row in pulls.completions.reshape(32, 3).tolist()]
    lengths = np.minimum(ends, 3).reshape(2, 16)

    def objective(policy):
        now, then = (
            token_log_probs(params, pulls.prompts, pulls.completions)
            for params in (policy, fixed.reference)
        )
        k3 = jnp.exp(then - now) - 1 - (then - now)
        tokens = advantages[..., None] * now - BETA * k3
        return jnp.mean(tokens.sum(-1) / lengths)

    expected = jax.jit(jax.grad(objective))(policy)
    assert_same_step(step, expected)
    assert 0.5 < share < 1.0


def test_a_group_of_equal_rewards_teaches_nothing():
    assert_allclose(group_standardized(jnp.full(8, -4.0)), 0.0)
    rewards = jnp.array([1.0, 2.0, 6.0])
    expected = np.array([-2.0, -1.0, 3.0]) / np.sqrt(14 / 3)
    assert_allclose(group_standardized(rewards), expected, rtol=1e-4)


def test_a_deviation_without_bias_makes_the_groups_advantages_a_little_smaller():
    """That of TRL and verl divides by n - 1."""
    rewards = np.array([1.0, 2.0, 6.0, 6.5])
    theirs = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
    ours = group_standardized(jnp.asarray(rewards, jnp.float32))
    assert_allclose(np.sqrt(3 / 4) * ours, theirs, rtol=1e-4)
