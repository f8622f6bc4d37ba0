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

from mdp import MDP
from policy_gradient.diagnostics import History
from policy_gradient.exact import performances
from policy_gradient.policies import tabulate
from policy_gradient.training import CHUNK, Learner, State

# The state, and pi(a|s) at the checkpoints: the present policy where one is to come.
Carry = tuple[State, Float[Array, "C S A"]]


class Trained(NamedTuple):
    """The result of `train_many`, with an axis of runs before all but checkpoints.

    The policy at a checkpoint is the one after the last update whose data fit in that
    many steps.
    """

    params: PyTree  # at the end
    history: History  # [n, updates]; runs that finished early went on with the others
    checkpoints: Int[np.ndarray, "C"]  # in environment steps
    policies: Float[np.ndarray, "n C S A"]  # pi(a|s)
    performance: Float[np.ndarray, "n C"]  # exact J of each policy


def train_many(
    keys: Key[Array, "n"],
    config: PyTree,
    learner: Callable[[PyTree], Learner],
    checkpoints: Int[np.ndarray, "C"],
    time_limit: int,
    report: Callable[[int, History], None] | None = None,
) -> Trained:
    """Train n runs side by side, each for `checkpoints[-1]` environment steps.

    Args:
        keys: one for each run.
        config: its floats may be arrays [n], one entry for each run.
        learner: returns the algorithm on its MDP, for one config.
        checkpoints: rising numbers of environment steps.
        time_limit: steps after which the J of an endless policy is cut off.
        report: called with the steps that every run has done, and the chunk's rows.
    """
    configs = jax.tree.map(
        lambda x: jnp.broadcast_to(jnp.asarray(x), (len(keys),)), config
    )
    start, update = _keeping_policies(learner, learner(config).mdp, checkpoints)

    @jax.jit
    @partial(jax.vmap, in_axes=(0, 0, 0, None))
    def run(
        carry: Carry, key: Key[Array, ""], config: PyTree, iterations: Int[Array, "n"]
    ) -> tuple[Carry, History]:
        def body(carry: Carry, iteration: Int[Array, ""]) -> tuple[Carry, History]:
            return update(carry, jax.random.fold_in(key, iteration), config)

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
    return Trained(
        params=state.params,
        history=jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *rows),
        checkpoints=np.asarray(checkpoints),
        policies=policies,
        performance=performances(learner(config).mdp, policies, time_limit),
    )


def _keeping_policies(
    learner: Callable[[PyTree], Learner], mdp: MDP, checkpoints: Int[np.ndarray, "C"]
) -> tuple[Callable[..., Carry], Callable[..., tuple[Carry, History]]]:
    """Return start and update of a learner that also keeps its policies."""

    def pi(params: PyTree, config: PyTree) -> Float[Array, "S A"]:
        tables = tabulate(learner(config).policy, params, mdp.num_states)
        return jnp.exp(tables.log_probs)

    def start(key: Key[Array, ""], config: PyTree) -> Carry:
        state = learner(config).start(key)
        return state, jnp.tile(pi(state.params, config), (len(checkpoints), 1, 1))

    def update(
        carry: Carry, key: Key[Array, ""], config: PyTree
    ) -> tuple[Carry, History]:
        state, kept = carry
        state, row = learner(config).update(state, key)
        fits = state.steps <= jnp.asarray(checkpoints)
        kept = jnp.where(fits[:, None, None], pi(state.params, config), kept)
        return (state, kept), row

    return start, update
