"""The reward model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.reward_model import Comparisons, RewardConfig
from lm_bandit.transformer import hidden_states


@pytest.fixture
def scorer(model):
    head = jnp.asarray(np.random.default_rng(3).normal(size=8), jnp.float32)
    return reward_model.RewardModel(model, head, jnp.array(0.7))


def test_the_score_is_read_at_the_end_of_text(tiny, scorer):
    for completion, last in [([2, 0, 0], 3), ([0, 0, 0], 2), ([2, 3, 0], 4)]:
        text = jnp.array([*tiny.prompts[0], *completion])
        expected = hidden_states(scorer.trunk, text)[last] @ scorer.head + 0.7
        prompt = jnp.array(tiny.prompts[0])
        got = reward_model.score(scorer, prompt, jnp.array(completion))
        assert_allclose(got, expected, rtol=1e-5)


def test_padding_after_the_end_changes_nothing(tiny, scorer):
    prompt = jnp.array(tiny.prompts[0])
    one = reward_model.score(scorer, prompt, jnp.array([2, 0, 0]))
    other = reward_model.score(scorer, prompt, jnp.array([2, 0, 4]))
    assert_allclose(one, other, rtol=1e-6)


def test_the_loss_is_that_of_bradley_and_terry(tiny, scorer):
    """-log(e^chosen / (e^chosen + e^rejected)), and ln 2 before anything is learned."""
    prompts = tiny.prompts[[0, 1]]
    pairs = Comparisons(
        prompts, np.array([[2, 0, 0], [3, 4, 0]]), np.zeros((2, 3), int)
    )
    r = [
        [
            float(reward_model.score(scorer, jnp.array(x), jnp.array(y)))
            for x, y in zip(prompts, side, strict=True)
        ]
        for side in (pairs.chosen, pairs.rejected)
    ]
    chosen, rejected = np.exp(np.array(r, np.float64))
    expected = -np.log(chosen / (chosen + rejected)).mean()
    loss, metrics = reward_model.loss(scorer, pairs)
    assert_allclose(loss, expected, rtol=1e-5)
    assert_allclose(metrics.accuracy, np.mean(chosen > rejected))
    untrained = reward_model.init(scorer.trunk)
    assert_allclose(reward_model.loss(untrained, pairs)[0], np.log(2), rtol=1e-6)


def test_normalizing_keeps_the_order_and_sets_the_scale_within_a_prompt(tiny, scorer):
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 6, size=(2, 100, 3))
    pairs = Comparisons(tiny.prompts[rng.integers(2, size=100)], *sides)
    before = np.concatenate(reward_model.score_pairs(scorer, pairs))
    after = np.concatenate(
        reward_model.score_pairs(reward_model.normalize(scorer, pairs), pairs)
    )
    differences = before[:100] - before[100:]
    deviation = np.sqrt(np.mean(differences**2) / 2)
    assert_allclose(after, (before - before.mean()) / deviation, atol=1e-5)


def test_training_recovers_an_order_from_noisy_answers(tiny, model):
    """Words worth 2, 0, -1: P(first > second) is the sigmoid of the difference."""
    rng = np.random.default_rng(0)
    worth = np.array([0, 0, 2.0, 0.0, -1.0, 0])
    words = rng.integers(2, 5, size=(2, 4000))
    first = rng.random(4000) < 1 / (1 + np.exp(worth[words[1]] - worth[words[0]]))
    sides = np.zeros((2, 4000, 3), int)
    sides[:, :, 0] = np.where(first, words, words[::-1])
    pairs = Comparisons(tiny.prompts[rng.integers(2, size=4000)], *sides)
    config = RewardConfig(num_updates=200, batch_size=64, step_size=3e-3)
    start = reward_model.init(model)
    learned, _ = reward_model.train(jax.random.key(0), start, pairs, config)
    for prompt in jnp.asarray(tiny.prompts):
        r = [
            float(reward_model.score(learned, prompt, jnp.array([word, 0, 0])))
            for word in (2, 3, 4)
        ]
        assert_allclose(np.array(r) - r[1], [2.0, 0.0, -1.0], atol=0.4)


def test_training_is_adam_on_batches_drawn_with_the_key_of_each_update(tiny):
    """Of any model and any loss: here, a table with a score for each first word."""
    words = np.random.default_rng(2).integers(0, 6, size=(2, 50, 3))
    pairs = Comparisons(tiny.prompts[np.zeros(50, int)], *words)

    def loss(table, batch):
        difference = table[batch.chosen[:, 0]] - table[batch.rejected[:, 0]]
        value = jnp.mean(jnp.log1p(jnp.exp(-difference)))
        return value, value

    config = RewardConfig(num_updates=5, batch_size=8, step_size=1e-2)
    key, start = jax.random.key(4), jnp.zeros(6)
    learned, losses = reward_model.train(key, start, pairs, config, loss=loss)

    expected, m, v = np.zeros(6), np.zeros(6), np.zeros(6)
    for i in range(5):
        rows = jax.random.randint(jax.random.fold_in(key, i), (8,), 0, 50)
        gradient, surprise = np.zeros(6), 0.0
        for better, worse in words[:, np.asarray(rows), 0].T:
            p = 1 / (1 + np.exp(expected[worse] - expected[better]))
            surprise -= np.log(p) / 8
            gradient[better] -= (1 - p) / 8
            gradient[worse] += (1 - p) / 8
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = (m / (1 - 0.9 ** (i + 1))) / (np.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8)
        expected = expected - 1e-2 * (1 - i / 5) * step
        assert_allclose(losses[i], surprise, rtol=1e-5)
    assert_allclose(learned, expected, rtol=1e-4)


def test_a_tie_pulls_two_scores_together(tiny, scorer):
    pairs = Comparisons(
        tiny.prompts[[0]],
        np.array([[2, 0, 0]]),
        np.zeros((1, 3), int),
        np.array([True]),
    )

    def distance(model):
        chosen, rejected = reward_model.score_pairs(model, pairs)
        return abs(float(chosen[0] - rejected[0]))

    gradient, _ = jax.grad(reward_model.loss, has_aux=True)(scorer, pairs)
    stepped = jax.tree.map(lambda x, g: x - 0.01 * g, scorer, gradient)
    assert distance(stepped) < distance(scorer) - 1e-4
