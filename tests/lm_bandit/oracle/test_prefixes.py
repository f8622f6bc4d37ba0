"""GRPO's fixed point for a price on tokens, against gradients of the loss."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.losses.expected import Update, by_jax
from lm_bandit.losses.known import BETA, LossDials, group_loss
from lm_bandit.losses.tiny import END, FIFTEEN
from lm_bandit.oracle import exact, groups
from lm_bandit.oracle.exact import LogProbs, Problem
from lm_bandit.oracle.prefixes import fixed_point_by_prefix
from policy_gradient import objectives
from tests.lm_bandit import inputs

ENDS = FIFTEEN.tokens[:, -1] == END


@pytest.fixture(name="point")
def point_of_fifteen():
    """A random reference; all completions that are cut off earn the same."""
    with jax.enable_x64(True):
        point = FIFTEEN.points(2)[0]
        yield point._replace(rewards=jnp.where(ENDS, point.rewards, -0.5))


def problem_at(point):
    log_probs = np.log(FIFTEEN.probabilities(point.reference))[None]
    reference = LogProbs(log_probs[:, ENDS], log_probs[:, ~ENDS])
    rewards = np.asarray(point.rewards)[None, ENDS]
    return Problem(reference, rewards, rewards, kl_weight=BETA, penalty=-0.5)


def probs_and_logits(policy):
    """The probability of each completion, and the logits of each token."""
    probs = np.empty(len(ENDS))
    probs[ENDS], probs[~ENDS] = (np.exp(part[0]) for part in policy)
    mass = np.zeros((FIFTEEN.num_prefixes, len(FIFTEEN.words)))
    np.add.at(mass, (FIFTEEN.prefixes, FIFTEEN.tokens), probs[:, None] * FIFTEEN.mask)
    return probs, jnp.log(jnp.asarray(mass))


@pytest.mark.parametrize("over_tokens", ["constant", "sequence_mean"])
def test_the_mean_update_over_all_groups_of_two_is_zero(point, over_tokens):
    """It is not zero at the fixed point for a price on whole completions."""
    dials = LossDials("group", over_tokens, "k3", "loss", clip=0.2)
    problem = problem_at(point)
    found = fixed_point_by_prefix(problem, False, over_tokens == "sequence_mean", 2)
    whole = groups.grpo_fixed_point(problem, False, 2)
    update = Update(by_jax(partial(group_loss, dials=dials)), size=2)

    def largest(policy):
        logits = probs_and_logits(policy)[1]
        return np.abs(update(point._replace(logits=logits))).max()

    assert largest(found) < 1e-9
    assert largest(whole.policy) > 1e-3


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("sequence_mean", [True, False])
def test_the_mean_gradient_of_the_loss_is_zero(point, divide, sequence_mean):
    """Groups are large: their mean and deviation are those of the policy."""
    weights = FIFTEEN.mask
    if sequence_mean:
        weights = weights / weights.sum(1, keepdims=True)

    @jax.grad
    def gradient(logits, probs, advantages, reference):
        log_probs = FIFTEEN.token_log_probs(logits)
        k3 = jnp.vectorize(objectives.kl_estimates)(log_probs, reference).k3
        ratios = jnp.exp(log_probs - jax.lax.stop_gradient(log_probs))
        charged = ratios * advantages[:, None] - BETA * k3
        return probs @ jnp.sum(weights * charged, axis=1)

    def largest(policy):
        probs, logits = probs_and_logits(policy)
        advantages = point.rewards - probs @ point.rewards
        if divide:
            advantages /= np.sqrt(probs @ advantages**2)
        reference = FIFTEEN.token_log_probs(point.reference)
        return np.abs(gradient(logits, probs, advantages, reference)).max()

    problem = problem_at(point)
    found = fixed_point_by_prefix(problem, divide, sequence_mean)
    assert largest(found) < 1e-8
    assert largest(groups.grpo_fixed_point(problem, divide).policy) > 1e-3


def test_small_groups_that_are_divided_lead_elsewhere(point):
    """The update over all groups of three, at the estimate from drawn groups."""
    dials = LossDials("standardized", "sequence_mean", "k3", "loss", clip=0.2)
    update = Update(by_jax(partial(group_loss, dials=dials)), size=3)

    def largest(policy):
        logits = probs_and_logits(policy)[1]
        return np.abs(update(point._replace(logits=logits))).max()

    problem, rng = problem_at(point), np.random.default_rng(0)
    assert largest(fixed_point_by_prefix(problem, size=3, rng=rng)) < 2e-3
    assert largest(fixed_point_by_prefix(problem)) > 1e-2


def one_token(probability, kl_weight):
    """The best completion ends at once, and two are cut off."""
    left = 1.0 - probability
    reference = LogProbs(np.log([[probability]]), np.log([[0.3 * left, 0.7 * left]]))
    return Problem(reference, np.ones((1, 1)), np.ones((1, 1)), kl_weight, 0.0)


@pytest.mark.parametrize("divide", [True, False])
def test_for_one_token_the_price_is_that_of_whole_completions(divide):
    problem = one_token(0.2, 0.6)
    found = fixed_point_by_prefix(problem, divide)
    whole = groups.grpo_fixed_point(problem, divide)
    assert_allclose(np.hstack(found), np.hstack(whole.policy), rtol=1e-7)


@pytest.mark.parametrize("kl_weight", [0.1, 2.0])
def test_a_rare_best_token_becomes_likely(kl_weight):
    """(r - m) / sd = sqrt((1 - p) / p) for the best, and its price is beta at most."""
    found = fixed_point_by_prefix(one_token(1e-9, kl_weight), True)
    likely = np.exp(found.ended)
    assert_allclose(likely, 1.0 / (1.0 + kl_weight**2), rtol=1e-6)


@pytest.mark.parametrize("divide", [True, False])
def test_a_large_price_leads_back_to_the_reference(rng, divide):
    problem = inputs.problem(rng, num_ended=7, num_cut_off=8)
    found = fixed_point_by_prefix(problem, divide)
    assert_allclose(sum(np.exp(each).sum(1) for each in found), 1.0, rtol=1e-9)
    assert exact.kl(found, problem.reference) > 0.05
    dear = problem._replace(kl_weight=1e4)
    found = fixed_point_by_prefix(dear, divide)
    assert_allclose(np.hstack(found), np.hstack(problem.reference), atol=1e-3)
