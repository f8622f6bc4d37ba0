"""Scores and people from the same answers, against each answer by itself."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.crowd import joint_pairwise_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(joint_pairwise_loss, (0, 2)))


def by_hand(chosen, rejected, logits, annotators):
    surprises = []
    for first, second, k in zip(chosen, rejected, annotators, strict=True):
        eta = 1 / (1 + np.exp(-logits[k]))
        p = 1 / (1 + np.exp(second - first))
        surprises.append(-np.log(eta * p + (1 - eta) * (1 - p)))
    return np.mean(surprises)


def test_each_answer_is_believed_as_far_as_who_gave_it(rng):
    """And its slopes, by finite differences in double precision."""
    chosen, rejected = rng.normal(0.0, 1.5, (2, 6))
    logits, who = rng.normal(0.0, 1.5, 3), rng.integers(3, size=6)
    given = array(chosen), array(rejected), array(logits), jnp.asarray(who)
    loss, (by_scores, by_people) = compiled(*given)
    assert_allclose(loss, by_hand(chosen, rejected, logits, who), rtol=1e-4)
    step = 1e-5
    for i in range(6):
        up = by_hand(chosen + step * np.eye(6)[i], rejected, logits, who)
        down = by_hand(chosen - step * np.eye(6)[i], rejected, logits, who)
        assert_allclose(by_scores[i], (up - down) / 2 / step, rtol=1e-3, atol=1e-5)
    for k in range(3):
        up = by_hand(chosen, rejected, logits + step * np.eye(3)[k], who)
        down = by_hand(chosen, rejected, logits - step * np.eye(3)[k], who)
        assert_allclose(by_people[k], (up - down) / 2 / step, rtol=1e-3, atol=1e-5)


def test_who_contradicts_the_scores_is_believed_less_and_inverted(rng):
    """To an upside-down crowd the upside-down scores are the same."""
    chosen, rejected = rng.normal([[3.0], [0.0]], 1.0, (2, 4))
    who = jnp.array([0, 0, 0, 1])
    sides = array(chosen), array(rejected)
    logits = array([0.5, -1.0])
    loss, _ = compiled(*sides, logits, who)
    inverted, _ = compiled(*sides[::-1], -logits, who)
    assert_allclose(inverted, loss, rtol=1e-4)
    contradicted = array([-3.0] * 4), array([0.0] * 4)
    _, (_, slopes) = compiled(*contradicted, logits, who)
    assert (slopes > 0).all(), "less trust makes the loss smaller"
