"""The loss of the clipped surrogate, against one action after another."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises import inputs, oracles
from tests.policy_gradient.exercises.inputs import array

CLIP = 0.2
by_log_probs_and_advantages = jax.jit(
    jax.value_and_grad(objectives.clipped_surrogate_loss, (0, 2))
)


def test_each_action_has_its_own_ratio_and_its_own_clip(rng):
    case = inputs.rows_then_and_now(rng)
    loss, (by_log_probs, by_advantages) = by_log_probs_and_advantages(
        *case.values(), CLIP
    )
    expected, slopes = oracles.clipped_surrogate_loss(
        *map(np.asarray, case.values()), CLIP
    )
    assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)
    assert_allclose(by_log_probs, slopes, rtol=1e-4, atol=1e-5)
    assert_allclose(by_advantages, 0.0)


def test_a_text_in_one_row_of_one_has_the_ratio_of_all_its_tokens(rng):
    """The same gradient as token by token at the old policy, and another clip."""
    case = inputs.rows_then_and_now(rng)
    happened = np.asarray(case["weights"])
    advantages = rng.normal(0.0, 2.0, (3, 1)) * np.ones_like(happened)
    tokens = case | {"advantages": array(advantages)}
    old = np.asarray(case["old_log_probs"])
    whole = {name: np.sum(happened * x, axis=1) for name, x in case.items()}
    whole |= {"advantages": advantages[:, 0], "weights": np.ones(3)}
    whole = {name: array(x[:, None]) for name, x in whole.items()}
    loss, _ = by_log_probs_and_advantages(*whole.values(), CLIP)
    expected, _ = oracles.clipped_surrogate_loss(*map(np.asarray, whole.values()), CLIP)
    assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)
    tokens["log_probs"], whole["log_probs"] = array(old), whole["old_log_probs"]
    _, (of_tokens, _) = by_log_probs_and_advantages(*tokens.values(), CLIP)
    _, (of_texts, _) = by_log_probs_and_advantages(*whole.values(), CLIP)
    assert_allclose(of_tokens, of_texts * happened, rtol=1e-4, atol=1e-6)


def test_what_stands_on_padding_does_not_count(rng):
    case = inputs.rows_then_and_now(rng)
    loss, _ = by_log_probs_and_advantages(*case.values(), CLIP)
    happened = np.asarray(case["weights"]) > 0
    for name in ("log_probs", "old_log_probs", "advantages"):
        other = array(np.where(happened, np.asarray(case[name]), -2.5))
        again, _ = by_log_probs_and_advantages(*(case | {name: other}).values(), CLIP)
        assert_allclose(again, loss, rtol=1e-5)
