"""Next-token training: what is learned, and what is only read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import sft
from lm_bandit.config import LanguageConfig
from tests.lm_bandit import inputs, oracles

COMPLETIONS = np.array([[2, 0, 0], [3, 4, 0], [4, 4, 4]])
PROMPTS = np.array([[1, 4], [4, 1], [4, 1]])
entropy = jax.jit(jax.value_and_grad(sft.cross_entropy))
loss = jax.jit(sft.loss)


def mean_surprise(params, texts, start, ends):
    """The mean of - log pi(y_t | y_<t) over start <= t < end, prefix by prefix."""
    surprises = [
        -np.log(oracles.next_token(params, text[:t], 1.0)[text[t]])
        for text, end in zip(texts, ends, strict=True)
        for t in range(start, end)
    ]
    return np.mean(surprises)


def test_sft_learns_the_completions_and_nothing_of_the_prompts():
    params = inputs.model(0)
    texts = np.concatenate([PROMPTS, COMPLETIONS], axis=1)
    expected = mean_surprise(params, texts, 2, [4, 5, 5])
    got = loss(params, sft.as_demonstrations(PROMPTS, COMPLETIONS))
    assert_allclose(got, expected, rtol=1e-5)


def test_pretraining_learns_every_token_but_the_first_from_those_before():
    params = inputs.model(0)
    texts = np.array([[1, 2, 4, 0, 0], [3, 3, 4, 1, 2], [2, 0, 0, 0, 0]])
    expected = mean_surprise(params, texts, 1, [4, 5, 2])
    assert_allclose(loss(params, sft.as_texts(texts)), expected, rtol=1e-5)


def test_demonstrations_keep_the_format_and_half_answer_the_prompt():
    """A careful writer's word has, by one rater drawn at random, the sign asked for."""
    from lm_bandit.bandit import in_format
    from lm_bandit.world import pocket_world

    world = pocket_world()
    prompts, written = sft.demonstrations(np.random.default_rng(0), world, 20_000)
    assert in_format(world, written).all()
    sign = dict(zip(map(tuple, world.prompts), world.signs, strict=True))
    asked = np.array([sign[tuple(prompt)] for prompt in prompts])
    words = world.ratings[written[:, 0]]
    fits = np.mean(asked[:, None] * words > 0)

    # Bayes: careful writers take a word with probability freq x like / sum.
    frequencies = sft.word_frequencies(world)
    expected = []
    for one in (1, -1):
        likes = (one * world.ratings[world.rated] > 0).mean(-1)
        careful = frequencies * likes / (frequencies @ likes)
        expected.append(0.5 * careful @ likes + 0.5 * frequencies @ likes)
    assert abs(fits - np.mean(expected)) < 4 * 0.5 / np.sqrt(20_000)


def test_demonstrations_come_as_often_as_their_probability_says():
    """Of 20,000, against the probability of each completion that ends."""
    from lm_bandit.oracle.trie import ended_completions
    from lm_bandit.world import pocket_world

    world = pocket_world()
    completions = ended_completions(world)
    probs = sft.demonstration_probs(world, completions, care=0.8)
    assert_allclose(probs.sum(1), 1.0, rtol=1e-12)
    assert np.all(np.count_nonzero(probs, axis=1) == 20 + 20**2)
    rng = np.random.default_rng(0)
    prompts, written = sft.demonstrations(rng, world, 20_000, care=0.8)
    for i in (0, 7):
        drawn = written[(prompts == world.prompts[i]).all(1)]
        for j in np.argsort(probs[i])[-40:]:
            p, share = probs[i, j], (drawn == completions[j]).all(1).mean()
            assert abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / len(drawn))


@pytest.mark.slow
def test_training_comes_near_the_entropy_of_a_language():
    """On two texts, equally likely: ln 2 for the first word, nothing for the rest."""
    texts = sft.as_texts(np.array([[1, 2, 3, 0], [1, 4, 3, 0]]))
    config = LanguageConfig(num_updates=200, batch_size=32, step_size=2e-2)
    params, losses = sft.train(
        jax.random.key(1), inputs.model(0, d_model=16), texts, config
    )
    assert losses[0] > 1
    assert_allclose(loss(params, texts), np.log(2) / 3, atol=0.02)
    assert jnp.isfinite(losses).all()


def test_training_is_adam_on_batches_drawn_with_the_key_of_each_update():
    """With any model and any loss: here, a table with a score for each word."""
    words = np.random.default_rng(2).integers(0, 6, size=(2, 50))

    def table_loss(table, batch):
        chosen, rejected = batch
        value = jnp.mean(jnp.log1p(jnp.exp(table[rejected] - table[chosen])))
        return value, value

    config = LanguageConfig(num_updates=5, batch_size=8, step_size=1e-2)
    key, start = jax.random.key(4), jnp.zeros(6)
    learned, losses = sft.minimise(key, start, tuple(words), table_loss, config)

    expected, m, v = np.zeros(6), np.zeros(6), np.zeros(6)
    for i in range(5):
        rows = jax.random.randint(jax.random.fold_in(key, i), (8,), 0, 50)
        gradient, surprise = np.zeros(6), 0.0
        for better, worse in words[:, np.asarray(rows)].T:
            p = 1 / (1 + np.exp(expected[worse] - expected[better]))
            surprise -= np.log(p) / 8
            gradient[better] -= (1 - p) / 8
            gradient[worse] += (1 - p) / 8
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = (m / (1 - 0.9 ** (i + 1))) / (np.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-8)
        expected = expected - 1e-2 * (1 - i / 5) * step
        assert_allclose(losses[i], surprise, rtol=1e-5)
    assert_allclose(learned, expected, rtol=1e-4)


def test_sft_ends_at_the_shares_of_the_demonstrations_and_leaves_the_prompts_alone():
    """The closed form of the bigram's optimum: how often each token follows another."""
    prompts = np.array([[1, 4]] * 4)
    written = np.array([[2, 0, 0], [2, 3, 0], [2, 3, 0], [3, 3, 0]])
    texts = sft.as_demonstrations(prompts, written)
    config = LanguageConfig(num_updates=400, batch_size=16, step_size=0.2)
    start = jnp.zeros((5, 5))
    table, _ = sft.minimise(jax.random.key(3), start, texts, inputs.bigram_loss, config)
    probs = np.asarray(jax.nn.softmax(table))
    assert_allclose(table[1], 0.0, err_msg="4 follows 1 in the prompts only")
    assert_allclose(probs[4, [2, 3]], [3 / 4, 1 / 4], atol=0.08)
    assert_allclose(probs[2, [0, 3]], [1 / 3, 2 / 3], atol=0.08)
    assert_allclose(probs[3, [0, 3]], [3 / 4, 1 / 4], atol=0.08)


def test_a_config_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="batch_size must be positive, got 0"):
        LanguageConfig(batch_size=0)


def test_cross_entropy_is_the_mean_surprise_at_the_learned_tokens(rng):
    case = inputs.predictions(rng)
    log_probs, tokens, weights = (np.asarray(x) for x in case.values())
    # The first token has no prediction, whatever its weight.
    learned = [(i, t) for i, t in zip(*np.nonzero(weights), strict=True) if t > 0]
    surprises = [-float(log_probs[i, t - 1, tokens[i, t]]) for i, t in learned]
    value, gradient = entropy(*case.values())
    assert_allclose(value, np.mean(surprises), rtol=1e-4)
    expected = np.zeros(log_probs.shape)
    for i, t in learned:
        expected[i, t - 1, tokens[i, t]] -= 1 / len(learned)
    assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_prompts_and_padding_do_not_change_the_cross_entropy(rng):
    case = inputs.predictions(rng)
    value, _ = entropy(*case.values())
    tokens = np.where(np.asarray(case["weights"]) > 0, case["tokens"], 0)
    again, _ = entropy(*(case | {"tokens": tokens}).values())
    assert_allclose(again, value, rtol=1e-5)
