"""The reward model: where it is read, what it learns, and its scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.config import RewardConfig
from lm_bandit.transformer import hidden_states
from tests.lm_bandit import inputs
from tests.lm_bandit.inputs import array

score = jax.jit(reward_model.score)
loss = jax.jit(jax.value_and_grad(reward_model.loss, has_aux=True))
pairwise = jax.jit(jax.value_and_grad(reward_model.pairwise_loss, (0, 1)))
soft = jax.jit(jax.value_and_grad(reward_model.soft_pairwise_loss))
moments = jax.jit(reward_model.mean_and_deviation)


def test_the_score_is_read_at_the_end_of_text_and_padding_changes_nothing(tiny, scorer):
    prompts = jnp.tile(jnp.asarray(tiny.prompts[:1]), (4, 1))
    completions = jnp.array([[2, 0, 0], [0, 0, 0], [2, 3, 0], [2, 0, 4]])
    got = score(scorer, prompts, completions)
    texts = jnp.concatenate([prompts, completions], axis=1)
    hidden = jax.jit(hidden_states)(scorer.trunk, texts)
    last = jnp.array([3, 2, 4, 3])
    expected = np.asarray(hidden)[np.arange(4), last] @ np.asarray(scorer.head) + 0.7
    assert_allclose(got, expected, rtol=1e-5)


def test_the_loss_is_that_of_bradley_and_terry(tiny, scorer):
    """-log(e^chosen / (e^chosen + e^rejected)), and ln 2 before anything is learned."""
    sides = np.array([[2, 0, 0], [3, 4, 0]]), np.zeros((2, 3), int)
    pairs = reward_model.Comparisons(tiny.prompts, *sides)
    prompts = jnp.asarray(tiny.prompts)
    scores = [np.asarray(score(scorer, prompts, jnp.array(side))) for side in sides]
    chosen, rejected = np.exp(np.array(scores, float))
    (value, metrics), _ = loss(scorer, pairs)
    expected = -np.log(chosen / (chosen + rejected)).mean()
    assert_allclose(value, expected, rtol=1e-5)
    assert_allclose(metrics.accuracy, np.mean(chosen > rejected))
    accuracy = reward_model.pair_accuracy(scorer, pairs)
    assert_allclose(accuracy, np.mean(chosen > rejected))
    untrained = reward_model.init(scorer.trunk)
    assert_allclose(loss(untrained, pairs)[0][0], np.log(2), rtol=1e-6)


def test_normalizing_keeps_the_order_and_sets_the_scale_within_a_prompt(tiny, scorer):
    rng = np.random.default_rng(0)
    sides = rng.integers(0, 6, size=(2, 100, 3))
    pairs = reward_model.Comparisons(tiny.prompts[rng.integers(2, size=100)], *sides)
    before = np.concatenate(reward_model.score_pairs(scorer, pairs))
    normal = reward_model.normalize(scorer, pairs)
    after = np.concatenate(reward_model.score_pairs(normal, pairs))
    differences = before[:100] - before[100:]
    deviation = np.sqrt(np.mean(differences**2) / 2)
    assert_allclose(after, (before - before.mean()) / deviation, atol=1e-5)


@pytest.mark.slow
def test_training_recovers_an_order_from_noisy_answers(tiny, model):
    """Words worth 2, 0, -1: P(first > second) is the sigmoid of the difference."""
    rng = np.random.default_rng(0)
    worth = np.array([0, 0, 2.0, 0.0, -1.0, 0])
    words = rng.integers(2, 5, size=(2, 4000))
    first = rng.random(4000) < 1 / (1 + np.exp(worth[words[1]] - worth[words[0]]))
    sides = np.zeros((2, 4000, 3), int)
    sides[:, :, 0] = np.where(first, words, words[::-1])
    pairs = reward_model.Comparisons(tiny.prompts[rng.integers(2, size=4000)], *sides)
    config = RewardConfig(num_updates=200, batch_size=64, step_size=3e-3)
    start = reward_model.init(model)
    learned, _ = reward_model.train(jax.random.key(0), start, pairs, config)
    answers = jnp.array([[word, 0, 0] for word in (2, 3, 4)])
    for prompt in jnp.asarray(tiny.prompts):
        r = np.asarray(score(learned, jnp.tile(prompt, (3, 1)), answers))
        assert_allclose(r - r[1], [2.0, 0.0, -1.0], atol=0.4)


@pytest.mark.slow
def test_a_tie_pulls_two_scores_together_and_is_not_counted_as_an_error(tiny, scorer):
    words, tied = np.array([[2, 0, 0], [3, 0, 0]]), np.array([True, False])
    prompts, rejected = tiny.prompts[[0, 0]], np.zeros_like(words)
    pairs = reward_model.Comparisons(prompts, words, rejected, tied)
    chosen, rejected = reward_model.score_pairs(scorer, pairs)
    assert reward_model.pair_accuracy(scorer, pairs) == float(chosen[1] > rejected[1])
    tie = reward_model.Comparisons(*(x[:1] for x in pairs[:4]))
    _, gradient = loss(scorer, tie)
    stepped = jax.tree.map(lambda x, g: x - 0.01 * g, scorer, gradient)
    after = np.subtract(*reward_model.score_pairs(stepped, tie))
    assert abs(after[0]) < abs(chosen[0] - rejected[0]) - 1e-4


def test_the_pairwise_loss_is_the_mean_surprise_at_the_answers(rng):
    """The chosen side wins with probability exp(r) / (exp(r) + exp(r'))."""
    chosen, rejected = rng.normal(0.0, 2.0, (2, 4))
    wins = np.exp(chosen) / (np.exp(chosen) + np.exp(rejected))
    value, (up, down) = pairwise(array(chosen), array(rejected))
    assert_allclose(value, -np.mean(np.log(wins)), rtol=1e-4)
    assert_allclose(up, -(1 - wins) / 4, rtol=1e-3, atol=1e-6)
    assert_allclose(down, (1 - wins) / 4, rtol=1e-3, atol=1e-6)


def test_the_pairwise_loss_does_not_hold_the_level_of_the_scores(rng):
    """A centring term would; a constant added to all scores changes nothing."""
    chosen, rejected = array(rng.normal(size=(2, 6)))
    of, higher = (pairwise(chosen + c, rejected + c)[0] for c in (0.0, 5.0))
    assert_allclose(of, higher, rtol=1e-5)


def test_the_pairwise_loss_of_very_wrong_scores_is_finite():
    value, gradients = pairwise(array([-200.0, 0.0]), array([200.0, 0.0]))
    assert_allclose(value, (400.0 + np.log(2.0)) / 2, rtol=1e-5)
    assert np.all(np.isfinite(gradients))


def test_a_tie_is_half_a_win_for_each_side_and_asks_for_no_margin(rng):
    chosen, rejected = rng.normal(0.0, 1.5, (2, 4))
    margin, smoothing = rng.uniform(0.1, 0.9), rng.uniform(0.02, 0.3)
    ties = np.array([False, True, False, True])
    surprises = []
    for first, second, tied in zip(chosen, rejected, ties, strict=True):
        d = first - second - (0.0 if tied else margin)
        t = 0.5 if tied else 1.0 - smoothing
        p = 1 / (1 + np.exp(-d))
        surprises.append(-t * np.log(p) - (1 - t) * np.log(1 - p))
    sides = array(chosen), array(rejected)
    value, _ = soft(*sides, jnp.asarray(ties), margin, smoothing)
    assert_allclose(value, np.mean(surprises), rtol=1e-4)


def test_smoothing_has_its_minimum_at_its_own_log_odds_behind_the_margin(rng):
    """Its gradient is 0 at d = log((1 - s) / s): beyond, it pulls back."""
    smoothing, margin = rng.uniform(0.05, 0.3), rng.uniform(0.1, 0.9)
    enough = np.log((1 - smoothing) / smoothing) + margin
    for by, sign in ((-0.1, -1), (0.0, 0), (0.1, 1)):
        sides, no = (array([enough + by]), array([0.0])), jnp.array([False])
        _, slope = soft(*sides, no, margin, smoothing)
        assert sign * slope[0] > 1e-3 or (sign == 0 and abs(slope[0]) < 1e-5)


def test_the_soft_loss_of_very_wrong_scores_is_finite():
    sides = array([-200.0, 200.0]), array([200.0, -200.0])
    value, slopes = soft(*sides, jnp.array([False, True]), 0.0, 0.1)
    assert_allclose(value, (0.9 * 400.0 + 0.5 * 400.0) / 2, rtol=1e-5)
    assert np.isfinite(slopes).all()


def test_the_deviation_is_the_mean_variance_of_two(rng):
    first, second = rng.normal(2.0, 1.5, (2, 5))
    mean, deviation = moments(array(first), array(second))
    variances = [np.var(pair, ddof=1) for pair in zip(first, second, strict=True)]
    assert_allclose(mean, np.mean([first, second]), rtol=1e-4)
    assert_allclose(deviation, np.sqrt(np.mean(variances)), rtol=1e-4)


def test_the_spread_between_prompts_is_in_the_mean_and_not_in_the_deviation(rng):
    """As many pairs as leave 2% of chance; prompts lie ten deviations apart."""
    of_prompts = rng.normal(3.0, 20.0, 5000)
    scores = of_prompts + rng.normal(0.0, 2.0, (2, 5000))
    mean, deviation = moments(*map(array, scores))
    assert_allclose(mean, scores.mean(), rtol=1e-3)
    assert_allclose(deviation, 2.0, rtol=0.04)


def test_a_side_that_is_always_better_adds_to_the_deviation():
    mean, deviation = moments(array([5.0, 1.0]), array([3.0, -1.0]))
    assert_allclose([mean, deviation], [2.0, np.sqrt(2.0)], rtol=1e-5)


def words_compared(rng, winner=2, loser=3):
    """Forty pairs of short texts; the one with the better word wins."""
    prompts = np.array([[1, 4], [4, 1]])[rng.integers(2, size=40)]
    sides = np.zeros((2, 40, 3), int)
    sides[:, :, 0] = rng.integers(1, 5, (2, 40))
    sides[0, :, 1], sides[1, :, 1] = winner, loser
    return reward_model.Comparisons(prompts, *sides)


def test_the_first_step_turns_the_head_and_normalizing_sets_its_scale(rng):
    """From a head of zeros the trunk has no gradient; Adam's first step has a length.

    So r = h . sign(g) for the mean difference g of the batch's hidden states, up to the
    scale and level that normalizing sets. The answers are coins: g is of the batch.
    """
    reference, pairs = inputs.model(0), words_compared(rng)
    coins = rng.random((40, 1)) < 0.5
    sides = (np.where(coins, a, b) for a, b in (pairs[1:3], pairs[2:0:-1]))
    pairs = reward_model.Comparisons(pairs.prompts, *sides)
    config = RewardConfig(num_updates=1, batch_size=8, step_size=0.1)
    key = jax.random.key(int(rng.integers(100)))
    model, _ = reward_model.learn_from_pairs(key, reference, pairs, config)
    seen = jax.tree.map(lambda x: x[4:], pairs)
    texts = [np.hstack([seen.prompts, side]) for side in (seen.chosen, seen.rejected)]
    ends = (np.stack(texts)[..., 2:] == 0).argmax(-1) + 2
    hidden = np.asarray(jax.jit(hidden_states)(reference, np.concatenate(texts)))
    read = hidden[np.arange(72), ends.ravel()].reshape(2, 36, -1).astype(float)
    rows = np.asarray(jax.random.randint(jax.random.fold_in(key, 0), (8,), 0, 36))
    scores = read @ np.sign((read[0, rows] - read[1, rows]).mean(0))
    deviation = np.sqrt(np.mean((scores[0] - scores[1]) ** 2) / 2)
    expected = (scores - scores.mean()) / deviation
    assert_allclose(reward_model.score_pairs(model, seen), expected, atol=1e-3)


def test_the_accuracy_is_that_of_pairs_that_were_not_learned_from(rng):
    """Their sides are swapped: who learned the others gets all of these wrong."""
    pairs = words_compared(rng)
    swapped = words_compared(rng, winner=3, loser=2)
    mixed = jax.tree.map(lambda a, b: np.concatenate([a[:4], b[4:]]), swapped, pairs)
    config = RewardConfig(num_updates=20, batch_size=16, step_size=0.1)
    reference, key = inputs.model(0), jax.random.key(0)
    model, accuracy = reward_model.learn_from_pairs(key, reference, mixed, config)
    assert accuracy == 0.0
    assert reward_model.pair_accuracy(model, jax.tree.map(lambda x: x[4:], mixed)) > 0.9
    moved = np.abs(model.trunk.wte - reference.wte).max()
    assert moved > 0.1, "the trunk learns, too"
