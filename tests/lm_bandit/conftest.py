"""A world of five words, small enough to spell out, and a model with random weights.

The fixtures import what they need, so that a test that needs none of them starts fast.
"""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def tiny():
    """2 prompts, completions of at most 3 tokens: 31 of them end and 125 do not."""
    from lm_bandit.world import World

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


def _transformer(tiny, seed):
    import jax

    from lm_bandit import transformer

    config = transformer.TransformerConfig(num_layers=1, num_heads=2, d_model=8)
    return transformer.init(jax.random.key(seed), 6, tiny.context, config)


@pytest.fixture(scope="session")
def model(tiny):
    """The reference."""
    return _transformer(tiny, 0)


@pytest.fixture(scope="session")
def policy(tiny):
    """Another model, far from the reference."""
    return _transformer(tiny, 5)


@pytest.fixture(scope="session")
def scorer(model):
    """A reward model whose head is random."""
    import jax.numpy as jnp

    from lm_bandit.reward_model import RewardModel

    head = jnp.asarray(np.random.default_rng(3).normal(size=8), jnp.float32)
    return RewardModel(model, head, jnp.array(0.7))


@pytest.fixture(scope="session")
def fixed(tiny, model, scorer):
    """Everything that PPO on the tiny world does not change."""
    import jax.numpy as jnp

    from lm_bandit.ppo import Fixed

    return Fixed(jnp.asarray(tiny.prompts), model, scorer)


@pytest.fixture(scope="session")
def everything(tiny):
    """All 156 completions of a prompt, [156, 3]: 31 end, 125 are cut off."""
    from lm_bandit.oracle.trie import ended_completions

    cut_off = np.stack(np.indices((5, 5, 5)), axis=-1).reshape(-1, 3) + 1
    return np.concatenate([ended_completions(tiny), cut_off])


@pytest.fixture(scope="session")
def problem(tiny, fixed):
    """The problem that RLHF has on the tiny world, with every completion listed."""
    from lm_bandit import bandit
    from lm_bandit.oracle import exact, trie

    return exact.Problem(
        reference=trie.policy_log_probs(fixed.reference, tiny),
        gold=bandit.gold_scores(tiny, trie.ended_completions(tiny)),
        learned=trie.learned_scores(fixed.reward_model, tiny),
        kl_weight=0.4,
        penalty=-2.0,
    )


@pytest.fixture(params=range(2), ids="seed{}".format)
def rng(request):
    """A random generator; a test that asks for it runs with two fixed seeds."""
    return np.random.default_rng(request.param)
