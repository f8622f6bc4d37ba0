"""The bandit view, against what a completion is made of."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.views import as_bandit
from tests.lm_bandit import inputs

compiled = jax.jit(as_bandit)


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_completion_is_as_likely_as_its_tokens_together_and_earns_their_sum(
    rng, length
):
    tokens = inputs.token_view(rng, length)
    step = compiled(tokens)
    probs = np.exp(np.asarray(tokens.log_probs, float))[:length]
    assert_allclose(np.exp(step.log_probs), [np.prod(probs)], rtol=1e-4)
    rewards = np.asarray(tokens.rewards, float)[:length]
    assert_allclose(step.rewards, [sum(rewards)], rtol=1e-4, atol=1e-5)


def test_it_is_one_step_from_the_prompt_and_nothing_follows(rng):
    tokens = inputs.token_view(rng, 3)
    step = compiled(tokens)
    assert_allclose(step.observations, tokens.observations[:1])
    assert_allclose(step.actions, [tokens.actions])
    assert_allclose(step.values, tokens.values[:1])
    assert_allclose(step.mask, [1.0])
    for name in ("discounts", "next_values", "continues"):
        assert_allclose(getattr(step, name), [0.0])
