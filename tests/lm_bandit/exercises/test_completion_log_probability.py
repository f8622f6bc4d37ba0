"""Log-probabilities, against a model that reads one prefix after another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.generate import token_log_probs
from tests.lm_bandit import inputs, oracles

score = jax.jit(token_log_probs)
PROMPTS = jnp.array([[1, 4], [2, 2], [1, 4], [2, 2]])
COMPLETIONS = jnp.array([[3, 0, 2], [2, 3, 1], [0, 0, 0], [1, 1, 0]])


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_each_token_is_predicted_by_the_text_before_it(temperature):
    params = inputs.model(0)
    got = score(params, PROMPTS, COMPLETIONS, temperature)
    expected = np.zeros((4, 3))
    for i, completion in enumerate(COMPLETIONS):
        for t, token in enumerate(oracles.said(completion)):
            text = np.concatenate([PROMPTS[i], completion[:t]])
            probs = oracles.next_token(params, text, temperature)
            expected[i, t] = np.log(probs[token])
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
