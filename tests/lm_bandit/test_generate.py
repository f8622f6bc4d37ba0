"""Sampling and scoring, against the probabilities of everything that could be said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import generate
from tests.lm_bandit import inputs, oracles
from tests.lm_bandit.inputs import array

score = jax.jit(generate.token_log_probs)
draw = jax.jit(generate.draw_tokens)
PROMPTS = jnp.array([[1, 4], [2, 2], [1, 4], [2, 2]])
COMPLETIONS = jnp.array([[3, 0, 2], [2, 3, 1], [0, 0, 0], [1, 1, 0]])


def test_a_completion_counts_up_to_and_including_its_end(rng):
    completions = inputs.completions(rng)
    masks = generate.completion_mask(completions)
    ended = generate.has_ended(completions)
    for completion, mask, has_end in zip(completions, masks, ended, strict=True):
        length = len(oracles.said(completion))
        assert_array_equal(mask, [1.0] * length + [0.0] * (5 - length))
        assert has_end == (0 in np.asarray(completion))


def test_one_completion_has_one_mask():
    assert_array_equal(generate.completion_mask(jnp.array([3, 0, 0])), [1.0, 1.0, 0.0])
    assert_array_equal(generate.completion_mask(jnp.array([3, 2, 1])), [1.0, 1.0, 1.0])


def test_the_last_token_is_the_first_end_or_the_last_place(rng):
    completions = inputs.completions(rng)
    numbers = rng.normal(size=completions.shape)
    lengths = [len(oracles.said(completion)) for completion in completions]
    expected = [row[n - 1] for row, n in zip(numbers, lengths, strict=True)]
    got = generate.at_last_token(array(numbers), completions)
    assert_allclose(got, expected, rtol=1e-5)
    x = array([5.0, 6.0, 7.0])
    for completion, number in (([0, 0, 0], 5.0), ([3, 0, 0], 6.0), ([3, 2, 1], 7.0)):
        assert generate.at_last_token(x, jnp.array(completion)) == number


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_each_token_is_predicted_by_the_text_before_it(temperature):
    """The log-probability of a completion is the sum over its tokens."""
    params = inputs.model(0)
    got = score(params, PROMPTS, COMPLETIONS, temperature)
    expected = np.zeros((4, 3))
    for i, completion in enumerate(COMPLETIONS):
        for t, token in enumerate(oracles.said(completion)):
            text = np.concatenate([PROMPTS[i], completion[:t]])
            probs = oracles.next_token(params, text, temperature)
            expected[i, t] = np.log(probs[token])
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_completions_are_drawn_as_often_as_their_probability_says():
    """chi-squared over all completions of two tokens, at a temperature.

    The sampler's log-probabilities are the scorer's, and padding is all `END`.
    """
    params, count, temperature = inputs.model(3), 20_000, 0.8

    @jax.jit
    def write(params, key):
        context = generate.read_prompts(params, PROMPTS[:1], 2)
        context = context.rows(jnp.zeros(count, int))
        return generate.sample(params, key, context, 2, temperature)

    completions, log_probs = map(np.asarray, write(params, jax.random.key(1)))
    every = np.array([[0, 0], *([i, j] for i in range(1, 5) for j in range(5))])
    scored = score(params, jnp.tile(PROMPTS[:1], (21, 1)), every, temperature)
    matches = (completions[:, None] == every).all(-1)
    assert_array_equal(matches.sum(1), 1)
    assert_allclose(log_probs, np.asarray(scored)[matches.argmax(1)], atol=1e-5)
    expected = count * np.exp(np.asarray(scored, float).sum(1))
    assert_allclose(expected.sum(), count, rtol=1e-4)
    chi_squared = np.sum((matches.sum(0) - expected) ** 2 / expected)
    assert chi_squared < 45  # 99.9% of chi-squared with 20 degrees of freedom


def test_a_completion_may_have_one_token_only():
    params = inputs.model(0)

    @jax.jit
    def write(params, key):
        context = generate.read_prompts(params, PROMPTS, 1)
        return generate.sample(params, key, context, 1)

    tokens, log_probs = write(params, jax.random.key(0))
    assert tokens.shape == log_probs.shape == (4, 1)
    assert_allclose(log_probs, score(params, PROMPTS, tokens, 1.0), atol=1e-5)


def test_tokens_come_as_often_as_their_log_probability_says():
    """Two texts with different policies, at a temperature; within 4.5 errors."""
    logits, count = np.array([[0.0, 1.0, -1.0], [0.5, -1.0, 1.5]]), 4000
    rows = jnp.repeat(array(logits), count, axis=0)
    going_on = jnp.zeros(2 * count, bool)
    tokens, stated = draw(jax.random.key(0), rows, going_on, 0.5)
    halves = zip(logits, np.split(tokens, 2), np.split(stated, 2), strict=True)
    for row, drawn, log_probs in halves:
        probs = oracles.softmax(row / 0.5)
        assert_allclose(log_probs, np.log(probs)[drawn], rtol=1e-4, atol=1e-5)
        shares = np.bincount(drawn, minlength=3) / count
        errors = np.sqrt(probs * (1 - probs) / count)
        assert np.all(np.abs(shares - probs) < 4.5 * errors)


def test_after_the_end_is_padding_with_log_probability_0():
    logits = jnp.repeat(array([[-2.0, 1.0, 1.0]]), 50, axis=0)
    ended = jnp.arange(50) % 2 == 0
    tokens, stated = draw(jax.random.key(1), logits, ended, 1.0)
    assert_array_equal(tokens[::2], 0)
    assert_array_equal(stated[::2], 0.0)
    assert np.any(tokens[1::2] != 0)


def test_the_key_decides_which_tokens_are_drawn():
    logits, going_on = jnp.zeros((50, 3)), jnp.zeros(50, bool)
    one, same, other = (
        draw(jax.random.key(k), logits, going_on, 1.0)[0] for k in (2, 2, 3)
    )
    assert_array_equal(one, same)
    assert np.any(one != other)
