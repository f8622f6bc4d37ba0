"""The losses, cell by cell against the definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import objectives


@pytest.mark.parametrize("advantage", [2.0, -3.0])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.1, 1.5])
def test_the_clip_table(ratio, advantage):
    """A gradient flows unless the ratio has moved beyond the clip the right way.

    Schulman et al. (2017), figure 1: up and beyond 1 + eps with A > 0, down and beyond
    1 - eps with A < 0 are flat; the wrong way is never flat.
    """
    old = -1.3

    def surrogate(log_prob):
        return objectives.clipped_surrogate(
            log_prob, jnp.array(old), jnp.array(advantage), 0.2
        )

    value, slope = jax.value_and_grad(surrogate)(jnp.array(np.log(ratio) + old))
    bound = 1.2 if advantage > 0 else 0.8
    beyond = ratio > bound if advantage > 0 else ratio < bound
    assert_allclose(value, (bound if beyond else ratio) * advantage, rtol=1e-5)
    # d rho / d log pi = rho
    assert_allclose(slope, 0.0 if beyond else ratio * advantage, rtol=1e-5)


def test_the_clipped_surrogate_never_promises_more_than_the_plain_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        new, old, advantage = jnp.asarray(rng.normal(size=3))
        plain = jnp.exp(new - old) * advantage
        clipped = objectives.clipped_surrogate(new, old, advantage, 0.1)
        assert clipped <= plain + 1e-6


def test_the_score_function_treats_the_advantage_as_data():
    """The gradient of log pi A is A grad log pi, even where A depends on theta."""

    def objective(x):
        return objectives.score_function(x**2, 5.0 * x)

    assert_allclose(jax.grad(objective)(jnp.array(3.0)), 15.0 * 2 * 3.0)


def test_the_value_target_is_data():
    def loss(x):
        return objectives.value_loss(x, 2.0 * x)

    assert_allclose(loss(jnp.array(3.0)), 0.5 * 9.0)
    assert_allclose(jax.grad(loss)(jnp.array(3.0)), -3.0)


def test_entropy_is_log_n_when_uniform_and_0_when_certain():
    assert_allclose(objectives.entropy(jnp.log(jnp.full(5, 0.2))), np.log(5), rtol=1e-6)
    certain = jnp.array([0.0, -jnp.inf, -1e9])
    assert_allclose(objectives.entropy(certain), 0.0)
    assert np.all(np.isfinite(jax.grad(objectives.entropy)(jnp.array([0.0, -1e9]))))
