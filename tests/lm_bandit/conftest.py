"""A world of five words, small enough to spell out, and a model with random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lm_bandit import transformer
from lm_bandit.ppo import Fixed
from lm_bandit.reward_model import RewardModel
from lm_bandit.transformer import TransformerConfig
from lm_bandit.world import World


@pytest.fixture(scope="session")
def tiny():
    """2 prompts, completions of at most 3 tokens: 31 of them end and 125 do not."""
    rng = np.random.default_rng(0)
    ratings = rng.integers(-4, 5, size=(6, 10)).astype(float)
    ratings[[0, 1, 5]] = 0.0
    return World(
        vocabulary=("<end>", "say:", "fine", "poor", "odd", "and"),
        prompts=np.array([[1, 5], [5, 1]], np.int32),
        signs=np.array([1, -1]),
        ratings=ratings,
        completion_length=3,
    )


@pytest.fixture(scope="session")
def model(tiny):
    config = TransformerConfig(num_layers=1, num_heads=2, d_model=8)
    return transformer.init(jax.random.key(0), 6, tiny.context, config)


@pytest.fixture(scope="session")
def fixed(tiny, model):
    """What PPO on the tiny world does not change; the scores are random ones."""
    head = jnp.asarray(np.random.default_rng(3).normal(size=8), jnp.float32)
    scorer = RewardModel(model, head, jnp.array(0.7))
    return Fixed(jnp.asarray(tiny.prompts), model, scorer)


@pytest.fixture(scope="session")
def policy(tiny):
    """Another model, far from the reference."""
    config = TransformerConfig(num_layers=1, num_heads=2, d_model=8)
    return transformer.init(jax.random.key(5), 6, tiny.context, config)


@pytest.fixture(params=range(3), ids="seed{}".format)
def rng(request):
    """A random generator; a test that asks for it runs with three fixed seeds."""
    return np.random.default_rng(request.param)
