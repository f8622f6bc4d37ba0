"""The loss of SFT, against surprises one at a time."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.sft import cross_entropy
from tests.lm_bandit import inputs

compiled = jax.jit(jax.value_and_grad(cross_entropy))


def test_it_is_the_mean_surprise_at_what_is_to_be_learned(rng):
    case = inputs.predictions(rng)
    log_probs, tokens, weights = (np.asarray(x) for x in case.values())
    learned = list(zip(*np.nonzero(weights), strict=True))
    surprises = [-float(log_probs[i, t - 1, tokens[i, t]]) for i, t in learned]
    loss, gradient = compiled(*case.values())
    assert_allclose(loss, np.mean(surprises), rtol=1e-4)
    expected = np.zeros(log_probs.shape)
    for i, t in learned:
        expected[i, t - 1, tokens[i, t]] -= 1 / len(learned)
    assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_prompts_and_padding_may_be_anything(rng):
    case = inputs.predictions(rng)
    loss, _ = compiled(*case.values())
    tokens = np.where(np.asarray(case["weights"]) > 0, case["tokens"], 0)
    again, _ = compiled(*(case | {"tokens": tokens}).values())
    assert_allclose(again, loss, rtol=1e-5)
