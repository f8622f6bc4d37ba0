"""The temperature: its formula, and what it does at its limits."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.transformer import tempered
from tests.lm_bandit import oracles
from tests.lm_bandit.inputs import array


def test_it_divides_the_logits_of_each_row(rng):
    logits = rng.normal(0.0, 2.0, (2, 4))
    for temperature in (0.5, 1.0, 3.0):
        log_probs = jax.jit(tempered)(array(logits), temperature)
        for got, row in zip(log_probs, logits, strict=True):
            assert_allclose(jnp.exp(got), oracles.softmax(row / temperature), rtol=1e-4)


def test_cold_it_is_sure_and_hot_it_does_not_care(rng):
    logits = array(rng.permutation([0.0, 1.0, 2.0, 3.0]))
    cold, hot = (np.exp(tempered(logits, t)) for t in (0.01, 1e5))
    assert_allclose(cold, np.asarray(logits) == 3.0, atol=1e-6)
    assert_allclose(hot, 0.25, rtol=1e-3)
