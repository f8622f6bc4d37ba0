"""The optimum, against other policies and the equation that marks it."""

import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.oracle.exact import optimum, policy_value
from tests.lm_bandit import inputs


def test_it_is_a_policy_and_none_is_better(rng):
    problem = inputs.problem(rng)
    best = optimum(problem)
    probs = np.exp(np.concatenate(best, axis=1))
    assert_allclose(probs.sum(1), 1.0, rtol=1e-9)
    value = policy_value(problem, best).objective
    for _ in range(20):
        assert policy_value(problem, inputs.policy(rng)).objective < value


def test_what_is_earned_less_its_price_is_the_same_for_all_that_can_be_said(rng):
    """And it is beta log Z(x): there is nothing left to gain by saying more of one."""
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
