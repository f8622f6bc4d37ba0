"""The reward model and the people it learns from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import annotators, reward_model
from lm_bandit.feedback import Comparisons
from lm_bandit.reward_model import RewardConfig
from lm_bandit.text import pocket_world
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


@pytest.mark.parametrize("which", [0, -1])
def test_annotators_prefer_what_the_raters_would(which):
    """'good' to 'dull': the share of the 100 pairs of ratings in which it is higher."""
    world, n = pocket_world(), 20_000
    first, second = (
        np.tile(world.encode(f"{word} <end> <end> <end>"), (n, 1))
        for word in ("good", "awful")
    )
    prompts = np.full(n, which % world.num_prompts)
    rng = np.random.default_rng(0)
    pairs = annotators.compare(rng, world, prompts, first, second)
    good, awful = (world.ratings[world.encode(w)[0]] for w in ("good", "awful"))
    difference = world.signs[which] * (good[:, None] - awful)
    expected = np.mean(difference > 0) + 0.5 * np.mean(difference == 0)
    share = np.mean((pairs.chosen == first).all(1))
    assert abs(share - expected) < 4 * 0.5 / np.sqrt(n)
    assert 0.05 < abs(expected - 0.5) < 0.5, "people err: it is never unanimous"


def test_an_annotator_rates_a_word_once_however_often_it_is_used():
    world = pocket_world()
    texts = ["good good and <end>", "and good <end> <end>"]
    sides = [np.tile(world.encode(text), (2000, 1)) for text in texts]
    which = np.zeros(2000, int)
    pairs = annotators.compare(np.random.default_rng(0), world, which, *sides)
    share = np.mean((pairs.chosen == sides[0]).all(1))
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(2000), "a tie is decided by a coin"
