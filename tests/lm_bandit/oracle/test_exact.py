"""Exact values, against brute force and the theory of KL-regularised bandits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.oracle import exact
from lm_bandit.oracle.exact import LogProbs, best_of_n, kl, optimum, policy_value
from tests.lm_bandit import inputs, oracles


def test_kl_is_the_mean_log_ratio_under_the_policy(rng):
    policy, other = inputs.policy(rng), inputs.policy(rng)
    total = 0.0
    for x in range(2):
        for name in ("ended", "cut_off"):
            pairs = zip(getattr(policy, name)[x], getattr(other, name)[x], strict=True)
            total += sum(np.exp(p) * (p - q) for p, q in pairs) / 2
    assert_allclose(kl(policy, other), total, rtol=1e-9)
    assert kl(policy, other) > 0.0
    assert_allclose(kl(policy, policy), 0.0, atol=1e-12)


def test_kl_of_a_certain_policy_is_the_surprise_of_its_completion():
    sure = LogProbs(np.array([[0.0, -50.0]]), np.array([[-50.0]]))
    other = LogProbs(np.log([[0.1, 0.6]]), np.log([[0.3]]))
    assert_allclose(kl(sure, other), np.log(10.0), rtol=1e-9)


def test_the_optimum_is_a_policy_and_none_is_better(rng):
    problem = inputs.problem(rng)
    best = optimum(problem)
    probs = np.exp(np.concatenate(best, axis=1))
    assert_allclose(probs.sum(1), 1.0, rtol=1e-9)
    value = policy_value(problem, best).objective
    for _ in range(20):
        assert policy_value(problem, inputs.policy(rng)).objective < value


def test_at_the_optimum_reward_less_price_is_beta_log_z_for_every_completion(rng):
    problem = inputs.problem(rng)
    best = np.concatenate(optimum(problem), axis=1)
    reference = np.concatenate(problem.reference, axis=1)
    cut_off = np.full((2, 2), problem.penalty)
    rewards = np.concatenate([problem.learned, cut_off], axis=1)
    net = rewards - problem.kl_weight * (best - reference)
    weights = np.exp(reference) * np.exp(rewards / problem.kl_weight)
    log_z = np.log(weights.sum(1, keepdims=True))
    expected = np.broadcast_to(problem.kl_weight * log_z, net.shape)
    assert_allclose(net, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_best_of_n_is_as_likely_as_all_ways_in_which_n_draws_may_fall(rng, n):
    problem = inputs.problem(rng)
    policy = np.exp(np.concatenate(best_of_n(problem, n), axis=1))
    reference = np.exp(np.concatenate(problem.reference, axis=1))
    for x in range(2):
        scores = np.append(problem.learned[x], [problem.penalty] * 2)
        expected = oracles.all_that_can_be_drawn(reference[x], scores, n)
        assert_allclose(policy[x], expected, rtol=1e-9)


def test_the_value_of_a_policy_is_a_sum_over_all_completions():
    rng = np.random.default_rng(4)
    problem, policy = inputs.problem(rng), inputs.policy(rng)
    log_probs = np.concatenate(policy, axis=1)
    references = np.concatenate(problem.reference, axis=1)
    gold = learned = divergence = entropy = reverse = 0.0
    for x, y in np.ndindex(2, 6):
        p, q = log_probs[x, y], references[x, y]
        ended = y < 4
        gold += np.exp(p) * (problem.gold[x, y] if ended else -2.0) / 2
        learned += np.exp(p) * (problem.learned[x, y] if ended else -2.0) / 2
        divergence += np.exp(p) * (p - q) / 2
        reverse += np.exp(q) * (q - p) / 2
        entropy -= np.exp(p) * p / 2
    objective = learned - problem.kl_weight * divergence
    expected = (gold, learned, divergence, objective)
    assert_allclose(policy_value(problem, policy), expected, rtol=1e-9)
    assert_allclose(kl(problem.reference, policy), reverse, rtol=1e-9)
    assert_allclose(exact.entropy(policy), entropy, rtol=1e-9)


@pytest.fixture(scope="module")
def problem():
    """Two prompts, 30 completions that end and 10 that do not; many scores tie."""
    rng = np.random.default_rng(7)
    learned = rng.integers(-3, 4, size=(2, 30)).astype(float)
    reference = inputs.policy(rng, num_ended=30, num_cut_off=10)
    return exact.Problem(reference, learned, learned, 0.3, -2.0)


def test_the_regret_of_any_policy_is_beta_times_its_kl_to_the_optimum(problem):
    """J* - J(pi) = beta KL(pi || pi*), with J* = E[beta log Z(x)]."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        policy = inputs.policy(rng, num_ended=30, num_cut_off=10)
        regret = exact.optimal_objective(problem)
        regret -= policy_value(problem, policy).objective
        assert_allclose(exact.gap(problem, policy), regret, atol=1e-9)
        assert regret > 0.01
    assert_allclose(exact.gap(problem, optimum(problem)), 0.0, atol=1e-12)


def test_no_policy_lies_above_the_frontier(problem):
    betas = np.geomspace(20, 0.1, 60)
    values = exact.frontier(problem, betas)
    kls, learned = np.array([(v.kl, v.learned) for v in values]).T
    assert np.all(np.diff(kls) > 0)
    assert np.all(np.diff(learned) > 0)
    # A line of slope beta supports it: the trade-off is concave.
    slopes = np.diff(learned) / np.diff(kls)
    assert np.all((slopes < betas[:-1]) & (slopes > betas[1:]))
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=(2, 30))
        nudged = optimum(problem._replace(learned=problem.learned + noise))
        value = policy_value(problem, nudged)
        assert value.learned < np.interp(value.kl, kls, learned) + 1e-6
    # The completions that are cut off count as one there; that changes no value.
    (merged,) = exact.frontier(problem, np.array([0.3]))
    assert_allclose(merged, policy_value(problem, optimum(problem)), rtol=1e-9)


def test_best_of_more_is_worth_more_up_to_the_best_score(problem):
    values = [
        policy_value(problem, best_of_n(problem, n)).learned
        for n in (1, 2, 3, 8, 64, 4096)
    ]
    assert np.all(np.diff(values) > 0)
    assert_allclose(values[-1], problem.learned.max(-1).mean(), atol=1e-3)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        best_of_n(problem, 0)


@pytest.mark.parametrize("learned", [[[0.0, 1.0, 2.0]], [[0.0, 2.0, 1.0]]])
def test_best_of_n_keeps_what_is_too_rare_for_a_float(learned):
    """One of probability e^-800 and score r gains log n + (n - 1) log F(r)."""
    likely = np.log([0.3, 0.5, 0.2])
    reference = LogProbs(np.array([[likely[0], -800.0, likely[1]]]), likely[None, 2:])
    problem = exact.Problem(reference, *[np.array(learned)] * 2, 0.3, -2.0)
    up_to = 0.5 if learned[0][1] == 1.0 else 1.0
    best = best_of_n(problem, 4)
    expected = -800.0 + np.log(4) + 3 * np.log(up_to)
    assert_allclose(best.ended[0, 1], expected, atol=1e-9)
    assert 0 < kl(best, reference) < exact.best_of_n_kl_bound(4)


def test_the_kl_of_best_of_n_is_below_its_bound(problem):
    """It is equal to the bound where every completion is rare and has its own score."""
    for n in (1, 2, 4, 16, 256):
        divergence = kl(best_of_n(problem, n), problem.reference)
        assert divergence <= exact.best_of_n_kl_bound(n) + 1e-12
    many = np.full((1, 20_000), -np.log(20_001))
    reference = LogProbs(many, many[:, :1])
    learned = np.arange(20_000.0)[None]
    fine = exact.Problem(reference, learned, learned, 0.3, -2.0)
    divergence = kl(best_of_n(fine, 16), reference)
    assert_allclose(divergence, exact.best_of_n_kl_bound(16), atol=5e-3)
