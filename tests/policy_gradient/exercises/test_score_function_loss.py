"""The loss of the score function, against products step by step."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises import inputs, oracles
from tests.policy_gradient.exercises.inputs import array

loss_and_gradients = jax.jit(jax.value_and_grad(objectives.score_function_loss, (0, 1)))


def test_it_is_minus_the_sum_of_products_on_average_over_episodes(rng):
    case = inputs.episodes(rng)
    loss, _ = loss_and_gradients(*case.values())
    expected = oracles.score_function_loss(*map(np.asarray, case.values()))
    assert_allclose(loss, expected, rtol=1e-4, atol=1e-5)


def test_each_action_is_pulled_by_its_own_advantage_which_is_data(rng):
    case = inputs.episodes(rng)
    _, (by_log_probs, by_advantages) = loss_and_gradients(*case.values())
    pull = np.asarray(case["weights"]) * np.asarray(case["advantages"]) / 3
    assert_allclose(by_log_probs, -pull, rtol=1e-5, atol=1e-6)
    assert_allclose(by_advantages, 0.0)


def test_what_stands_on_padding_does_not_count(rng):
    case = inputs.episodes(rng)
    loss, _ = loss_and_gradients(*case.values())
    happened = np.asarray(case["weights"]) > 0
    for name in ("log_probs", "advantages"):
        other = array(np.where(happened, np.asarray(case[name]), 77.0))
        again, _ = loss_and_gradients(*(case | {name: other}).values())
        assert_allclose(again, loss, rtol=1e-5)
