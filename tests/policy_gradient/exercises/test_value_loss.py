"""The loss of the critic, and the way it points."""

import jax
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises.inputs import array

loss_and_gradients = jax.jit(jax.value_and_grad(objectives.value_loss, (0, 1)))


def test_it_is_half_of_the_squared_error(rng):
    for value, target in rng.normal(0.0, 3.0, (3, 2)):
        loss, _ = loss_and_gradients(array(value), array(target))
        assert_allclose(loss, (value - target) ** 2 / 2, rtol=1e-4, atol=1e-6)


def test_the_value_moves_towards_the_target_which_is_data(rng):
    for value, target in rng.normal(0.0, 3.0, (3, 2)):
        _, (by_value, by_target) = loss_and_gradients(array(value), array(target))
        assert_allclose(by_value, value - target, rtol=1e-4, atol=1e-5)
        assert by_target == 0.0
