"""GAE, against sums that are written out term by term."""

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose

from policy_gradient import advantages
from tests.policy_gradient.exercises import inputs, oracles

mapped = jax.jit(jax.vmap(advantages.generalized_advantages, (0, None)))


@pytest.mark.parametrize("trace_decay", [0.0, 0.6, 1.0])
def test_it_is_the_sum_of_decayed_td_errors_within_the_episode(rng, trace_decay):
    """Of two trajectories at once: callers map it, and compile it."""
    both = [inputs.random_trajectory(rng) for _ in range(2)]
    together = mapped(jax.tree.map(lambda *x: jnp.stack(x), *both), trace_decay)
    for trajectory, got in zip(both, together, strict=True):
        expected = oracles.generalized_advantages(trajectory, trace_decay)
        assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_nothing_is_expected_of_the_state_after_an_ending(rng):
    trajectory = inputs.random_trajectory(rng)
    ended = trajectory.discounts == 0
    other = trajectory._replace(
        next_values=jnp.where(ended, 1e6, trajectory.next_values)
    )
    with jax.disable_jit():
        got = advantages.generalized_advantages(other, 0.8)
    expected = oracles.generalized_advantages(trajectory, 0.8)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
