"""Sampling, against the probabilities of everything that could be said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import bandit
from lm_bandit.generate import (
    completion_log_prob,
    completion_mask,
    has_ended,
    token_log_probs,
)
from lm_bandit.oracle import trie
from lm_bandit.transformer import hidden_states, next_token_log_probs


@pytest.mark.parametrize(
    ("completion", "mask", "ended"),
    [
        ([2, 3, 4], [1, 1, 1], False),
        ([2, 3, 0], [1, 1, 1], True),
        ([2, 0, 0], [1, 1, 0], True),
        ([0, 0, 0], [1, 0, 0], True),
    ],
)
def test_a_completion_counts_up_to_and_including_its_end(completion, mask, ended):
    completion = jnp.array(completion)
    assert_array_equal(completion_mask(completion), mask)
    assert has_ended(completion) == ended


def test_the_log_probability_of_a_completion_is_the_sum_over_its_tokens(tiny, model):
    """Token by token, each from the text that stands before it; never of the prompt."""
    prompt, completion = jnp.array(tiny.prompts[0]), jnp.array([4, 0, 0])
    total = 0.0
    for t in range(2):
        text = jnp.concatenate([prompt, completion[:t]])
        last = hidden_states(model, text)[-1]
        total += next_token_log_probs(model, last)[completion[t]]
    assert_allclose(completion_log_prob(model, prompt, completion), total, atol=1e-5)


def test_sampler_and_scorer_agree(tiny, model):
    pulls = bandit.pull_all(model, jax.random.key(0), jnp.asarray(tiny.prompts), 50, 3)
    score = jax.vmap(jax.vmap(token_log_probs, (None, 0, 0)), (None, 0, 0))
    scored = score(model, pulls.prompts, pulls.completions)
    assert_allclose(pulls.log_probs, scored, atol=1e-5)
    ended = np.asarray(pulls.completions) == 0
    after = np.cumsum(ended, axis=-1)[..., :-1] > 0
    assert np.all(ended[..., 1:][after]), "what follows the end is padding"


def test_completions_are_drawn_as_often_as_their_probability_says(tiny, model):
    """chi-squared over the 31 that end and the rest, for both prompts."""
    count = 20_000
    prompts = jnp.asarray(tiny.prompts)
    pulls = bandit.pull_all(model, jax.random.key(1), prompts, count, 3)
    completions = np.asarray(pulls.completions)
    log_probs = trie.policy_log_probs(model, tiny)
    ended = trie.ended_completions(tiny)
    chi_squared = 0.0
    for i in range(2):
        seen = (completions[i][:, None] == ended).all(-1).sum(0)
        seen = np.append(seen, count - seen.sum())
        probs = np.append(
            np.exp(log_probs.ended[i]), np.exp(log_probs.cut_off[i]).sum()
        )
        chi_squared += np.sum((seen - count * probs) ** 2 / (count * probs))
    assert chi_squared < 100  # 99.9% of chi-squared with 62 degrees of freedom
