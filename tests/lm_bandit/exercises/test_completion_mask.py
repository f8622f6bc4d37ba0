"""The mask, against completions read token by token."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_array_equal

from lm_bandit.generate import completion_mask
from tests.lm_bandit import inputs, oracles


def test_what_was_said_counts_and_nothing_after_it(rng):
    completions = inputs.completions(rng)
    masks = np.asarray(jax.jit(completion_mask)(completions))
    for completion, mask in zip(completions, masks, strict=True):
        length = len(oracles.said(completion))
        assert_array_equal(mask, [1.0] * length + [0.0] * (5 - length))


def test_one_completion_has_one_mask():
    assert_array_equal(completion_mask(jnp.array([3, 0, 0])), [1.0, 1.0, 0.0])
    assert_array_equal(completion_mask(jnp.array([3, 2, 1])), [1.0, 1.0, 1.0])
