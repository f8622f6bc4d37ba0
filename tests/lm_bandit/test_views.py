"""The two views of a completion, against what a completion is made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.views import as_bandit, as_tokens, token_weights
from tests.lm_bandit import inputs
from tests.lm_bandit.inputs import array

view = jax.jit(as_bandit)
weigh = jax.jit(token_weights, static_argnames="over_tokens")


@pytest.mark.parametrize(
    ("completion", "length"), [([2, 0, 0], 2), ([0, 0, 0], 1), ([2, 3, 4], 3)]
)
def test_the_token_view_ends_with_the_last_token_that_counts(completion, length):
    """Padding has no part in it, whatever stands there; nothing is bootstrapped."""
    log_probs, rewards, values = np.random.default_rng(0).normal(size=(3, 3))
    numbers = map(array, (log_probs, rewards, values))
    tokens = as_tokens(jnp.array([1, 5]), jnp.array(completion), *numbers)
    mask = np.arange(3) < length
    goes_on = np.arange(3) < length - 1
    assert_array_equal(tokens.mask, mask)
    assert_array_equal(tokens.discounts, goes_on)
    assert_array_equal(tokens.continues, goes_on)
    assert_allclose(tokens.log_probs, log_probs * mask, rtol=1e-6)
    assert_allclose(tokens.rewards, rewards * mask, rtol=1e-6)
    assert_allclose(tokens.values, values * mask, rtol=1e-6)
    assert_allclose(tokens.next_values, np.append(values[1:], 9) * goes_on, rtol=1e-6)
    assert_array_equal(tokens.observations[0], [1, 5, 0, 0, 0])
    assert_array_equal(tokens.observations[2], [1, 5, *completion[:2], 0])


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_completion_is_as_likely_as_its_tokens_and_earns_their_sum(rng, length):
    tokens = inputs.token_view(rng, length)
    step = view(tokens)
    probs = np.exp(np.asarray(tokens.log_probs, float))[:length]
    assert_allclose(np.exp(step.log_probs), [np.prod(probs)], rtol=1e-4)
    rewards = np.asarray(tokens.rewards, float)[:length]
    assert_allclose(step.rewards, [sum(rewards)], rtol=1e-4, atol=1e-5)


def test_the_bandit_view_is_one_step_from_the_prompt_with_no_next_state(rng):
    tokens = inputs.token_view(rng, 3)
    step = view(tokens)
    assert_allclose(step.observations, tokens.observations[:1])
    assert_allclose(step.actions, [tokens.actions])
    assert_allclose(step.values, tokens.values[:1])
    assert_allclose(step.mask, [1.0])
    for name in ("discounts", "next_values", "continues"):
        assert_allclose(getattr(step, name), [0.0])


def test_weighted_sums_over_rows_have_the_mean_that_the_name_says(rng):
    x, mask = rng.normal(size=(3, 5)), inputs.mask(rng, 3, 5)
    rows = [row[happened > 0] for row, happened in zip(x, mask, strict=True)]
    expected = {
        "sum": np.mean([row.sum() for row in rows]),
        "sequence_mean": np.mean([row.mean() for row in rows]),
        "token_mean": np.concatenate(rows).mean(),
    }
    for name, number in expected.items():
        got = np.asarray(weigh(array(mask), over_tokens=name), float)
        assert_allclose(np.mean(np.sum(got * x, axis=1)), number, rtol=1e-4, atol=1e-6)
        assert np.all(got[mask == 0] == 0.0)
