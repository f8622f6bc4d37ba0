"""Drawing, against the probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.generate import draw_tokens
from tests.lm_bandit import oracles
from tests.lm_bandit.inputs import array

draw = jax.jit(draw_tokens)
COUNT = 4000


def test_tokens_come_as_often_as_their_log_probability_says():
    """Of two texts with different policies, at a temperature; within 4.5 errors."""
    logits = np.array([[0.0, 1.0, -1.0], [0.5, -1.0, 1.5]])
    rows = jnp.repeat(array(logits), COUNT, axis=0)
    going_on = jnp.zeros(2 * COUNT, bool)
    tokens, told = draw(jax.random.key(0), rows, going_on, 0.5)
    halves = zip(logits, np.split(tokens, 2), np.split(told, 2), strict=True)
    for row, drawn, log_probs in halves:
        probs = oracles.softmax(row / 0.5)
        assert_allclose(log_probs, np.log(probs)[drawn], rtol=1e-4, atol=1e-5)
        shares = np.bincount(drawn, minlength=3) / COUNT
        errors = np.sqrt(probs * (1 - probs) / COUNT)
        assert np.all(np.abs(shares - probs) < 4.5 * errors)


def test_after_the_end_is_padding_with_log_probability_0():
    logits = jnp.repeat(array([[-2.0, 1.0, 1.0]]), 50, axis=0)
    ended = jnp.arange(50) % 2 == 0
    tokens, told = draw(jax.random.key(1), logits, ended, 1.0)
    assert_array_equal(tokens[::2], 0)
    assert_array_equal(told[::2], 0.0)
    assert np.any(tokens[1::2] != 0)


def test_the_key_says_all():
    logits, going_on = jnp.zeros((50, 3)), jnp.zeros(50, bool)
    one, same, other = (
        draw(jax.random.key(k), logits, going_on, 1.0)[0] for k in (2, 2, 3)
    )
    assert_array_equal(one, same)
    assert np.any(one != other)
