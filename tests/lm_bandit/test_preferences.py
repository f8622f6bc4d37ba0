"""What an answer says about the reward, against probabilities written out by hand."""

from itertools import combinations, permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.feedback import likelihoods as preferences

EXTREME = jnp.array([-200.0, 0.0, 200.0])


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


@pytest.fixture
def sides():
    return np.random.default_rng(0).normal(0.0, 2.0, (2, 5))


def test_a_tie_is_half_a_win_for_each_side_and_asks_for_no_margin(sides):
    tied = [False, True, False, False, True]
    surprises = []
    for chosen, rejected, tie in zip(*sides, tied, strict=True):
        d = chosen - rejected - (0.0 if tie else 0.7)
        t = 0.5 if tie else 0.9
        surprises.append(-t * np.log(sigmoid(d)) - (1 - t) * np.log(sigmoid(-d)))
    got = reward_model.soft_pairwise_loss(
        *map(jnp.asarray, sides), jnp.array(tied), margin=0.7, smoothing=0.1
    )
    assert_allclose(got, np.mean(surprises), rtol=1e-5)


def test_smoothing_is_satisfied_with_a_difference_of_its_own_log_odds():
    """Its optimum is d = log(t / (1 - t)); the plain loss has none."""

    def slope(difference, smoothing):
        loss = lambda d: reward_model.soft_pairwise_loss(  # noqa: E731
            jnp.array([d]), jnp.zeros(1), jnp.array([False]), smoothing=smoothing
        )
        return float(jax.grad(loss)(difference))

    optimum = np.log(0.95 / 0.05)
    assert_allclose(slope(optimum, 0.05), 0.0, atol=1e-6)
    assert slope(optimum - 0.1, 0.05) < -1e-3 < 1e-3 < slope(optimum + 0.1, 0.05)
    assert slope(optimum + 0.1, 0.0) < -1e-2


def test_an_unreliable_answer_is_a_mixture_of_what_was_meant_and_its_opposite(sides):
    reliability = np.array([0.95, 0.8, 0.5, 0.3, 0.05])
    p = sigmoid(sides[0] - sides[1])
    expected = -np.mean(np.log(reliability * p + (1 - reliability) * (1 - p)))
    loss = jax.value_and_grad(preferences.noisy_pairwise_loss)
    value, slope = loss(*map(jnp.asarray, sides), jnp.asarray(reliability))
    assert_allclose(value, expected, rtol=1e-5)
    assert (slope[:2] < 0).all(), "the honest push up what they chose"
    assert_allclose(slope[2], 0.0, atol=1e-7)  # a coin teaches nothing
    assert (slope[3:] > 0).all(), "the malicious push it down"


def test_all_pairwise_losses_are_one_where_answers_are_taken_at_their_word(sides):
    chosen, rejected = map(jnp.asarray, sides)
    plain = reward_model.pairwise_loss(chosen, rejected)
    both = jnp.stack([chosen, rejected], axis=1)
    for other in (
        reward_model.soft_pairwise_loss(chosen, rejected, jnp.zeros(5, bool)),
        preferences.noisy_pairwise_loss(chosen, rejected, jnp.ones(5)),
        preferences.ranking_loss(both),
        preferences.plackett_luce_loss(both),
        preferences.label_loss(chosen - rejected, jnp.ones(5, bool)),
    ):
        assert_allclose(other, plain, rtol=1e-6)


def test_the_pairs_of_a_ranking_share_the_weight_of_one_answer():
    scores = np.random.default_rng(1).normal(size=(3, 4))
    expected = np.mean(
        [
            np.mean(
                [
                    -np.log(sigmoid(row[i] - row[j]))
                    for i, j in combinations(range(4), 2)
                ]
            )
            for row in scores
        ]
    )
    assert_allclose(preferences.ranking_loss(jnp.asarray(scores)), expected, rtol=1e-5)


def test_plackett_and_luce_give_the_orders_of_four_probabilities_that_sum_to_1():
    """Each order drawn without replacement, in proportion to exp(score)."""
    scores = np.random.default_rng(2).normal(size=4)
    orders = np.array(list(permutations(range(4))))
    surprise = jax.vmap(lambda s: preferences.plackett_luce_loss(s[None]))
    probs = np.exp(-np.asarray(surprise(jnp.asarray(scores)[orders]), np.float64))
    for order, prob in zip(orders, probs, strict=True):
        expected, left = 1.0, list(np.exp(scores[order]))
        while left:
            expected *= left[0] / sum(left)
            left.pop(0)
        assert_allclose(prob, expected, rtol=1e-5)
    assert_allclose(probs.sum(), 1.0, rtol=1e-5)


def test_scores_are_read_on_each_annotators_scale():
    rng = np.random.default_rng(3)
    rewards, offsets = rng.normal(size=(2, 6))
    scales, scores = rng.uniform(0.5, 2.0, 6), rng.integers(1, 11, 6)
    expected = np.mean(
        [
            (s - (o + a * r)) ** 2
            for r, s, o, a in zip(rewards, scores, offsets, scales, strict=True)
        ]
    )
    arrays = map(jnp.asarray, (rewards, scores, offsets, scales))
    assert_allclose(preferences.score_loss(*arrays), expected, rtol=1e-5)


def test_ordinal_scores_are_up_to_k_with_the_probability_that_the_cuts_say():
    cuts = np.sort(np.random.default_rng(4).normal(0.0, 3.0, 9))
    surprise = jax.vmap(
        lambda s: preferences.ordinal_loss(jnp.array([0.6]), s[None], jnp.asarray(cuts))
    )
    probs = np.exp(-np.asarray(surprise(jnp.arange(1, 11)), np.float64))
    assert_allclose(np.cumsum(probs), [*sigmoid(cuts - 0.6), 1.0], rtol=1e-5)


def test_however_wrong_the_scores_are_every_loss_and_gradient_is_finite():
    zeros, no = jnp.zeros(3), jnp.zeros(3, bool)
    cuts = jnp.arange(9.0)
    for loss in (
        lambda x: reward_model.soft_pairwise_loss(x, zeros, no, smoothing=0.1),
        lambda x: preferences.noisy_pairwise_loss(x, zeros, jnp.full(3, 0.9)),
        lambda x: preferences.ranking_loss(jnp.stack([x, zeros, -x], axis=1)),
        lambda x: preferences.plackett_luce_loss(jnp.stack([x, zeros, -x], axis=1)),
        lambda x: preferences.ordinal_loss(x, jnp.array([10, 5, 1]), cuts),
        lambda x: preferences.label_loss(x, no),
    ):
        value, slope = jax.value_and_grad(loss)(EXTREME)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()
