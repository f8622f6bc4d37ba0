"""Next-token training: what is learned, and what is only read."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit import bandit, sft, transformer
from lm_bandit.generate import completion_log_prob
from lm_bandit.sft import LanguageConfig
from lm_bandit.transformer import hidden_states, next_token_log_probs
from lm_bandit.world import babble, pocket_world

COMPLETIONS = np.array([[2, 0, 0], [3, 5, 0], [4, 4, 4]])


def test_sft_learns_the_completions_and_nothing_of_the_prompts(tiny, model):
    """The loss is minus the completions' log-probability, per learned token (8)."""
    prompts = tiny.prompts[[0, 1, 1]]
    texts = sft.as_demonstrations(prompts, COMPLETIONS)
    total = sum(
        completion_log_prob(model, jnp.array(prompt), jnp.array(completion))
        for prompt, completion in zip(prompts, COMPLETIONS, strict=True)
    )
    assert_allclose(sft.loss(model, texts), -total / 8, rtol=1e-5)


def test_pretraining_learns_every_token_but_the_first_from_those_before(model):
    tokens = np.array([[1, 2, 5, 0, 0], [3, 3, 4, 1, 2]])
    surprises = []
    for text, length in zip(tokens, [4, 5], strict=True):
        for t in range(1, length):
            hidden = hidden_states(model, jnp.array(text[:t]))[-1]
            surprises.append(-next_token_log_probs(model, hidden)[text[t]])
    got = sft.loss(model, sft.as_texts(tokens))
    assert_allclose(got, np.mean(surprises), rtol=1e-5)


def test_demonstrations_keep_the_format_and_half_heed_the_prompt():
    """A careful writer's word has, by one rater drawn at random, the sign asked for."""
    world = pocket_world()
    prompts, written = sft.demonstrations(np.random.default_rng(0), world, 20_000)
    assert bandit.in_format(world, written).all()
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


def test_training_comes_near_the_entropy_of_a_language():
    """On two texts, equally likely: ln 2 for the first word, nothing for the rest."""
    tokens = np.array([[1, 2, 3, 0], [1, 4, 5, 0]])
    texts = sft.as_texts(tokens)

    start = transformer.init(
        jax.random.key(0), 6, 4, transformer.TransformerConfig(1, 1, 16)
    )
    config = LanguageConfig(num_updates=150, batch_size=16, step_size=1e-2)
    params, losses = sft.train(jax.random.key(1), start, texts, config)
    assert losses[0] > 1
    assert_allclose(sft.loss(params, texts), np.log(2) / 3, atol=0.01)
    assert jnp.isfinite(losses).all()


def test_babble_does_not_heed_the_prompt():
    world = pocket_world()
    texts = babble(np.random.default_rng(0), world, 20_000, 8)
    opinions = np.isin(texts, world.rated) * world.ratings.mean(-1)[texts]
    for wish in world.encode("praise: complaint:"):
        first = opinions[texts[:, 0] == wish][:, 4]
        usual = sft.word_frequencies(world) @ world.ratings[world.rated].mean(-1)
        assert abs(first.mean() - usual) < 4 * first.std() / np.sqrt(len(first))
