"""The trie, against every completion scored by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import reward_model
from lm_bandit import world as text
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import trie


def test_every_log_probability_is_that_of_the_completion_read_alone(
    tiny, model, everything
):
    log_probs = trie.policy_log_probs(model, tiny, 0.6)
    prompts = jnp.repeat(jnp.asarray(tiny.prompts)[:, None], 156, axis=1)
    read_alone = jax.jit(jax.vmap(completion_log_prob, (None, 0, None, None)))
    alone = read_alone(model, prompts, jnp.asarray(everything), 0.6)
    assert_allclose(np.hstack(log_probs), alone, atol=1e-5)
    total = np.exp(log_probs.ended).sum(-1) + np.exp(log_probs.cut_off).sum(-1)
    assert_allclose(total, 1.0, atol=1e-12)


def test_each_completion_has_the_score_that_the_reward_model_gives_it(tiny, fixed):
    scores = trie.learned_scores(fixed.reward_model, tiny)
    ended = jnp.asarray(trie.ended_completions(tiny))
    prompts = jnp.repeat(fixed.prompts[:, None], len(ended), axis=1)
    score = jax.jit(jax.vmap(reward_model.score, (None, 0, None)))
    assert_allclose(scores, score(fixed.reward_model, prompts, ended), atol=1e-5)


def test_completions_come_short_ones_first(tiny):
    completions = trie.ended_completions(tiny)
    assert_array_equal(completions[:3], [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    assert_array_equal(completions[[6, 7, -1]], [[1, 1, 0], [1, 2, 0], [5, 5, 0]])
    assert len({tuple(row) for row in completions}) == len(completions) == 31


def test_the_default_world_has_202_080_completions_that_end():
    world = text.pocket_world()
    ended = trie.ended_completions(world)
    assert world.num_prompts * len(ended) == 202_080
    assert np.all((ended == 0).any(1))


def test_a_world_that_is_too_large_says_how_large_it_is_and_what_to_do():
    world = text.wide_world()
    words = len(world.vocabulary) - 1
    count = 8 * sum(words**n for n in range(world.completion_length + 1))
    with pytest.raises(ValueError, match=f"got {count:,}: estimate from samples"):
        trie.ended_completions(world)
