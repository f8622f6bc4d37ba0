"""TD errors, against the rows taken one at a time."""

import jax
import jax.numpy as jnp
from numpy.testing import assert_allclose

from policy_gradient import advantages
from tests.policy_gradient.exercises import inputs, oracles

mapped = jax.jit(jax.vmap(advantages.td_errors))


def test_it_is_what_came_beyond_what_was_expected(rng):
    """Of two trajectories at once: callers map it, and compile it."""
    both = [inputs.random_trajectory(rng) for _ in range(2)]
    together = mapped(jax.tree.map(lambda *x: jnp.stack(x), *both))
    for trajectory, errors in zip(both, together, strict=True):
        expected = oracles.td_errors(trajectory)
        assert_allclose(errors, expected, rtol=1e-5, atol=1e-5)


def test_nothing_is_expected_of_the_state_after_an_ending(rng):
    trajectory = inputs.random_trajectory(rng)
    ended = trajectory.discounts == 0
    other = trajectory._replace(
        next_values=jnp.where(ended, 1e6, trajectory.next_values)
    )
    expected = oracles.td_errors(trajectory)
    assert_allclose(advantages.td_errors(other), expected, rtol=1e-5, atol=1e-5)


def test_a_critic_that_is_right_is_not_surprised():
    """A reward of 1 for ever is worth 1 / (1 - gamma), also where time is up."""
    worth = 1 / (1 - 0.75)
    trajectory = inputs.trajectory(
        [1.0] * 9, [0.75] * 9, [1, 1, 0] * 3, [worth] * 9, [worth] * 9
    )
    assert_allclose(advantages.td_errors(trajectory), 0.0, atol=1e-6)
