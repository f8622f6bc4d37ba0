"""PPO's improvement step: epochs of minibatches on one batch, kept near its policy.

    L = E[ min(rho A, clip(rho, 1 - eps, 1 + eps) A) ]    rho = pi(a|s) / pi_old(a|s)

It knows nothing of environments: it takes any batch of observations, actions, old
log-probabilities and advantages. A table on a finite MDP uses it, and a transformer on
prompts: there a row is a whole completion, one action or many.

Source: Schulman et al. (2017), eqs. 7 and 9, and algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar

from mdp.interface import configs
from policy_gradient import diagnostics, objectives
from policy_gradient.diagnostics import Diagnostics
from policy_gradient.policies import Evaluation
from policy_gradient.trajectory import masked_mean


@configs.sweepable
@dataclass(frozen=True)
class ImproveConfig:
    """How one batch is used (Schulman et al. 2017, section 5 and table 3)."""

    epochs: int = 4  # passes over the batch
    minibatches: int = 4  # gradient steps per pass
    clip: float = 0.2  # eps: how far a ratio may earn; inf is eq. 6, without a clip
    clip_values: bool = False  # the critic too, as in the authors' code, by eps
    kl_limit: float = 1e9  # no step beyond it, in nats (Spinning Up has 0.015)
    value_weight: float = 0.5  # c_1 of eq. 9, of the critic's squared error
    entropy_weight: float = 0.0  # c_2 of eq. 9, of the entropy, in reward per nat

    def __post_init__(self):
        configs.require_positive(self, "epochs", "minibatches", "clip", "kl_limit")
        configs.require_not_negative(self, "value_weight", "entropy_weight")


class Batch(NamedTuple):
    """Rows by the old policy, in any order: what an improvement step needs.

    A row is one sample, or several: *n are the tokens of a text, or nothing.
    """

    observations: PyTree  # [rows, ...]
    actions: PyTree  # [rows, ...]
    log_probs: Float[Array, "rows *n"]  # of the policy that acted: never recomputed
    values: Float[Array, "rows *n"]  # of the critic that acted; 0 without one
    advantages: Float[Array, "rows *n"]
    value_targets: Float[Array, "rows *n"]
    weights: Float[Array, "rows *n"]  # of each sample in its row's sum; 0 on padding


def improve(
    state: tuple[PyTree, PyTree],
    key: Key[Array, ""],
    batch: Batch,
    evaluate: Callable[[PyTree, PyTree, PyTree], Evaluation],
    optimizer: optax.GradientTransformation,
    config: ImproveConfig,
    further: Callable[[PyTree, Batch, Key[Array, ""]], Scalar] | None = None,
) -> tuple[PyTree, PyTree, Diagnostics]:
    """Epochs of shuffled minibatches on one batch (Schulman et al. 2017, algorithm 1).

    `evaluate` is of a whole minibatch, and so is `further`, a loss to be added to
    PPO's, with a key for each step. `config.minibatches` must divide the batch.
    """

    def total(params, minibatch, key):
        value, measured = loss(params, minibatch, evaluate, config)
        return value + (further(params, minibatch, key) if further else 0.0), measured

    def descend(carry, step):
        state, goes_on = carry
        indices, key = step
        params, optimizer_state = state
        minibatch = jax.tree.map(lambda x: x[indices], batch)
        gradient, measured = jax.grad(total, has_aux=True)(params, minibatch, key)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        moved = optax.apply_updates(params, updates), optimizer_state
        goes_on &= measured.approx_kl <= config.kl_limit
        state = jax.tree.map(partial(jnp.where, goes_on), moved, state)
        norm = optax.tree.norm(gradient)
        return (state, goes_on), measured._replace(gradient_norm=norm)

    sizes = len(batch.log_probs), config.epochs, config.minibatches
    minibatches = shuffled_minibatches(key, *sizes)
    keys = jax.random.split(jax.random.fold_in(key, 1), len(minibatches))
    (state, _), measured = jax.lax.scan(descend, (state, True), (minibatches, keys))
    means = jax.tree.map(jnp.mean, measured)
    explained = diagnostics.explained_variance(
        batch.values, batch.value_targets, batch.weights
    )
    first = measured.first_ratio[0]
    return *state, means._replace(explained_variance=explained, first_ratio=first)


def shuffled_minibatches(
    key: Key[Array, ""], size: int, epochs: int, minibatches: int
) -> Int[Array, "steps samples"]:
    """The indices of each gradient step: every sample once an epoch, in a new order.

    Every number is random but for its last digits, an index: in the order of the
    numbers the indices are shuffled, ten times faster than `jax.random.permutation`.
    """
    digits = (size - 1).bit_length()
    # New numbers for every epoch: the same shuffle twice is the same minibatches twice.
    numbers = jax.random.bits(key, (epochs, size)) >> digits << digits
    orders = jnp.sort(numbers | jnp.arange(size, dtype=numbers.dtype))
    indices = (orders & (2**digits - 1)).astype(int)
    return indices.reshape(epochs * minibatches, size // minibatches)


def loss(
    params: PyTree,
    batch: Batch,
    evaluate: Callable[[PyTree, PyTree, PyTree], Evaluation],
    config: ImproveConfig,
) -> tuple[Scalar, Diagnostics]:
    """Minus the surrogate, plus the critic's error, minus the entropy bonus.

    Of each, the weighted sum over a row, and the mean over the rows.
    """
    now = evaluate(params, batch.observations, batch.actions)
    of_actions = batch.log_probs, batch.advantages, batch.weights
    total = objectives.clipped_surrogate_loss(now.log_prob, *of_actions, config.clip)
    now, old = jax.tree.map(
        jnp.ravel, (now, batch._replace(observations=(), actions=()))
    )
    if config.clip_values:
        clipped = jax.vmap(objectives.clipped_value_loss, (0, 0, 0, None))
        errors = clipped(now.value, old.values, old.value_targets, config.clip)
    else:
        errors = jax.vmap(objectives.value_loss)(now.value, old.value_targets)
    probs = now.log_prob, old.log_probs
    ratios = jax.vmap(objectives.importance_ratio)(*probs)
    outside = (jnp.abs(ratios - 1.0) > config.clip).astype(float)

    def mean(x):
        return jnp.sum(old.weights * x) / len(batch.weights)

    total += config.value_weight * mean(errors)
    total -= config.entropy_weight * mean(now.entropy)
    return total, Diagnostics(
        loss=total,
        entropy=masked_mean(now.entropy, old.weights),
        approx_kl=diagnostics.approximate_kl(*probs, old.weights),
        clip_fraction=masked_mean(outside, old.weights),
        explained_variance=0.0 * total,  # of the whole batch: see improve
        gradient_norm=0.0 * total,  # known only after it
        first_ratio=masked_mean(ratios, old.weights),
    )
