"""Use a batch: one gradient step on all of it, or epochs of minibatches.

    theta  <-  theta - step of the optimiser along grad loss(theta)

Nothing here knows of environments: the loss is an argument, and the batch holds any
observations and actions. REINFORCE and actor-critic take one step for each batch. PPO
takes many, both for a table on a finite MDP and for a transformer on prompts; there a
row is a whole completion, as one action or as many.

Source: Schulman et al. (2017), section 5 and algorithm 1.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, Key, PyTree, Scalar

from policy_gradient import diagnostics
from policy_gradient.config import ImproveConfig
from policy_gradient.devices import split
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.policies import Evaluate
from policy_gradient.trajectory import Batch

Loss = Callable[[PyTree, Batch], tuple[Scalar, Diagnostics]]
FurtherLoss = Callable[[PyTree, Batch, Key[Array, ""]], Scalar]
Carry = tuple[PyTree, optax.OptState, Bool[Array, ""]]  # whether steps go on


class Improvement(NamedTuple):
    """The result of an update."""

    params: PyTree
    optimizer_state: optax.OptState
    diagnostics: Diagnostics


def gradient_step(
    params: PyTree,
    optimizer_state: optax.OptState,
    batch: Batch,
    loss: Loss,
    evaluate: Evaluate,
    optimizer: optax.GradientTransformation,
) -> Improvement:
    """Take one gradient step on the whole batch.

    The approximate KL is measured after the step, everything else before it.
    """
    batch = split(batch)
    gradient, measured = jax.grad(loss, has_aux=True)(params, batch)
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    params = optax.apply_updates(params, updates)
    after = evaluate(params, batch.observations, batch.actions)
    measured = measured._replace(
        approx_kl=diagnostics.approximate_kl(
            after.log_prob, batch.log_probs, batch.weights
        ),
        gradient_norm=optax.tree.norm(gradient),
    )
    return Improvement(params, optimizer_state, measured)


def improve(
    params: PyTree,
    optimizer_state: optax.OptState,
    key: Key[Array, ""],
    batch: Batch,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    config: ImproveConfig,
    further_loss: FurtherLoss | None = None,
) -> Improvement:
    """Take gradient steps on shuffled minibatches, for some epochs.

    Loop for each minibatch of each epoch (`shuffled_minibatches` has their rows):
        g      <-  grad loss(theta, minibatch), which `optimizer.update` makes a step
        theta  <-  theta + step, unless the loss's approx_kl exceeds config.kl_limit

    Once the approximate KL exceeds the limit, no further step is taken. The diagnostics
    are means over the steps, except for the first ratio, and for the explained
    variance, which is that of the whole batch.

    Source: Schulman et al. (2017), algorithm 1.

    Args:
        params: what the loss is differentiated by.
        optimizer_state: the optimiser's own numbers for them.
        key: of the shuffles, and of the keys that `further_loss` gets.
        batch: its number of rows must be a multiple of `config.minibatches`.
        loss: of a minibatch.
        optimizer: turns gradients into steps.
        config: epochs, minibatches and kl_limit are read.
        further_loss: is added to the loss, but not to its diagnostics; it gets a new
            key in each gradient step.
    """

    def total(
        params: PyTree, minibatch: Batch, key: Key[Array, ""]
    ) -> tuple[Scalar, Diagnostics]:
        value, measured = loss(params, minibatch)
        if further_loss is not None:
            value += further_loss(params, minibatch, key)
        return value, measured

    def descend(
        carry: Carry, step: tuple[Int[Array, "samples"], Key[Array, ""]]
    ) -> tuple[Carry, Diagnostics]:
        params, optimizer_state, goes_on = carry
        indices, step_key = step
        minibatch = split(jax.tree.map(lambda x: x[indices], batch))
        gradient, measured = jax.grad(total, has_aux=True)(params, minibatch, step_key)
        updates, next_state = optimizer.update(gradient, optimizer_state, params)
        moved = optax.apply_updates(params, updates), next_state
        goes_on &= measured.approx_kl <= config.kl_limit
        kept = jax.tree.map(partial(jnp.where, goes_on), moved, carry[:2])
        norm = optax.tree.norm(gradient)
        return (*kept, goes_on), measured._replace(gradient_norm=norm)

    rows = len(batch.log_probs)
    minibatches = shuffled_minibatches(key, rows, config.epochs, config.minibatches)
    step_keys = jax.random.split(jax.random.fold_in(key, 1), len(minibatches))
    (params, optimizer_state, _), measured = jax.lax.scan(
        descend, (params, optimizer_state, jnp.array(True)), (minibatches, step_keys)
    )
    explained_variance = diagnostics.explained_variance(
        batch.values, batch.value_targets, batch.weights
    )
    means = jax.tree.map(jnp.mean, measured)._replace(
        explained_variance=explained_variance, first_ratio=measured.first_ratio[0]
    )
    return Improvement(params, optimizer_state, means)


def shuffled_minibatches(
    key: Key[Array, ""], size: int, epochs: int, minibatches: int
) -> Int[Array, "steps samples"]:
    """Return the indices of each gradient step: each sample once an epoch, shuffled.

    The samples are numbered 0, ..., size - 1. A row is a minibatch, of
    size / minibatches samples; the rows of the first epoch come first. Every epoch
    has an order of its own.
    Source: Schulman et al. (2017), algorithm 1, "minibatch size M <= NT".
    """
    # Each number is random, except for its last digits, which are an index. Sorting the
    # numbers shuffles the indices, ten times faster than `jax.random.permutation`.
    digits = (size - 1).bit_length()
    # New numbers for every epoch: one shuffle for all repeats the same minibatches.
    numbers = jax.random.bits(key, (epochs, size)) >> digits << digits
    orders = jnp.sort(numbers | jnp.arange(size, dtype=numbers.dtype))
    indices = (orders & (2**digits - 1)).astype(int)
    return indices.reshape(epochs * minibatches, size // minibatches)
