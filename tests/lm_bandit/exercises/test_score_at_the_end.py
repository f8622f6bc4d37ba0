"""Reading at the end, against completions read token by token."""

import jax
import jax.numpy as jnp
from numpy.testing import assert_allclose

from lm_bandit.generate import at_last_token
from tests.lm_bandit import inputs, oracles
from tests.lm_bandit.inputs import array


def test_it_is_read_where_the_text_stops(rng):
    completions = inputs.completions(rng)
    numbers = rng.normal(size=completions.shape)
    got = jax.jit(at_last_token)(array(numbers), completions)
    lengths = [len(oracles.said(completion)) for completion in completions]
    expected = [row[n - 1] for row, n in zip(numbers, lengths, strict=True)]
    assert_allclose(got, expected, rtol=1e-5)


def test_one_completion_has_one_number():
    x = array([5.0, 6.0, 7.0])
    for completion, expected in (([0, 0, 0], 5.0), ([3, 0, 0], 6.0), ([3, 2, 1], 7.0)):
        assert at_last_token(x, jnp.array(completion)) == expected
