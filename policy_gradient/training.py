"""The training loop: a Python loop over compiled chunks of a `scan` over updates.

An algorithm on a world is a `Learner`: how it starts, and what one update does. The key
of update i is folded from i itself, so the size of a chunk changes nothing.

`train` is pure: `vmap` it over keys, or over the floats of a config. `train_many` does
so for a given number of environment steps, keeps the policy at chosen moments, and
evaluates each of these exactly, after the training and in float64.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from mdp import MDP
from policy_gradient.comparison.performances import performances
from policy_gradient.diagnostics import History
from policy_gradient.policies import Policy, tabular_softmax, tabulate
from policy_gradient.rollout import reset_many, to_jax

CHUNK = 20  # updates between two reports


class State(NamedTuple):
    """What an update changes."""

    params: PyTree
    optimizer_state: optax.OptState
    steps: Int[Array, ""]  # of all environments, since training began
    positions: PyTree  # where the environments stand; () if each batch starts anew


class Learner(NamedTuple):
    """An algorithm on an MDP."""

    mdp: MDP
    policy: Policy
    start: Callable[[Key[Array, ""]], State]
    update: Callable[[State, Key[Array, ""]], tuple[State, History]]


class AlgorithmConfig(Protocol):
    """What `make_learner` reads of a config."""

    @property
    def num_environments(self) -> int | None:
        """Environments that run on from batch to batch, or None if each starts anew."""

    def make_optimizer(self) -> optax.GradientTransformation:
        """Return what turns gradients into steps."""


Update = Callable[
    [State, Key[Array, ""], MDP, Policy, optax.GradientTransformation, Any],
    tuple[State, History],
]


def make_learner(
    update: Update,
    mdp: MDP,
    policy: Policy | None,
    config: AlgorithmConfig,
) -> Learner:
    """Return an algorithm on an MDP, with a tabular policy if none is given."""
    policy, table = policy or tabular_softmax(mdp), to_jax(mdp)
    optimizer = config.make_optimizer()

    def start(key: Key[Array, ""]) -> State:
        if config.num_environments is None:
            params, positions = policy.init(key), ()
        else:
            init_key, reset_key = jax.random.split(key)
            params = policy.init(init_key)
            positions = reset_many(reset_key, table, config.num_environments)
        return State(params, optimizer.init(params), jnp.zeros((), int), positions)

    def advance(state: State, key: Key[Array, ""]) -> tuple[State, History]:
        return update(state, key, table, policy, optimizer, config)

    return Learner(mdp, policy, start, advance)


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


def train(
    key: Key[Array, ""],
    learner: Learner,
    num_updates: int,
    report: Callable[[int, History], None] | None = None,
) -> tuple[PyTree, History]:
    """Train once; returns the parameters and the history. Pure without a `report`."""
    start_key, loop_key = jax.random.split(key)
    start = learner.start(start_key)
    state, history = loop(loop_key, start, learner.update, num_updates, report)
    return state.params, history


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


def loop(
    key: Key[Array, ""],
    state: PyTree,
    update: Callable[[PyTree, Key[Array, ""]], tuple[PyTree, Any]],
    num_updates: int,
    report: Callable[[int, Any], None] | None = None,
    chunk: int = CHUNK,
) -> tuple[PyTree, Any]:
    """Apply `update` `num_updates` times; returns the last state and all metrics.

    `report(done, metrics)` is called after each chunk with that chunk's metrics.
    """

    @jax.jit
    def run(state, key, iterations):
        def body(state, iteration):
            return update(state, jax.random.fold_in(key, iteration))

        return jax.lax.scan(body, state, iterations)

    if report is None:  # one compiled whole, which `vmap` can map over seeds
        return run(state, key, jnp.arange(num_updates))
    history = []
    for start in range(0, num_updates, chunk):
        iterations = jnp.arange(start, min(start + chunk, num_updates))
        state, metrics = jax.block_until_ready(run(state, key, iterations))
        report(start + len(iterations), metrics)
        history.append(metrics)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *history)
