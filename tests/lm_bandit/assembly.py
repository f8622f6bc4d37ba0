"""A tiny RLHF with random models, for those who put its parts together."""

import contextlib
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lm_bandit import bandit, diagnostics, ppo, sft
from lm_bandit.config import RLHFConfig
from lm_bandit.ppo import ActorCritic, Fixed, State
from lm_bandit.reward_model import RewardModel
from lm_bandit.reward_table import RewardTable
from tests.lm_bandit import inputs

LENGTH = 3  # tokens of a completion, at most
PARTS = {  # of an iteration, each a program: the next iteration finds them
    part.__name__: (part, jax.jit(part, static_argnames=static))
    for part, static in (
        (bandit.pull, ("count", "length")),
        (ppo.score_pulls, ()),
        (ppo.reward_pulls, ()),
        (ppo.compare_pulls, ()),
        (ppo.loss, ()),
        (ppo.evaluate_completions, ()),
        (diagnostics.measure_pulls, ()),
    )
}
INSIDE = tuple(  # what the parts call of other modules
    (module, name, jax.jit(getattr(module, name)))
    for module, name in ((sft, "loss"), (optax, "apply_updates"), (optax.tree, "norm"))
)


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

    The reward is a table of the 1 + 4 + 16 completions that end. The pretraining texts
    are all equal, so that it does not matter which are drawn.
    """
    policy, reference, trunk = (inputs.model(3 * seed + i) for i in range(3))
    rng = np.random.default_rng(seed)
    prompts = jnp.array([[1, 4], [4, 1]])
    scores = inputs.array(rng.normal(0.0, 2.0, (2, 21)))
    texts = sft.as_texts(np.tile(rng.integers(1, 4, LENGTH + 2), (2, 1)))
    table = RewardTable(prompts, scores, jnp.array(4))
    fixed = Fixed(prompts, reference, table, texts)
    critic = None
    if config.baseline == "value":
        critic = RewardModel(trunk, inputs.array(rng.normal(size=4)), jnp.array(0.5))
    params = ActorCritic(policy, critic)
    used = jax.tree.map(
        lambda x: jnp.asarray(np.asarray(x) + x.dtype.type(1)), optimizer.init(params)
    )
    state = State(params, used, jnp.array(0.4))
    return Iteration(state, jax.random.key(seed), fixed, LENGTH, optimizer, config)


def run(start, update=None):
    """Return what an update, by default the book's, makes of its start."""
    update = update or ppo.update
    spaces = (
        vars(ppo),
        vars(diagnostics),
        getattr(update, "function", update).__globals__,
    )
    with contextlib.ExitStack() as stack:
        for space in spaces:
            known = {
                name: new
                for name, (old, new) in PARTS.items()
                if space.get(name) is old
            }
            stack.enter_context(mock.patch.dict(space, known))
        for place in INSIDE:
            stack.enter_context(mock.patch.object(*place))
        stack.enter_context(mock.patch.object(jax.lax, "scan", scan))
        return update(*start)


def compiled(optimizer):
    """Return an optimizer whose start and whose update are one program each."""
    return optimizer._replace(
        init=jax.jit(optimizer.init), update=jax.jit(optimizer.update)
    )


def scan(step, carry, xs, reverse=False):
    """Return what `jax.lax.scan` returns, by a loop: nothing new is compiled."""
    numbers = range(len(jax.tree.leaves(xs)[0]))
    outputs = {}
    for i in reversed(numbers) if reverse else numbers:
        carry, outputs[i] = step(carry, jax.tree.map(lambda x, i=i: x[i], xs))
    in_order = (outputs[i] for i in numbers)
    return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *in_order)
