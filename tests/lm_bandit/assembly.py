"""A tiny RLHF with random models, for those who put its parts together."""

from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lm_bandit import generate, ppo, reward_model, transformer
from lm_bandit.config import RLHFConfig
from lm_bandit.ppo import ActorCritic, Fixed, State
from lm_bandit.reward_model import RewardModel
from lm_bandit.reward_table import RewardTable
from tests.lm_bandit import inputs

FORWARD = jax.jit(transformer.forward)
EVALUATE = jax.jit(ppo.evaluate_completions)
LENGTH = 3  # tokens of a completion, at most


class Iteration(NamedTuple):
    """What an iteration starts from."""

    state: State
    key: jax.Array
    fixed: Fixed
    length: int
    optimizer: optax.GradientTransformation
    config: RLHFConfig


def iteration(seed, config, optimizer):
    """Policy, reference and critic differ; beta has adapted, the optimizer has stepped.

    The reward is a table of the 1 + 4 + 16 completions that end.
    """
    policy, reference, trunk = (inputs.model(3 * seed + i) for i in range(3))
    rng = np.random.default_rng(seed)
    prompts = jnp.array([[1, 4], [4, 1]])
    scores = inputs.array(rng.normal(0.0, 2.0, (2, 21)))
    fixed = Fixed(prompts, reference, RewardTable(prompts, scores, jnp.array(4)))
    critic = None
    if config.baseline == "value":
        critic = RewardModel(trunk, inputs.array(rng.normal(size=4)), jnp.array(0.5))
    params = ActorCritic(policy, critic)
    used = jax.tree.map(lambda x: x + x.dtype.type(1), optimizer.init(params))
    state = State(params, used, jnp.array(0.4))
    return Iteration(state, jax.random.key(seed), fixed, LENGTH, optimizer, config)


def run(start, update=None):
    """Return what an update, by default the book's, makes of its start.

    The models' parts are compiled one by one, so that the next update finds them.
    """
    with (
        mock.patch.object(generate, "forward", FORWARD),
        mock.patch.object(reward_model, "forward", FORWARD),
        mock.patch.object(ppo, "evaluate_completions", EVALUATE),
        mock.patch.object(jax.lax, "scan", scan),
    ):
        return (update or ppo.update)(*start)


def scan(step, carry, xs, reverse=False):
    """Return what `jax.lax.scan` returns, by a loop: nothing new is compiled."""
    numbers = range(len(jax.tree.leaves(xs)[0]))
    outputs = {}
    for i in reversed(numbers) if reverse else numbers:
        carry, outputs[i] = step(carry, jax.tree.map(lambda x, i=i: x[i], xs))
    in_order = (outputs[i] for i in numbers)
    return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *in_order)
