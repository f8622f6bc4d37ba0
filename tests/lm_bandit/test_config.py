"""Settings of PPO: what they refuse, and the steps that the optimizer takes."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from lm_bandit.config import RLHFConfig


def test_a_config_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="kl_weight must be positive, got 0"):
        RLHFConfig(kl_weight=0.0)
    with pytest.raises(ValueError, match="pulls must be at least 2, got 1"):
        RLHFConfig(pulls=1)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_step_size_rises_and_then_keeps_its_schedule(schedule):
    """Of a gradient that stays the same, Adam takes steps of exactly the step size."""
    config = RLHFConfig(
        num_updates=10,
        epochs=2,
        minibatches=1,
        step_size=0.5,
        schedule=schedule,
        warm_up=0.1,
    )
    optimizer, gradient = config.optimizer(), jnp.array([0.1])
    state, steps = optimizer.init(gradient), []
    for _ in range(20):
        step, state = optimizer.update(gradient, state)
        steps.append(-float(step[0]))
    rising, left = np.array([0.0, 0.5]), np.arange(18) / 18
    falling = {
        "constant": np.ones(18),
        "linear": 1 - left,
        "cosine": (1 + np.cos(np.pi * left)) / 2,
    }[schedule]
    assert_allclose(steps, 0.5 * np.append(rising, falling), rtol=1e-4)


def test_a_long_gradient_is_cut_to_the_norm_that_is_allowed():
    config = RLHFConfig(max_gradient_norm=0.5)
    optimizer, gradient = config.optimizer(), jnp.array([30.0, 40.0])
    _, state = optimizer.update(gradient, optimizer.init(gradient))
    first_moment = optax.tree_utils.tree_get(state, "mu")
    assert_allclose(first_moment, 0.1 * np.array([0.3, 0.4]), rtol=1e-5)
