"""Train many seeds side by side, and evaluate their policies exactly.

All seeds of all values of a sweep are one `vmap`. The policy of each is kept at chosen
numbers of environment steps, and its J is computed after the training, in float64.
Shapes: n runs, C checkpoints.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from policy_gradient.comparison.performances import performances
from policy_gradient.diagnostics import History
from policy_gradient.policies import tabulate
from policy_gradient.training import CHUNK, Learner


class Trained(NamedTuple):
    """What `train_many` returns, with an axis of learners before all but checkpoints.

    The policy at a checkpoint is that after the last update whose data fit in so many
    steps.
    """

    params: PyTree  # at the end
    history: History  # [n, updates]; those who were done early went on
    checkpoints: Int[np.ndarray, "C"]  # in environment steps
    policies: Float[np.ndarray, "n C S A"]  # pi(a|s)
    performance: Float[np.ndarray, "n C"]  # J of each, exactly


def train_many(
    keys: Key[Array, "n"],
    config: PyTree,
    learner: Callable[[PyTree], Learner],
    checkpoints: Int[np.ndarray, "C"],
    time_limit: int,
    report: Callable[[int, History], None] | None = None,
) -> Trained:
    """Train n times, side by side, each for `checkpoints[-1]` environment steps.

    Args:
        keys: one of each learner.
        config: its floats may be arrays [n], one of each learner.
        learner: the algorithm on its world, for one config.
        checkpoints: rising numbers of environment steps.
        time_limit: see `performances`.
        report: called with the steps that all have done, and the rows of the chunk.
    """
    n, num_states = len(keys), learner(config).mdp.num_states
    configs = jax.tree.map(lambda x: jnp.broadcast_to(jnp.asarray(x), (n,)), config)

    def pi(params, config):
        return jnp.exp(tabulate(learner(config).policy, params, num_states).log_probs)

    def start(key, config):
        state = learner(config).start(key)
        return state, jnp.tile(pi(state.params, config), (len(checkpoints), 1, 1))

    @jax.jit
    @partial(jax.vmap, in_axes=(0, 0, 0, None))
    def run(carry, key, config, iterations):
        def body(carry, iteration):
            state, kept = carry
            key_of_update = jax.random.fold_in(key, iteration)
            state, row = learner(config).update(state, key_of_update)
            fits = state.steps <= jnp.asarray(checkpoints)
            kept = jnp.where(fits[:, None, None], pi(state.params, config), kept)
            return (state, kept), row

        return jax.lax.scan(body, carry, iterations)

    start_keys, loop_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    carry = jax.jit(jax.vmap(start))(start_keys, configs)
    rows: list[History] = []
    while carry[0].steps.min() < checkpoints[-1]:
        iterations = jnp.arange(len(rows) * CHUNK, (len(rows) + 1) * CHUNK)
        carry, chunk = jax.block_until_ready(run(carry, loop_keys, configs, iterations))
        rows.append(jax.tree.map(np.asarray, chunk))
        if report is not None:
            done = min(int(carry[0].steps.min()), int(checkpoints[-1]))
            report(done, rows[-1])
    state, kept = carry
    policies = np.asarray(kept, np.float64)
    policies /= policies.sum(-1, keepdims=True)
    world = learner(config).mdp
    return Trained(
        params=state.params,
        history=jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *rows),
        checkpoints=np.asarray(checkpoints),
        policies=policies,
        performance=performances(world, policies, time_limit),
    )
