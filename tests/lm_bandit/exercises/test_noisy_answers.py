"""The likelihood of answers that may have been turned around."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.feedback.likelihoods import noisy_pairwise_loss
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(noisy_pairwise_loss))


def test_an_answer_was_meant_or_turned_around(rng):
    chosen, rejected = rng.normal(0.0, 1.5, (2, 4))
    eta = rng.uniform(0.05, 0.95, 4)
    p = 1 / (1 + np.exp(rejected - chosen))
    loss, _ = compiled(array(chosen), array(rejected), array(eta))
    assert_allclose(loss, -np.mean(np.log(eta * p + (1 - eta) * (1 - p))), rtol=1e-4)


def test_the_malicious_push_the_other_way_and_a_coin_not_at_all(rng):
    """So the opposite answer of someone of 1 - eta is the same answer."""
    first, second = map(array, rng.normal(0.0, 1.5, (2, 3)))
    loss, slopes = compiled(first, second, array([0.9, 0.5, 0.2]))
    assert slopes[0] < 0 < slopes[2]
    assert_allclose(slopes[1], 0.0, atol=1e-6)
    opposite, _ = compiled(second, first, array([0.1, 0.5, 0.8]))
    assert_allclose(opposite, loss, rtol=1e-4)


def test_it_is_least_at_the_scores_that_were_not_turned_around(rng):
    """Of many answers, a share 1 - eta of them wrong: at d, not nearer to 0."""
    d, eta = rng.uniform(0.8, 2.0), 0.8
    p = 1 / (1 + np.exp(-d))
    said = eta * p + (1 - eta) * (1 - p)
    both = array([eta])
    _, up = compiled(array([d]), array([0.0]), both)
    _, down = compiled(array([0.0]), array([d]), both)
    assert_allclose(said * float(up[0]) - (1 - said) * float(down[0]), 0.0, atol=1e-5)


def test_who_never_errs_may_be_surprised_by_any_amount():
    loss, _ = compiled(array([-200.0]), array([200.0]), array([1.0]))
    assert_allclose(loss, 400.0, rtol=1e-5)
