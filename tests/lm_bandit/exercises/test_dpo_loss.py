"""DPO's loss, against the optimum that the reward has in closed form."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.alternatives.methods import dpo_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(dpo_loss))


def test_the_policy_is_judged_as_its_own_reward_model(rng):
    """exp(h) = (pi / pi_ref)^beta; the first wins with exp(h) / (exp(h) + exp(h'))."""
    (pi, ref), beta = rng.uniform(0.01, 0.6, (2, 2)), rng.uniform(0.1, 0.9)
    p = rng.uniform(0.05, 0.95)
    weights = (pi / ref) ** beta
    wins = weights[0] / weights.sum()
    expected = -p * np.log(wins) - (1 - p) * np.log(1 - wins)
    loss, _ = compiled(array(np.log(pi)), array(np.log(ref)), array(p), beta)
    assert_allclose(loss, expected, rtol=1e-4)


def test_at_the_optimum_of_rlhf_it_has_nothing_to_learn(rng):
    """pi* = pi_ref exp(r / beta) / Z, whatever Z is; the reference has."""
    reference, rewards = -rng.uniform(1.0, 9.0, 2), np.array([1.5, -0.2])
    beta, log_z = rng.uniform(0.1, 0.9), rng.normal()
    p = 1 / (1 + np.exp(rewards[1] - rewards[0]))
    optimum = reference + rewards / beta - log_z
    _, slopes = compiled(array(optimum), array(reference), array(p), beta)
    assert_allclose(slopes, 0.0, atol=1e-5)
    loss, slopes = compiled(array(reference), array(reference), array(p), beta)
    assert_allclose(loss, np.log(2.0), rtol=1e-5)
    assert_allclose(slopes, [-beta * (p - 0.5), beta * (p - 0.5)], rtol=1e-3)


def test_long_texts_may_be_off_by_hundreds_of_nats():
    given = array([-900.0, -100.0]), array([-300.0, -300.0]), array(1.0)
    loss, slopes = compiled(*given, 0.5)
    assert_allclose(loss, 400.0, rtol=1e-5)
    assert_allclose(slopes, [-0.5, 0.5], rtol=1e-5)
