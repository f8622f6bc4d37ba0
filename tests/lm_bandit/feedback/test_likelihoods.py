"""The likelihoods of answers, against probabilities that are written out in numpy."""

from itertools import combinations, permutations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback import likelihoods
from tests.lm_bandit.inputs import array

noisy_loss = jax.jit(jax.value_and_grad(likelihoods.noisy_pairwise_loss))
ranking_loss = jax.jit(jax.value_and_grad(likelihoods.ranking_loss))
plackett_luce_loss = jax.jit(jax.value_and_grad(likelihoods.plackett_luce_loss))
score_loss = jax.jit(jax.value_and_grad(likelihoods.score_loss, (0, 2, 3)))
ordinal_loss = jax.jit(jax.value_and_grad(likelihoods.ordinal_loss))
correction_loss = jax.jit(jax.value_and_grad(likelihoods.correction_loss, (0, 1)))
label_loss = jax.jit(jax.value_and_grad(likelihoods.label_loss))
critique_loss = jax.jit(jax.value_and_grad(likelihoods.critique_loss))


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_an_unreliable_answer_was_meant_or_reversed(rng):
    chosen, rejected = rng.normal(0.0, 1.5, (2, 4))
    eta, p = rng.uniform(0.05, 0.95, 4), sigmoid(chosen - rejected)
    loss, _ = noisy_loss(array(chosen), array(rejected), array(eta))
    assert_allclose(loss, -np.mean(np.log(eta * p + (1 - eta) * (1 - p))), rtol=1e-4)


def test_malicious_answers_push_the_other_way_and_random_ones_not_at_all(rng):
    """An answer of reliability eta equals the opposite answer of 1 - eta."""
    first, second = map(array, rng.normal(0.0, 1.5, (2, 3)))
    loss, slopes = noisy_loss(first, second, array([0.9, 0.5, 0.2]))
    assert slopes[0] < 0 < slopes[2]
    assert_allclose(slopes[1], 0.0, atol=1e-6)
    opposite, _ = noisy_loss(second, first, array([0.1, 0.5, 0.8]))
    assert_allclose(opposite, loss, rtol=1e-4)


def test_the_noisy_loss_is_least_at_the_scores_without_errors(rng):
    """If a share 1 - eta of the answers is wrong, the optimum is still d."""
    d, eta = rng.uniform(0.8, 2.0), 0.8
    p = eta * sigmoid(d) + (1 - eta) * sigmoid(-d)
    _, up = noisy_loss(array([d]), array([0.0]), array([eta]))
    _, down = noisy_loss(array([0.0]), array([d]), array([eta]))
    assert_allclose(p * float(up[0]) - (1 - p) * float(down[0]), 0.0, atol=1e-5)


def test_the_noisy_loss_is_finite_where_a_reliable_annotator_contradicts():
    loss, _ = noisy_loss(array([-200.0]), array([200.0]), array([1.0]))
    assert_allclose(loss, 400.0, rtol=1e-5)


def test_all_pairs_of_a_ranking_weigh_together_as_much_as_one_comparison(rng):
    scores = rng.normal(0.0, 1.5, (3, 4))
    losses = [
        np.log1p(np.exp(row[j] - row[i]))
        for row in scores
        for i, j in combinations(range(4), 2)
    ]
    assert_allclose(ranking_loss(array(scores))[0], np.sum(losses) / 6 / 3, rtol=1e-4)


def test_a_ranking_lifts_its_first_and_does_not_know_a_constant(rng):
    scores = rng.normal(0.0, 1.5, (3, 4))
    loss, slopes = ranking_loss(array(scores))
    shifted, _ = ranking_loss(array(scores + rng.normal(0.0, 3.0, (3, 1))))
    assert_allclose(shifted, loss, rtol=1e-4)
    assert (slopes[:, 0] < 0).all()
    assert (slopes[:, -1] > 0).all()
    assert_allclose(slopes.sum(1), 0.0, atol=1e-5)


def test_the_ranking_loss_is_finite_however_wrong_the_scores_are():
    """Three pairs are wrong by 100, 200 and 100."""
    loss, slopes = ranking_loss(array([[-100.0, 0.0, 100.0]]))
    assert_allclose(loss, 400.0 / 3, rtol=1e-5)
    assert np.isfinite(slopes).all()


def test_the_orders_of_three_are_drawn_without_replacement_and_sum_to_1(rng):
    scores = rng.normal(0.0, 1.5, 3)
    total = 0.0
    for order in permutations(range(3)):
        expected, left = 1.0, list(np.exp(scores[list(order)]))
        while left:
            expected *= left[0] / sum(left)
            left.pop(0)
        prob = np.exp(-float(plackett_luce_loss(array([scores[list(order)]]))[0]))
        assert_allclose(prob, expected, rtol=1e-4)
        total += prob
    assert_allclose(total, 1.0, rtol=1e-4)


def test_the_plackett_luce_loss_is_a_mean_over_rankings(rng):
    scores = rng.normal(0.0, 1.5, (4, 3))
    alone = [float(plackett_luce_loss(array([row]))[0]) for row in scores]
    assert_allclose(plackett_luce_loss(array(scores))[0], np.mean(alone), rtol=1e-4)


def test_the_plackett_luce_loss_is_finite_however_wrong_the_scores_are():
    """The best completion is chosen last: the choices are wrong by 200 and 100."""
    loss, slopes = plackett_luce_loss(array([[-100.0, 0.0, 100.0]]))
    assert_allclose(loss, 300.0, rtol=1e-5)
    assert np.isfinite(slopes).all()


def test_the_score_loss_is_the_squared_error_on_each_annotators_scale(rng):
    rewards, offsets = rng.normal(0.0, 1.0, 4), rng.normal(5.0, 1.0, 4)
    scores, scales = rng.integers(1, 11, 4), rng.uniform(0.5, 2.0, 4)
    answers = zip(scores, offsets, scales, rewards, strict=True)
    errors = np.array([s - (a + b * r) for s, a, b, r in answers])
    loss, slopes = score_loss(
        array(rewards), jnp.asarray(scores), array(offsets), array(scales)
    )
    assert_allclose(loss, np.mean(errors**2), rtol=1e-4)
    expected = np.multiply(-0.5, [errors * scales, errors, errors * rewards])
    for slope, by_hand in zip(slopes, expected, strict=True):
        assert_allclose(slope, by_hand, rtol=1e-3, atol=1e-5)


def test_a_score_of_at_most_k_has_the_probability_that_the_cut_says(rng):
    """And the ten probabilities sum to 1."""
    reward, cuts = rng.normal(), np.sort(rng.normal(0.0, 2.0, 9))
    losses = [
        float(ordinal_loss(array([reward]), jnp.array([score]), array(cuts))[0])
        for score in range(1, 11)
    ]
    expected = [*sigmoid(cuts - reward), 1.0]
    assert_allclose(np.cumsum(np.exp(np.negative(losses))), expected, rtol=1e-3)


def test_the_ordinal_loss_is_a_mean_over_answers(rng):
    rewards, scores = rng.normal(0.0, 2.0, 3), rng.integers(1, 11, 3)
    cuts = array(np.linspace(-4.0, 4.0, 9))
    alone = [
        float(ordinal_loss(array([r]), jnp.array([s]), cuts)[0])
        for r, s in zip(rewards, scores, strict=True)
    ]
    loss, _ = ordinal_loss(array(rewards), jnp.asarray(scores), cuts)
    assert_allclose(loss, np.mean(alone), rtol=1e-4)


def test_the_ordinal_loss_of_an_unexpected_score_is_large_and_finite():
    """Far away, log P falls by 1 for each step of the reward."""
    cuts = array(np.arange(-4.0, 5.0))
    for reward, sign in ((50.0, 1), (-50.0, -1)):
        near, _ = ordinal_loss(array([reward]), jnp.array([5]), cuts)
        far, slope = ordinal_loss(array([reward + 7 * sign]), jnp.array([5]), cuts)
        assert_allclose(far - near, 7.0, rtol=1e-4)
        assert_allclose(slope, [float(sign)], rtol=1e-4)


def test_the_label_loss_is_the_mean_of_minus_log_probability(rng):
    rewards, okay = rng.normal(0.0, 1.5, 5), np.array([1, 0, 1, 0, 0], bool)
    p = sigmoid(rewards)
    loss, slopes = label_loss(array(rewards), jnp.asarray(okay))
    assert_allclose(loss, -np.mean(np.log(np.where(okay, p, 1 - p))), rtol=1e-4)
    assert_allclose(slopes, (p - okay) / 5, rtol=1e-3, atol=1e-6)


def test_the_label_loss_is_finite_however_wrong_the_rewards_are():
    loss, slopes = label_loss(array([-200.0, 200.0]), jnp.array([True, False]))
    assert_allclose(loss, 200.0, rtol=1e-5)
    assert_allclose(slopes, [-0.5, 0.5], rtol=1e-5)


def test_a_correction_compares_the_edit_with_the_original_where_it_changed_something():
    """Of three answers one changed nothing; one contradicts the scores strongly."""
    edited, original = [2.0, 0.5, -200.0], [0.5, 0.5, 200.0]
    changed = jnp.array([True, False, True])
    loss, (up, down) = correction_loss(array(edited), array(original), changed)
    p = sigmoid(1.5)
    assert_allclose(loss, (-np.log(p) + 400.0) / 3, rtol=1e-5)
    assert_allclose(up, [(p - 1.0) / 3, 0.0, -1 / 3], atol=1e-6)
    assert_allclose(down, -up, atol=1e-6)
    nothing, _ = correction_loss(array([0.3]), array([0.3]), jnp.array([False]))
    assert nothing == 0.0


def test_a_critique_chooses_one_of_the_edits_that_exist_or_none(rng):
    """The options of each answer are listed by hand: the first of them was chosen."""
    scores = rng.normal(0.0, 1.5, (3, 4))
    scores[1, 1] = scores[1, 0]  # nothing is criticised: the original
    okay = np.array([False, True, False])
    possible = np.array([[True, False], [True, True], [False, False]])
    options = ([0, 1, 2], [0, 2, 3], [0, 1])
    expected, slopes = 0.0, np.zeros((3, 4))
    for i, columns in enumerate(options):
        probs = np.exp(scores[i, columns])
        probs /= probs.sum()
        expected -= np.log(probs[0]) / 3
        slopes[i, columns] = probs / 3
        slopes[i, 0] -= 1 / 3
    loss, got = critique_loss(array(scores), jnp.array(okay), jnp.array(possible))
    assert_allclose(loss, expected, rtol=1e-4)
    assert_allclose(got, slopes, atol=1e-5)


def test_the_critique_loss_is_finite_however_wrong_the_scores_are():
    scores, none = array([[-200.0, 200.0, 0.0]]), jnp.array([[False]])
    loss, slopes = critique_loss(scores, jnp.array([False]), none)
    assert_allclose(loss, 400.0, rtol=1e-5)
    assert_allclose(slopes, [[-1.0, 1.0, 0.0]], atol=1e-6)
