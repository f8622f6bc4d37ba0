"""GRPO, against its equations written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.alternatives import grpo
from lm_bandit.alternatives.config import GRPOConfig
from lm_bandit.alternatives.grpo import (
    GRPOBatch,
    clip_higher_loss,
    completion_weights,
    group_advantages,
    informative_weights,
)
from lm_bandit.alternatives.loop import ScoredPulls, TuningState
from lm_bandit.generate import token_log_probs
from lm_bandit.reward_table import RewardTable
from tests.lm_bandit.alternatives.conftest import BETA, assert_same_step, descending

DIALS = {
    "GRPO": {},
    "clip-higher": {"clip_higher": 0.6},
    "token mean": {"over_tokens": "token_mean"},
    "constant": {"over_tokens": "constant"},
}


@pytest.mark.parametrize("dials", DIALS.values(), ids=DIALS)
def test_the_loss_is_the_clipped_surrogate_and_k3_at_a_price(
    fixed, policy, model, dials
):
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
    config = GRPOConfig(kl_weight=BETA, clip=0.2, **dials)
    shares = np.array([0.5, 2.0, 1.5, 0.0], np.float32)  # of the batch
    batch = GRPOBatch(pulls, jnp.asarray(advantages), jnp.asarray(shares))
    loss, first_ratio = jax.jit(grpo.loss)(policy, batch, fixed, config)

    total, ratios = 0.0, []
    upper = 1.0 + (config.clip_higher or 0.2)
    divisors = {
        "sequence_mean": lengths,
        "token_mean": [2.5] * 4,
        "constant": [3] * 4,  # the limit
    }[config.over_tokens]
    for i, length in enumerate(lengths):
        for t in range(length):
            ratio = np.exp(now[i, t] - old[i, t])
            clipped = np.clip(ratio, 0.8, upper)
            surrogate = min(ratio * advantages[i], clipped * advantages[i])
            d = references[i, t] - now[i, t]
            k3 = np.exp(d) - d - 1.0
            total += shares[i] * (surrogate - BETA * k3) / divisors[i] / 4
            ratios.append(ratio)
    assert_allclose(loss, -total, rtol=1e-4)
    assert_allclose(first_ratio, np.mean(ratios), rtol=1e-4)


@pytest.mark.slow
def test_an_update_follows_advantages_within_the_prompt(fixed, short_run, facts):
    """At pi_old: mean_y 1/|y| sum_t (A - beta (1 - pi_ref / pi)) grad log pi(y_t).

    And GRPO leads towards the optimum; its own fixed point is another.
    """
    step_size = 0.3  # with 1, some runs end at a tenth of the way
    config = descending(GRPOConfig, step_size)()
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
    gradient = jax.tree.map(lambda change: change / step_size, step)
    assert_same_step(gradient, expected)
    assert 0.5 < share < 1.0


def test_a_group_of_equal_rewards_teaches_nothing():
    assert_allclose(group_advantages(jnp.full(8, -4.0)), 0.0)
    rewards = jnp.array([1.0, 2.0, 6.0])
    expected = np.array([-2.0, -1.0, 3.0]) / np.sqrt(14 / 3)
    assert_allclose(group_advantages(rewards), expected, rtol=1e-4)


def test_a_deviation_without_bias_makes_the_groups_advantages_a_little_smaller():
    """That of TRL and verl divides by n - 1."""
    rewards = np.array([1.0, 2.0, 6.0, 6.5])
    theirs = (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
    ours = group_advantages(jnp.asarray(rewards, jnp.float32))
    assert_allclose(np.sqrt(3 / 4) * ours, theirs, rtol=1e-4)


def test_without_the_deviation_a_groups_advantages_keep_the_unit_of_the_scores():
    rewards = jnp.array([1.0, 2.0, 6.0])
    assert_allclose(group_advantages(rewards, False), [-2.0, -1.0, 3.0], rtol=1e-6)
    assert_allclose(
        group_advantages(10 * rewards, False), [-20.0, -10.0, 30.0], rtol=1e-6
    )


@pytest.mark.parametrize("leave_out_own", [False, True])
def test_a_group_advantage_is_a_distance_from_the_mean_in_deviations(leave_out_own):
    """Written out, one pull after another."""
    rewards = [3.0, -1.0, 0.5, 2.0, 2.0]
    mean = sum(rewards) / 5
    deviation = (sum((r - mean) ** 2 for r in rewards) / 5) ** 0.5
    for divide, unit in ((False, 1.0), (True, deviation + 1e-4)):
        got = group_advantages(jnp.array(rewards), divide, leave_out_own)
        for i, reward in enumerate(rewards):
            others = rewards[:i] + rewards[i + 1 :]
            expected = sum(others) / 4 if leave_out_own else mean
            assert_allclose(got[i], (reward - expected) / unit, rtol=1e-5)


def test_a_constant_divides_every_completion_by_the_length_limit():
    mask = jnp.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    assert_allclose(completion_weights(mask, "constant"), mask / 4)
    assert_allclose(completion_weights(mask, "token_mean"), mask / 2)
    by_length = completion_weights(mask, "sequence_mean")
    assert_allclose(by_length.sum(1), 1.0, rtol=1e-6)


def test_a_rare_token_may_rise_further_than_it_may_fall():
    """Ratios inside and on both sides of the range, with advantages of both signs."""
    for ratio, advantage, expected in (
        (1.25, 1.0, 1.25),  # under the upper end
        (1.5, 1.0, 1.28),
        (1.5, -1.0, -1.5),  # the upper end does not act
        (0.5, -1.0, -0.8),
        (0.5, 1.0, 0.5),  # nor does the lower
        (0.9, -2.0, -1.8),
    ):
        old = jnp.log(jnp.array([[0.2, 0.3]]))
        now = old + jnp.log(jnp.array([[ratio, 1.0]]))
        advantages, weights = jnp.full((1, 2), advantage), jnp.array([[0.5, 0.0]])
        loss = clip_higher_loss(now, old, advantages, weights, 0.2, 0.28)
        assert_allclose(loss, -0.5 * expected, rtol=1e-5)


def test_the_loss_of_clip_higher_is_a_mean_over_rows():
    rows = jnp.zeros((4, 3))
    loss = clip_higher_loss(rows, rows, rows + 2.0, rows + 1.0, 0.2, 0.28)
    assert_allclose(loss, -6.0, rtol=1e-6)


def test_dynamic_sampling_leaves_out_groups_that_agree_and_counts_the_batch_in_full():
    groups = jnp.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.1, 0.1]])
    weights = informative_weights(groups)
    assert_allclose(weights, [2.5, 0.0, 0.0, 2.5, 0.0], rtol=1e-6)
    assert_allclose(informative_weights(groups[1:3]), 0.0)
    assert_allclose(informative_weights(groups[:1]), 1.0)


def first_batch(fixed, monkeypatch, **dials):
    """What `grpo.update` makes of its first pulls, before it descends."""
    batches = []

    def keep(state, key, batch, *rest):
        batches.append(batch)
        return state, rest[-1]

    monkeypatch.setattr(grpo.loop, "descend", keep)
    config = GRPOConfig(pulls=16, num_updates=1, **dials)
    state = TuningState(fixed.reference, config.optimizer().init(fixed.reference))
    grpo.update(state, jax.random.key(3), fixed, 3, config)
    return batches[0]


@pytest.mark.slow
def test_the_dials_of_a_config_reach_the_batch(fixed, monkeypatch):
    """A verifier that finds every answer to the second prompt equally good."""
    equal = jnp.zeros((2, 31)).at[0].set(jnp.arange(31.0))
    table = RewardTable(fixed.prompts, equal, jnp.asarray(5))
    fixed = fixed._replace(reward_model=table)
    settings = {"penalty": 0.0}
    plain = first_batch(fixed, monkeypatch, **settings)
    dials = {"divide_by_deviation": False, "dynamic_sampling": True}
    batch = first_batch(fixed, monkeypatch, **settings, **dials)
    assert_allclose(plain.weights, 1.0)
    assert_allclose(batch.weights, [2.0] * 16 + [0.0] * 16)
    scores = np.asarray(plain.pulls.scores).reshape(2, 16)
    centred = scores - scores.mean(1, keepdims=True)
    assert np.ptp(scores[0]) > 0
    assert_allclose(
        np.asarray(batch.advantages).reshape(2, 16), centred, rtol=1e-5, atol=1e-6
    )
    deviation = scores[0].std()
    assert_allclose(plain.advantages[:16], centred[0] / deviation, rtol=1e-3)
