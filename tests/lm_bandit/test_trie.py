"""The trie, against every completion scored by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import world as text
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import trie


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_every_log_probability_is_that_of_the_completion_read_alone(
    tiny, model, temperature
):
    found = trie.policy_log_probs(model, tiny, temperature)
    words = np.stack(np.indices((5, 5, 5)), axis=-1).reshape(-1, 3) + 1
    for rows, completions in zip(
        found, (trie.ended_completions(tiny), words), strict=True
    ):
        for i, prompt in enumerate(jnp.asarray(tiny.prompts)):
            one = jax.vmap(completion_log_prob, (None, None, 0, None))
            alone = one(model, prompt, jnp.asarray(completions), temperature)
            assert_allclose(rows[i], alone, atol=1e-5)
    total = np.exp(found.ended).sum(-1) + np.exp(found.cut_off).sum(-1)
    assert_allclose(total, 1.0, atol=1e-12)


def test_completions_come_short_ones_first(tiny):
    completions = trie.ended_completions(tiny)
    assert_array_equal(completions[:3], [[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    assert_array_equal(completions[[6, 7, -1]], [[1, 1, 0], [1, 2, 0], [5, 5, 0]])
    assert len({tuple(row) for row in completions}) == len(completions) == 31


def test_a_world_that_is_too_large_says_how_large_it_is_and_what_to_do():
    world = text.wide_world()
    words = len(world.vocabulary) - 1
    count = 8 * sum(words**n for n in range(world.completion_length + 1))
    with pytest.raises(ValueError, match=f"got {count:,}: estimate from samples"):
        trie.ended_completions(world)
