"""The controller: what it does at its limits, and where it rests."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.rewards import adapted_kl_weight
from tests.lm_bandit.inputs import array

compiled = jax.jit(adapted_kl_weight, static_argnames="target")


def test_it_follows_the_relative_error_up_to_a_fifth(rng):
    target, gain, beta = rng.uniform(2.0, 9.0), rng.uniform(0.1, 0.9), 0.3
    for error in (-0.9, -0.1, 0.0, 0.15, 3.0):
        kl = array(target * (1 + error))
        got = compiled(array(beta), kl, target, gain)
        followed = min(max(error, -0.2), 0.2)
        assert_allclose(got, beta * (1 + gain * followed), rtol=1e-5)


def test_it_finds_the_price_that_keeps_the_kl_at_its_target():
    """Of a policy whose KL is 1 / beta, with 4 as its target: beta is 1/4."""
    beta = array(1.0)
    for _ in range(300):
        beta = compiled(beta, 1.0 / beta, 4.0, 0.1)
    assert_allclose(beta, 0.25, rtol=1e-3)
    assert np.isfinite(beta)
