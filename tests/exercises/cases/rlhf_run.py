"""The training run of the sick runs without end: RLHF's third step, in seconds.

A healthy process makes the models of steps 1 and 2 once on this machine; later runs
read them. The settings are those of `sick_runs.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lm_bandit import bandit, ppo
from lm_bandit.config import (
    LanguageConfig,
    RewardConfig,
    RLHFConfig,
    TransformerConfig,
)
from lm_bandit.diagnostics import History, named_curves
from lm_bandit.pipeline import Prepared
from lm_bandit.prepared import SMALL, prepared
from lm_bandit.transformer import Transformer
from lm_bandit.world import World, pocket_world
from tests.exercises import sick_runs

MODELS = replace(
    SMALL,
    num_babble=2048,
    num_demonstrations=1024,
    num_comparisons=4096,
    model=TransformerConfig(num_layers=1, num_heads=1, d_model=16),
    pretraining=LanguageConfig(num_updates=80, batch_size=64),
    sft=LanguageConfig(num_updates=80, batch_size=64, step_size=5e-3),
    reward=RewardConfig(num_updates=150, step_size=5e-3),
)
SHOWN = (
    *("score", "reward", "objective", "kl", "length", "distinct", "entropy"),
    *("approx_kl", "clip_fraction", "first_ratio", "explained_variance", "loss"),
)
SAMPLED = (0, -1)  # prompts: one asks for praise, the other for a complaint


def run(way: str, seed: int) -> dict[str, list[Any]]:
    """The curves of a run by name, and "samples": lines of text by the last policy."""
    world, ready = models()
    config = RLHFConfig(**sick_runs.settings(way, seed))
    snapshots, history = _train(world, ready)(jax.random.key(seed), config)
    curves = named_curves(history)
    shown: dict[str, list[Any]] = {name: curves[name].tolist() for name in SHOWN}
    policy = jax.tree.map(lambda x: x[-1], snapshots)
    return shown | {"samples": _samples(world, policy, seed)}


def histories(way: str, seeds: Sequence[int]) -> dict[str, Float[np.ndarray, "S n"]]:
    """All curves of the runs from these seeds, by name."""
    world, ready = models()
    configs = [RLHFConfig(**sick_runs.settings(way, seed)) for seed in seeds]
    stacked = jax.tree.map(lambda *x: jnp.array(x), *configs)
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    train = _train(world, ready)
    return named_curves(jax.jit(jax.vmap(lambda *x: train(*x)[1]))(keys, stacked))


def models() -> tuple[World, Prepared]:
    """The world, and the models before step 3."""
    world = pocket_world()
    return world, prepared(world, MODELS)


def _train(world: World, ready: Prepared) -> Any:
    def train(key: Key[Array, ""], config: RLHFConfig) -> tuple[Transformer, History]:
        return ppo.train(key, ready.fixed, world.completion_length, config)

    return train


def _samples(world: World, policy: Transformer, seed: int) -> list[str]:
    key, length = jax.random.key(seed), world.completion_length
    pulls = bandit.pull_all(policy, key, jnp.asarray(world.prompts), 6, length)
    lines = []
    for i in SAMPLED:
        prompt = world.decode(world.prompts[i]).removesuffix(" ...")
        texts = [world.decode(text) for text in np.asarray(pulls.completions[i])]
        lines.append(f"{prompt}  |  " + "  |  ".join(texts))
    return lines
