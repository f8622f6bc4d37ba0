"""PPO: epochs of minibatches on the same data, kept near the policy that drew it.

    L = E[ min(rho A, clip(rho, 1 - eps, 1 + eps) A) ]    rho = pi(a|s) / pi_old(a|s)

The surrogate allows more than one gradient step per batch; the clip takes away the
reward for moving a probability by more than a factor 1 +- eps. Advantages come from
GAE and a critic.

`improve` knows nothing of environments: it takes any batch of observations, actions,
old log-probabilities and advantages. A transformer on prompts uses it as it is.

Source: Schulman et al. (2017), eq. 7 and algorithm 1; Schulman et al. (2016) for GAE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import objectives, training
from policy_gradient.advantages import generalized_advantages
from policy_gradient.configs import (
    require_divisor,
    require_in_unit_interval,
    require_positive,
)
from policy_gradient.policies import Evaluation, evaluate, tabular_softmax
from policy_gradient.rollout import reset, rollout, to_jax
from policy_gradient.trajectory import Trajectory


@dataclass(frozen=True)
class ImproveConfig:
    """How one batch is used (Schulman et al. 2017, section 5 and table 3)."""

    epochs: int = 4  # passes over the batch
    minibatches: int = 4  # gradient steps per pass
    clip: float = 0.2  # eps: how far a ratio may earn
    value_weight: float = 0.5  # c_1, of the critic's squared error
    entropy_weight: float = 0.0  # c_2, of the entropy bonus, in reward per nat

    def __post_init__(self):
        require_positive(self, "epochs", "minibatches", "clip")


@dataclass(frozen=True)
class PPOConfig(ImproveConfig):
    """PPO on a finite MDP."""

    num_updates: int = 300  # batches
    num_environments: int = 64  # side by side
    num_steps: int = 32  # of each environment in a batch
    time_limit: int = 200  # steps after which an episode is cut off
    step_size: float = 0.1  # of Adam, annealed to 0 linearly
    trace_decay: float = 0.9  # lambda of GAE
    entropy_weight: float = 0.2  # large: advantages are normalised to deviation 1

    def __post_init__(self):
        super().__post_init__()
        fields = "num_updates num_environments num_steps time_limit step_size"
        require_positive(self, *fields.split())
        require_in_unit_interval(self, "trace_decay")
        size = self.num_environments * self.num_steps
        require_divisor("minibatches", self.minibatches, "the batch size", size)


class Batch(NamedTuple):
    """Samples of the old policy, in any order; everything an improvement step needs."""

    observations: PyTree  # [samples, ...]
    actions: PyTree  # [samples, ...]
    log_probs: Float[Array, "samples"]  # of the policy that acted: never recomputed
    advantages: Float[Array, "samples"]
    value_targets: Float[Array, "samples"]


class Diagnostics(NamedTuple):
    """Means over the gradient steps of one improvement, but for `first_ratio`."""

    loss: Float[Array, "..."]
    entropy: Float[Array, "..."]  # of the policy, in nats
    approx_kl: Float[Array, "..."]  # KL(pi_old || pi): E[rho - 1 - log rho], >= 0
    clip_fraction: Float[Array, "..."]  # of samples whose ratio is out of range
    first_ratio: Float[Array, "..."]  # at the first minibatch: must be 1


class Metrics(NamedTuple):
    """One row per update."""

    reward: Float[Array, "..."]  # mean reward per step of the batch
    improvement: Diagnostics


def train(
    key: Key[Array, ""],
    mdp: MDP,
    config: PPOConfig,
    report: Callable[[int, Metrics], None] | None = None,
) -> tuple[PyTree, Metrics]:
    """Train a tabular softmax policy; returns its parameters and the history."""
    policy = tabular_softmax(mdp)
    table = to_jax(mdp)
    steps = config.num_updates * config.epochs * config.minibatches
    optimizer = optax.adam(optax.linear_schedule(config.step_size, 0.0, steps))
    params = policy.init()
    reset_key, loop_key = jax.random.split(key)
    uniforms = jax.random.uniform(reset_key, config.num_environments)
    positions = jax.vmap(reset, (0, None))(uniforms, table)
    state = (params, optimizer.init(params), positions)
    advance = partial(
        update, mdp=table, policy=policy, optimizer=optimizer, config=config
    )
    (params, _, _), history = training.loop(
        loop_key, state, advance, config.num_updates, report
    )
    return params, history


def update(state, key, *, mdp, policy, optimizer, config):
    """One iteration: collect a batch, estimate its advantages, improve the policy."""
    params, optimizer_state, positions = state
    rollout_key, improve_key = jax.random.split(key)
    trajectories, positions = collect(
        params, rollout_key, positions, mdp, policy, config
    )
    batch = estimate(trajectories, config)
    params, optimizer_state, diagnostics = improve(
        (params, optimizer_state),
        improve_key,
        batch,
        partial(evaluate, policy),
        optimizer,
        config,
    )
    metrics = Metrics(trajectories.rewards.mean(), diagnostics)
    return (params, optimizer_state, positions), metrics


def collect(params, key, positions, mdp, policy, config):
    """The next steps of every environment, [environments, time]."""

    def one(key, position):
        return rollout(
            params, key, position, mdp, policy, config.num_steps, config.time_limit
        )

    keys = jax.random.split(key, config.num_environments)
    return jax.vmap(one)(keys, positions)


def estimate(trajectories: Trajectory, config: PPOConfig) -> Batch:
    """GAE, the critic's targets, and normalised advantages, as one flat batch."""
    advantages = jax.vmap(generalized_advantages, (0, None))(
        trajectories, config.trace_decay
    )
    # The target is made of the advantage before it is normalised.
    targets = advantages + trajectories.values
    batch = Batch(
        trajectories.observations,
        trajectories.actions,
        trajectories.log_probs,
        normalize(advantages),
        targets,
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def normalize(advantages: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Mean 0 and standard deviation 1: the step size stops depending on the rewards."""
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


def improve(
    state: tuple[PyTree, PyTree],
    key: Key[Array, ""],
    batch: Batch,
    evaluate: Callable[[PyTree, PyTree, PyTree], Evaluation],
    optimizer: optax.GradientTransformation,
    config: ImproveConfig,
) -> tuple[PyTree, PyTree, Diagnostics]:
    """Epochs of shuffled minibatches on one batch (Schulman et al. 2017, algorithm 1).

    `evaluate(params, observation, action)` is of one sample. The batch must divide into
    `config.minibatches`.
    """
    size = batch.log_probs.shape[0]

    def descend(state, indices):
        params, optimizer_state = state
        minibatch = jax.tree.map(lambda x: x[indices], batch)
        gradient, diagnostics = jax.grad(loss, has_aux=True)(
            params, minibatch, evaluate, config
        )
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state), diagnostics

    # A fresh key for every epoch: the same shuffle twice is the same minibatches twice.
    epoch_keys = jax.random.split(key, config.epochs)
    orders = jax.vmap(jax.random.permutation, (0, None))(epoch_keys, size)
    minibatches = orders.reshape(config.epochs * config.minibatches, -1)
    state, diagnostics = jax.lax.scan(descend, state, minibatches)
    means = jax.tree.map(jnp.mean, diagnostics)
    return *state, means._replace(first_ratio=diagnostics.first_ratio[0])


def loss(
    params: PyTree,
    batch: Batch,
    evaluate: Callable[[PyTree, PyTree, PyTree], Evaluation],
    config: ImproveConfig,
) -> tuple[Scalar, Diagnostics]:
    """Minus the clipped surrogate, plus the critic's error, minus the entropy bonus."""
    now = jax.vmap(partial(evaluate, params))(batch.observations, batch.actions)
    surrogates = jax.vmap(objectives.clipped_surrogate, (0, 0, 0, None))(
        now.log_prob, batch.log_probs, batch.advantages, config.clip
    )
    value_losses = jax.vmap(objectives.value_loss)(now.value, batch.value_targets)
    total = (
        -surrogates.mean()
        + config.value_weight * value_losses.mean()
        - config.entropy_weight * now.entropy.mean()
    )
    log_ratios = now.log_prob - batch.log_probs
    ratios = jnp.exp(log_ratios)
    return total, Diagnostics(
        loss=total,
        entropy=now.entropy.mean(),
        approx_kl=jnp.mean(ratios - 1.0 - log_ratios),
        clip_fraction=jnp.mean(jnp.abs(ratios - 1.0) > config.clip),
        first_ratio=ratios.mean(),
    )
