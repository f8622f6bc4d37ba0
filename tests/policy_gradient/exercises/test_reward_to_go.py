"""The reward-to-go, against sums that are written out term by term."""

import jax
import jax.numpy as jnp
from numpy.testing import assert_allclose

from policy_gradient import advantages
from tests.policy_gradient.exercises import inputs, oracles

mapped = jax.jit(jax.vmap(advantages.reward_to_go))


def test_each_step_is_credited_with_what_followed_it_in_its_episode(rng):
    """Of two trajectories at once: callers map it, and compile it."""
    both = [inputs.random_trajectory(rng) for _ in range(2)]
    together = mapped(jax.tree.map(lambda *x: jnp.stack(x), *both))
    for trajectory, returns in zip(both, together, strict=True):
        expected = oracles.rewards_to_go(trajectory)
        assert_allclose(returns, expected, rtol=1e-5, atol=1e-5)


def test_what_the_critic_believes_does_not_count(rng):
    trajectory = inputs.random_trajectory(rng)
    other = trajectory._replace(
        values=trajectory.values + 50.0, next_values=trajectory.next_values - 50.0
    )
    with jax.disable_jit():
        returns = advantages.reward_to_go(other)
    expected = oracles.rewards_to_go(trajectory)
    assert_allclose(returns, expected, rtol=1e-5, atol=1e-5)
