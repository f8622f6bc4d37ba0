"""Groups of completions, against every group written out, and gradients of the loss."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.losses.expected import Update, by_jax
from lm_bandit.losses.known import BETA, LossDials, group_loss
from lm_bandit.losses.tiny import FIFTEEN
from lm_bandit.oracle import exact, groups
from lm_bandit.oracle.exact import LogProbs
from policy_gradient import objectives
from tests.lm_bandit import inputs


def flat(policy):
    return np.concatenate(policy, axis=1)


def rewards_of(problem):
    """All rewards, [prompts, completions]; the last two completions are cut off."""
    return np.hstack([problem.learned, np.full((2, 2), problem.penalty)])


@pytest.mark.parametrize("divide", [True, False])
def test_a_prompts_weight_is_the_mean_over_all_groups_written_out(divide):
    """Of three completions two are right: the gradient is by their three logits."""
    logits = np.array([0.3, -1.0, 0.4])
    probs = np.exp(logits) / np.exp(logits).sum()
    rewards = np.array([1.0, 1.0, 0.0])
    update = np.zeros(3)
    for drawn in product(range(3), repeat=4):
        r = rewards[list(drawn)]
        advantages = r - r.mean()
        if divide:
            advantages = advantages / (r.std() or 1.0)
        scores = np.eye(3)[list(drawn)] - probs  # gradients of log pi
        update += probs[list(drawn)].prod() * (advantages @ scores) / 4
    success = probs @ rewards
    gradient = probs * (rewards - success)  # of the success
    weight = groups.prompt_weight(np.array([success]), 4, divide)
    assert_allclose(update, weight * gradient, rtol=1e-10)


def test_without_the_deviation_every_prompt_has_the_same_weight():
    success = np.array([0.001, 0.2, 0.5, 0.99])
    assert_allclose(groups.prompt_weight(success, 8, False), 7 / 8, rtol=1e-10)


def test_with_the_deviation_hard_and_easy_prompts_gain_weight():
    success = np.array([0.02, 0.1, 0.5, 0.9, 0.98])
    found = groups.prompt_weight(success, 500, True)
    assert_allclose(found, 1 / np.sqrt(success * (1 - success)), rtol=0.04)
    few = groups.prompt_weight(np.array([1e-9, 0.5]), 8, True)
    assert_allclose(few[0], np.sqrt(7), rtol=1e-6)  # a single right one of 8
    assert few[0] > few[1]


def test_the_reverse_kl_optimum_is_a_policy_and_none_is_better(rng):
    problem = inputs.problem(rng)
    weights = np.array([0.3, 1.1])
    best = groups.reverse_kl_optimum(problem, weights)
    assert_allclose(np.exp(flat(best)).sum(1), 1.0, rtol=1e-9)
    rewards = rewards_of(problem)
    reference = flat(problem.reference)

    def value(policy):
        log_probs = flat(policy)
        gain = (np.exp(log_probs) * rewards).sum(1)
        price = (np.exp(reference) * (reference - log_probs)).sum(1)
        return gain - weights * price

    for _ in range(20):
        assert (value(inputs.policy(rng)) < value(best)).all()
    near = flat(best) + 1e-3 * rng.normal(size=reference.shape)
    near -= np.log(np.exp(near).sum(1, keepdims=True))
    assert (value(LogProbs(near[:, :-2], near[:, -2:])) < value(best)).all()


@pytest.mark.parametrize("divide", [True, False])
def test_at_the_fixed_point_the_mean_gradient_of_grpos_loss_is_zero(rng, divide):
    """It is not zero at pi*, where the gradient of J is."""
    problem = inputs.problem(rng)
    rewards = rewards_of(problem)
    reference = flat(problem.reference)

    @jax.grad
    def gradient(logits, probs, advantages):
        log_probs = jax.nn.log_softmax(logits)
        k3 = jnp.vectorize(objectives.kl_estimates)(log_probs, reference).k3
        ratios = probs * jnp.exp(log_probs - jnp.log(probs))
        return jnp.sum(ratios * advantages - problem.kl_weight * probs * k3)

    def largest(policy):
        probs = np.exp(flat(policy))
        mean = (probs * rewards).sum(1, keepdims=True)
        advantages = rewards - mean
        if divide:
            advantages /= np.sqrt((probs * advantages**2).sum(1, keepdims=True))
        with jax.enable_x64(True):
            return np.abs(gradient(flat(policy), probs, advantages)).max()

    found = groups.grpo_fixed_point(problem, divide)
    assert largest(found.policy) < 1e-9
    assert largest(exact.optimum(problem)) > 1e-3
    assert exact.kl(found.policy, exact.optimum(problem)) > 1e-3
    if not divide:
        assert_allclose(found.kl_weights, problem.kl_weight)


def test_in_groups_of_two_dr_grpos_beta_is_twice_as_large():
    """All groups of two on 15 completions: the update is 0 at the fixed point.

    The mean of n completions contains the completion itself, so that the rewards count
    (n - 1) / n: beta is n / (n - 1) in effect. With large groups it is beta.
    """
    dials = LossDials(baseline="group", kl="k3", kl_in="loss", kl_of="completion")
    with jax.enable_x64(True):
        update = Update(by_jax(partial(group_loss, dials=dials)), size=2)
        point = FIFTEEN.points(1)[0]
        reference = np.log(FIFTEEN.probabilities(point.reference))[None]
        rewards = np.asarray(point.rewards)[None]
        problem = exact.Problem(
            LogProbs(reference[:, :-1], reference[:, -1:]),
            *[rewards[:, :-1]] * 2,
            kl_weight=BETA,
            penalty=rewards[0, -1],
        )

        def largest(size):
            """The update at the fixed point, as a table of tokens."""
            found = groups.grpo_fixed_point(problem, False, size)
            mass = np.zeros((FIFTEEN.num_prefixes, len(FIFTEEN.words)))
            probs = np.exp(flat(found.policy)).T * FIFTEEN.mask
            np.add.at(mass, (FIFTEEN.prefixes, FIFTEEN.tokens), probs)
            logits = jnp.log(jnp.asarray(mass))
            return np.abs(update(point._replace(logits=logits))).max()

        assert largest(2) < 1e-9
        assert largest(None) > 1e-3


def test_what_is_within_reach_keeps_its_proportions(rng):
    problem = inputs.problem(rng)
    likely = np.exp(problem.reference.ended) >= 0.12
    found = exact.within_reach(problem, 0.12)
    ended, cut_off = map(np.exp, found.reference)
    assert_allclose(ended.sum(1) + cut_off.sum(1), 1.0, rtol=1e-9)
    assert np.all((ended > 0) == likely)
    ratios = np.where(likely, ended / np.exp(problem.reference.ended), 0.0)
    cut_off_ratios = cut_off / np.exp(problem.reference.cut_off)
    assert_allclose(ratios, likely * cut_off_ratios[:, :1], rtol=1e-9)
    assert_allclose(cut_off_ratios, cut_off_ratios[:, :1] * np.ones(2), rtol=1e-9)
    assert likely.any()
    assert not likely.all()
