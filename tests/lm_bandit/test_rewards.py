"""The terms of the reward and its baselines, against sums that are written out."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import rewards
from policy_gradient import objectives
from tests.lm_bandit.inputs import array, mask

at_tokens = jax.jit(partial(rewards.token_rewards, at_end=False))
at_end = jax.jit(partial(rewards.token_rewards, at_end=True))
expect = jax.jit(rewards.expected_returns, static_argnames="baseline")
scale = jax.jit(rewards.scaled, static_argnames="scaling")
targets = jax.jit(rewards.advantages_and_targets, static_argnames="whiten")
adapt = jax.jit(rewards.adapted_kl_weight, static_argnames="target")


def test_each_token_pays_for_its_kl_and_the_last_one_gets_the_score(rng):
    log_ratios, score, beta = rng.normal(0.0, 1.0, 4), rng.normal(), 0.3
    for length in (1, 3, 4):
        real = array((np.arange(4) < length).astype(float))
        expected = [-beta * d if t < length else 0.0 for t, d in enumerate(log_ratios)]
        expected[length - 1] += score
        got = at_tokens(array(score), array(log_ratios), real, beta)
        assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
        total = np.zeros(4)
        total[length - 1] = sum(expected)
        got = at_end(array(score), array(log_ratios), real, beta)
        assert_allclose(got, total, rtol=1e-4, atol=1e-5)


def test_a_baseline_looks_only_at_completions_of_the_same_prompt(rng):
    for shape in ((3, 3), (2, 4)):
        returns = rng.normal(1.0, 3.0, shape)
        others = [[np.delete(x, j).mean() for j in range(len(x))] for x in returns]
        expected = {
            "none": np.zeros(shape),
            "constant": np.full(shape, 0.7),
            "average": [[row.mean() for _ in row] for row in returns],
            "leave_one_out": others,
        }
        for name, numbers in expected.items():
            got = expect(array(returns), name, 0.7)
            assert got.shape == shape
            assert_allclose(got, numbers, rtol=1e-4, atol=1e-5)


def test_leave_one_out_is_unbiased_and_the_average_shrinks_the_gradient(rng):
    """Exactly, over all pairs of pulls of an arm with two ends, by 1 - 1/n."""
    p, rewards = rng.uniform(0.2, 0.8), rng.normal(0.0, 2.0, 2)
    probs, score = np.array([1 - p, p]), np.array([-p, 1 - p])  # d log pi / d logit
    gradient = np.sum(probs * score * rewards)

    def mean_gradient(baseline):
        total = 0.0
        for pair in product((0, 1), repeat=2):
            arms = list(pair)
            expected = expect(array([rewards[arms]]), baseline)
            advantages = rewards[arms] - np.asarray(expected, float)[0]
            total += np.prod(probs[arms]) * np.mean(score[arms] * advantages)
        return total

    assert_allclose(mean_gradient("none"), gradient, rtol=1e-4, atol=1e-6)
    assert_allclose(mean_gradient("leave_one_out"), gradient, rtol=1e-4, atol=1e-6)
    assert_allclose(mean_gradient("average"), gradient / 2, rtol=1e-4, atol=1e-6)


def test_scaling_counts_real_numbers_only(rng):
    x, real = rng.normal(1.0, 2.0, (3, 4)), np.asarray(mask(rng, 3, 4))
    counted = x[real > 0]
    deviation = np.sqrt(np.mean((counted - counted.mean()) ** 2))
    both = array(x), array(real)
    expected = np.where(real > 0, x / deviation, 0.0)
    assert_allclose(scale(*both, "scale"), expected, rtol=1e-4, atol=1e-6)
    expected = np.where(real > 0, (x - counted.mean()) / deviation, 0.0)
    assert_allclose(scale(*both, "whiten"), expected, rtol=1e-4, atol=1e-5)
    assert_array_equal(scale(*both, "none"), both[0])


def test_a_deviation_without_bias_makes_whitened_rewards_a_little_smaller(rng):
    """That of TRL and verl divides by the number of real entries less 1."""
    x, real = rng.normal(1.0, 2.0, (2, 3)), np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    counted = x[real > 0]
    theirs = (counted - counted.mean()) / np.sqrt(counted.var(ddof=1) + 1e-8)
    ours = np.asarray(scale(array(x), array(real), "whiten"))[real > 0]
    assert_allclose(np.sqrt(4 / 5) * ours, theirs, rtol=1e-4)


def test_the_price_k1_leads_down_the_kl_and_k3_elsewhere(rng):
    """As rewards: sum_a pi(a) grad log pi(a) k(a), over all tokens a."""
    preferences, reference = array(rng.normal(size=(2, 5)))
    log_reference = jax.nn.log_softmax(reference)

    def gradient(name):
        log_probs = jax.nn.log_softmax(preferences)
        kls = jax.vmap(objectives.kl_estimates)(log_probs, log_reference)
        prices = jnp.exp(log_probs) * getattr(kls, name)
        return jax.grad(lambda p: prices @ jax.nn.log_softmax(p))(preferences)

    def divergences(preferences):
        p, q = jax.nn.log_softmax(preferences), log_reference
        return jnp.array([jnp.exp(p) @ (p - q), jnp.exp(q) @ (q - p)])

    forward, backward = jax.jacobian(divergences)(preferences)
    assert_allclose(gradient("k1"), forward, atol=1e-5)
    assert_allclose(gradient("k3"), forward - backward, atol=1e-5)
    prices = at_tokens(array(0.0), array([0.5, -0.25]), array([1.0, 1.0]), 2.0)
    assert_allclose(prices, [-1.0, 0.5])  # k3 is never negative


def test_scaled_rewards_keep_their_signs_and_whitened_ones_lose_a_constant(rng):
    real = array(np.ones((2, 4)))
    x = rng.uniform(-9.0, -1.0, (2, 4))
    assert (scale(array(x), real, "scale") < 0).all()
    of, more = (scale(array(x + c), real, "whiten") for c in (0.0, 5.0))
    assert_allclose(of, more, rtol=1e-3, atol=1e-4)


def test_numbers_that_are_all_equal_stay_finite():
    same = partial(scale, array([2.0, 2.0]), array([1.0, 1.0]))
    assert_allclose(same("whiten"), 0.0)
    assert np.isfinite(same("scale")).all()


def test_the_target_is_the_return_with_or_without_whitening(rng):
    returns, values = rng.normal(1.0, 3.0, (2, 3, 4))
    real = mask(rng, 3, 4)
    for whiten in (False, True):
        got = targets(array(returns - values), array(values), array(real), whiten)
        assert_allclose(got[1], returns, rtol=1e-4, atol=1e-5)


def test_advantages_are_whitened_over_real_numbers_where_that_is_asked_for(rng):
    advantages, values = rng.normal(1.0, 3.0, (2, 3, 4))
    real = np.asarray(mask(rng, 3, 4))
    all_three = array(advantages), array(values), array(real)
    assert_allclose(targets(*all_three, False)[0], advantages, rtol=1e-5)
    counted = advantages[real > 0]
    whitened = (advantages - counted.mean()) / counted.std()
    expected = np.where(real > 0, whitened, 0.0)
    assert_allclose(targets(*all_three, True)[0], expected, rtol=1e-4, atol=1e-5)


def test_beta_follows_the_relative_error_up_to_a_fifth(rng):
    """Ziegler et al. (2019), section 2.2, by hand."""
    target, gain, beta = rng.uniform(2.0, 9.0), rng.uniform(0.1, 0.9), 0.3
    for error in (-0.9, -0.1, 0.0, 0.15, 3.0):
        kl = array(target * (1 + error))
        got = adapt(array(beta), kl, target, gain)
        followed = min(max(error, -0.2), 0.2)
        assert_allclose(got, beta * (1 + gain * followed), rtol=1e-5)


def test_beta_finds_the_price_that_keeps_the_kl_at_its_target():
    """For a policy whose KL is 1 / beta, with the target 4, beta becomes 1/4."""
    beta = array(1.0)
    for _ in range(300):
        beta = adapt(beta, 1.0 / beta, 4.0, 0.1)
    assert_allclose(beta, 0.25, rtol=1e-3)
