"""Objectives and losses, against definitions in numpy."""

from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient import inputs, oracles
from tests.policy_gradient.inputs import array

score_function_loss = jax.jit(
    jax.value_and_grad(objectives.score_function_loss, (0, 1))
)


def test_the_score_function_loss_is_minus_a_sum_of_products_per_episode(rng):
    case = inputs.episodes(rng)
    loss, _ = score_function_loss(*case.values())
    expected = oracles.score_function_loss(*map(np.asarray, case.values()))
    assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)


def test_the_score_function_loss_treats_advantages_as_data(rng):
    case = inputs.episodes(rng)
    _, (by_log_probs, by_advantages) = score_function_loss(*case.values())
    pull = np.asarray(case["weights"]) * np.asarray(case["advantages"]) / 3
    assert_allclose(by_log_probs, -pull, rtol=1e-5, atol=1e-6)
    assert_allclose(by_advantages, 0.0)


def test_the_score_function_loss_ignores_padding(rng):
    case = inputs.episodes(rng)
    loss, _ = score_function_loss(*case.values())
    happened = np.asarray(case["weights"]) > 0
    for name in ("log_probs", "advantages"):
        other = array(np.where(happened, np.asarray(case[name]), 77.0))
        again, _ = score_function_loss(*(case | {name: other}).values())
        assert_allclose(again, loss, rtol=1e-5)


# Of all actions at once: callers map it, compile it and differentiate it.
ratios_and_slopes = jax.jit(jax.vmap(jax.value_and_grad(objectives.importance_ratio)))


def test_the_importance_ratio_is_the_quotient_of_the_probabilities(rng):
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    ratios, slopes = ratios_and_slopes(new, old)
    expected = np.exp(np.asarray(new, float)) / np.exp(np.asarray(old, float))
    assert_allclose(ratios, expected, rtol=1e-5)
    assert_allclose(slopes, expected, rtol=1e-5)  # d rho / d log pi = rho


def test_importance_ratios_turn_samples_of_one_policy_into_those_of_another(rng):
    """sum_a pi_old(a) rho(a) f(a) = sum_a pi(a) f(a)."""
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    worth = rng.normal(size=4)
    ratios, _ = ratios_and_slopes(new, old)
    weighted = np.exp(np.asarray(old, float)) * np.asarray(ratios, float)
    expected = np.exp(np.asarray(new, float)) @ worth
    assert_allclose(weighted @ worth, expected, rtol=1e-4, atol=1e-5)


def test_the_importance_ratio_of_equal_policies_is_1():
    log_prob = array([-0.5, -1.0, -2.0, -3.0])
    assert_allclose(ratios_and_slopes(log_prob, log_prob)[0], 1.0)


# Of all actions at once; by the log-probability and by the advantage.
surrogates_and_slopes = jax.jit(
    jax.vmap(jax.value_and_grad(objectives.surrogate, (0, 2)))
)


def test_the_mean_surrogate_is_the_expected_advantage_of_the_new_policy(rng):
    """Of actions of the old policy: sum_a pi_old(a) rho(a) A(a) = sum_a pi(a) A(a)."""
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    advantages = rng.normal(size=4)
    values, _ = surrogates_and_slopes(new, old, array(advantages))
    average = np.exp(np.asarray(old, float)) @ np.asarray(values, float)
    expected = np.exp(np.asarray(new, float)) @ advantages
    assert_allclose(average, expected, rtol=1e-4, atol=1e-5)


def test_the_slope_of_the_surrogate_is_the_ratio_times_the_advantage(rng):
    """At the old policy, where the ratio is 1, it is the policy gradient."""
    old, new = inputs.log_policy(rng), inputs.log_policy(rng)
    advantages = array(rng.normal(size=4))
    for log_probs in (new, old):
        _, (by_log_prob, by_advantage) = surrogates_and_slopes(
            log_probs, old, advantages
        )
        ratios = np.exp(np.asarray(log_probs, float) - np.asarray(old, float))
        assert_allclose(by_log_prob, ratios * advantages, rtol=1e-4, atol=1e-5)
        assert_allclose(by_advantage, 0.0)


# Of several ratios clipped_at once: callers map it, compile it and differentiate it.
clipped_and_slopes = jax.jit(
    jax.vmap(jax.value_and_grad(objectives.clipped_surrogate, (0, 2)), (0, 0, 0, None))
)


RATIOS = np.array([0.4, 0.95, 1.0, 1.05, 2.5])


def clipped_at(ratios, old, advantage, clip):
    ones = np.ones(len(ratios))
    log_probs = array(old + np.log(ratios))
    return clipped_and_slopes(
        log_probs, array(old * ones), array(advantage * ones), clip
    )


@pytest.mark.parametrize("advantage", [2.0, -3.0])
def test_the_clipped_surrogate_is_flat_beyond_the_clip_the_right_way(rng, advantage):
    clip = float(rng.uniform(0.1, 0.3))
    values, (slopes, _) = clipped_at(RATIOS, -rng.uniform(0.5, 3.0), advantage, clip)
    if advantage > 0:
        reach, is_flat = np.minimum(RATIOS, 1 + clip), 1 + clip < RATIOS
    else:
        reach, is_flat = np.maximum(RATIOS, 1 - clip), 1 - clip > RATIOS
    assert_allclose(values, reach * advantage, rtol=1e-4)
    # d rho / d log pi = rho
    expected = np.where(is_flat, 0.0, RATIOS * advantage)
    assert_allclose(slopes, expected, rtol=1e-4)


def test_the_clipped_surrogate_at_the_old_policy_has_the_policy_gradient(rng):
    """There the ratio is 1, and the slope by log pi is the advantage."""
    advantage = float(rng.normal(0.0, 3.0))
    _, (slopes, _) = clipped_at(np.ones(5), -1.0, advantage, 0.2)
    assert_allclose(slopes, advantage, rtol=1e-5)


@pytest.mark.parametrize("advantage", [2.0, -3.0])
def test_the_clipped_surrogate_treats_the_advantage_as_data(advantage):
    """Within the clip range and beyond it: the slope by the advantage is 0."""
    _, (_, slopes) = clipped_at(RATIOS, -1.0, advantage, 0.2)
    assert_allclose(slopes, 0.0)


CLIP = 0.2


clipped_loss = jax.jit(jax.value_and_grad(objectives.clipped_surrogate_loss, (0, 2)))


def test_the_clipped_loss_clips_each_action_on_its_own(rng):
    case = inputs.rows_then_and_now(rng)
    loss, (by_log_probs, by_advantages) = clipped_loss(*case.values(), CLIP)
    expected, slopes = oracles.clipped_surrogate_loss(
        *map(np.asarray, case.values()), CLIP
    )
    assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)
    assert_allclose(by_log_probs, slopes, rtol=1e-4, atol=1e-5)
    assert_allclose(by_advantages, 0.0)


def test_the_clipped_loss_of_a_whole_text_has_the_ratio_of_all_its_tokens(rng):
    """The same gradient as token by token at the old policy, and another clip."""
    case = inputs.rows_then_and_now(rng)
    happened = np.asarray(case["weights"])
    advantages = rng.normal(0.0, 2.0, (3, 1)) * np.ones_like(happened)
    tokens = case | {"advantages": array(advantages)}
    old = np.asarray(case["old_log_probs"])
    whole = {name: np.sum(happened * x, axis=1) for name, x in case.items()}
    whole |= {"advantages": advantages[:, 0], "weights": np.ones(3)}
    whole = {name: array(x[:, None]) for name, x in whole.items()}
    loss, _ = clipped_loss(*whole.values(), CLIP)
    expected, _ = oracles.clipped_surrogate_loss(*map(np.asarray, whole.values()), CLIP)
    assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)
    tokens["log_probs"], whole["log_probs"] = array(old), whole["old_log_probs"]
    _, (of_tokens, _) = clipped_loss(*tokens.values(), CLIP)
    _, (of_texts, _) = clipped_loss(*whole.values(), CLIP)
    assert_allclose(of_tokens, of_texts * happened, rtol=1e-4, atol=1e-6)


def test_the_clipped_loss_ignores_padding(rng):
    case = inputs.rows_then_and_now(rng)
    loss, _ = clipped_loss(*case.values(), CLIP)
    happened = np.asarray(case["weights"]) > 0
    for name in ("log_probs", "old_log_probs", "advantages"):
        other = array(np.where(happened, np.asarray(case[name]), -2.5))
        again, _ = clipped_loss(*(case | {name: other}).values(), CLIP)
        assert_allclose(again, loss, rtol=1e-5)


value_loss_and_gradients = jax.jit(jax.value_and_grad(objectives.value_loss, (0, 1)))


def test_the_value_loss_is_half_of_the_squared_error(rng):
    for value, target in rng.normal(0.0, 3.0, (3, 2)):
        loss, _ = value_loss_and_gradients(array(value), array(target))
        assert_allclose(loss, (value - target) ** 2 / 2, rtol=1e-4, atol=1e-6)


def test_the_value_loss_treats_the_target_as_data(rng):
    for value, target in rng.normal(0.0, 3.0, (3, 2)):
        _, (by_value, by_target) = value_loss_and_gradients(array(value), array(target))
        assert_allclose(by_value, value - target, rtol=1e-4, atol=1e-5)
        assert by_target == 0.0


def entropy_of_softmax(preferences):
    return objectives.entropy(jax.nn.log_softmax(preferences))


# By the preferences: callers compile it and differentiate it.
entropy_and_gradient = jax.jit(jax.value_and_grad(entropy_of_softmax))


def test_entropy_is_the_expected_surprise_in_nats(rng):
    log_probs = inputs.log_policy(rng)
    expected = oracles.entropy(np.exp(np.asarray(log_probs, float)))
    assert_allclose(objectives.entropy(log_probs), expected, rtol=1e-5)


def test_entropy_is_log_n_when_uniform_and_0_when_certain():
    uniform = array(np.log(np.full(4, 0.25)))
    assert_allclose(objectives.entropy(uniform), np.log(4), rtol=1e-6)
    assert_allclose(objectives.entropy(array(-1e9, 0.0, -1e9, -1e9)), 0.0)


def test_the_gradient_of_the_entropy_by_preferences(rng):
    """By the preferences of a softmax it is -pi(a) (log pi(a) + H)."""
    log_probs = inputs.log_policy(rng)
    entropy, gradient = entropy_and_gradient(log_probs + 1.0)
    policy = np.exp(np.asarray(log_probs, float))
    expected = -policy * (np.log(policy) + oracles.entropy(policy))
    assert_allclose(entropy, oracles.entropy(policy), rtol=1e-4)
    assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


# Of all actions at once: callers map it, and compile it.
kl_estimates = jax.jit(jax.vmap(objectives.kl_estimates))


def test_the_means_of_k1_and_k3_are_the_kl_divergence(rng):
    log_probs, reference = inputs.log_policy(rng), inputs.log_policy(rng)
    policy = np.exp(np.asarray(log_probs, float))
    kl = oracles.kl(policy, np.exp(np.asarray(reference, float)))
    k1, _, k3 = (np.asarray(k, float) for k in kl_estimates(log_probs, reference))
    assert_allclose(policy @ k1, kl, rtol=1e-4, atol=1e-5)
    assert_allclose(policy @ k3, kl, rtol=1e-4, atol=1e-5)


def test_kl_estimates_follow_their_formulas(rng):
    log_probs, reference = inputs.log_policy(rng), inputs.log_policy(rng)
    d = np.asarray(log_probs, float) - np.asarray(reference, float)
    k1, k2, k3 = kl_estimates(log_probs, reference)
    assert_allclose(k1, d, rtol=1e-4, atol=1e-5)
    assert_allclose(k2, d**2 / 2, rtol=1e-4, atol=1e-5)
    assert_allclose(k3, np.exp(-d) - 1 + d, rtol=1e-4, atol=1e-5)
    assert np.all(np.asarray(k3) >= 0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_k3_keeps_its_digits_and_is_never_negative(sign):
    """From 1e-8 to 20, against exp(-d) - 1 + d in 50 digits."""
    d = (sign * np.geomspace(1e-8, 20.0, 4001)).astype(np.float32)
    k3 = np.asarray(kl_estimates(jnp.asarray(d), jnp.zeros(d.shape)).k3, float)
    with localcontext(prec=50):
        exact = [Decimal(-x).exp() - 1 + Decimal(x) for x in d.tolist()]
    assert_allclose(k3, np.array(exact, float), rtol=1e-6)
    assert (k3 > 0).all()
    gradient = jax.vmap(jax.grad(objectives.exp_above_tangent))(jnp.asarray(d))
    assert_allclose(gradient, np.expm1(d.astype(float)), rtol=1e-6)


def test_the_entropy_and_its_gradient_are_finite_where_a_probability_is_0():
    certain = jnp.array([0.0, -jnp.inf, -1e9])
    assert_allclose(objectives.entropy(certain), 0.0)
    assert np.all(np.isfinite(jax.grad(objectives.entropy)(jnp.array([0.0, -1e9]))))
