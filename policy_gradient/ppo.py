"""PPO: epochs of minibatches on the same data, kept near the policy that drew it.

    L = E[ min(rho A, clip(rho, 1 - eps, 1 + eps) A) ]    rho = pi(a|s) / pi_old(a|s)

The surrogate allows more than one gradient step per batch; the clip takes away the
reward for moving a probability by more than a factor 1 +- eps. Without it (eps = inf)
many epochs run away with the policy. Advantages come from GAE and a critic.

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
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import configs, diagnostics, objectives, policies, training
from policy_gradient.advantages import generalized_advantages, normalize
from policy_gradient.diagnostics import Diagnostics, History
from policy_gradient.policies import Evaluation, Policy, tabular_softmax, tabulate
from policy_gradient.rollout import Rollout, reset_many, rollout_many, to_jax
from policy_gradient.training import Learner, State
from policy_gradient.trajectory import Trajectory


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


@configs.sweepable
@dataclass(frozen=True)
class PPOConfig(ImproveConfig):
    """PPO on a finite MDP."""

    num_updates: int = 200  # batches
    num_environments: int = 64  # side by side
    num_steps: int = 16  # of each environment in a batch
    time_limit: int = 200  # steps after which an episode is cut off
    step_size: float = 0.2  # of Adam, annealed to 0 linearly
    trace_decay: float = 0.9  # lambda of GAE (Schulman et al. 2016)
    normalize_advantages: bool = True  # over the batch, as in the authors' code
    entropy_weight: float = 0.7  # times (share of the updates left)^2: first explore

    def __post_init__(self):
        super().__post_init__()
        fields = "num_updates num_environments num_steps time_limit step_size"
        configs.require_positive(self, *fields.split())
        configs.require_in_unit_interval(self, "trace_decay")
        size = self.num_environments * self.num_steps
        configs.require_divisor("minibatches", self.minibatches, "the batch", size)


class Batch(NamedTuple):
    """Samples of the old policy, in any order; everything an improvement step needs."""

    observations: PyTree  # [samples, ...]
    actions: PyTree  # [samples, ...]
    log_probs: Float[Array, "samples"]  # of the policy that acted: never recomputed
    values: Float[Array, "samples"]  # of the critic that acted; 0 without one
    advantages: Float[Array, "samples"]
    value_targets: Float[Array, "samples"]


def train(
    key: Key[Array, ""],
    mdp: MDP,
    config: PPOConfig,
    policy: Policy | None = None,
    report: Callable[[int, History], None] | None = None,
) -> tuple[PyTree, History]:
    """Train a policy, tabular if none is given; returns its parameters and history."""
    learns = learner(mdp, config, policy)
    return training.train(key, learns, config.num_updates, report)


def learner(mdp: MDP, config: PPOConfig, policy: Policy | None = None) -> Learner:
    """PPO on this world: how it starts, and what one update does."""
    policy, table = policy or tabular_softmax(mdp), to_jax(mdp)
    num_steps = config.num_updates * config.epochs * config.minibatches
    optimizer = optax.adam(optax.linear_schedule(config.step_size, 0.0, num_steps))

    def start(key: Key[Array, ""]) -> State:
        init_key, reset_key = jax.random.split(key)
        params = policy.init(init_key)
        positions = reset_many(reset_key, table, config.num_environments)
        return State(params, optimizer.init(params), jnp.zeros((), int), positions)

    advance = partial(
        update, mdp=table, policy=policy, optimizer=optimizer, config=config
    )
    return Learner(mdp, policy, start, advance)


def update(state, key, *, mdp, policy, optimizer, config) -> tuple[State, History]:
    """One iteration: collect a batch, estimate its advantages, improve the policy."""
    params, optimizer_state, steps, positions = state
    rollout_key, improve_key = jax.random.split(key)
    trajectories, positions, finished = collect(
        params, rollout_key, positions, mdp, policy, config
    )
    batch = estimate(trajectories, config)
    steps += trajectories.rewards.size
    left = 1.0 - steps / (config.num_updates * trajectories.rewards.size)
    entropy_weight = config.entropy_weight * left**2
    annealed = configs.altered(config, "entropy_weight", entropy_weight)

    def evaluate(params, states, actions):
        tables = tabulate(policy, params, mdp.num_states)
        return policies.evaluate(tables, states, actions)

    state = params, optimizer_state
    params, optimizer_state, measured = improve(
        state, improve_key, batch, evaluate, optimizer, annealed
    )
    history = History(steps, diagnostics.mean_where_known(finished), *measured)
    return State(params, optimizer_state, steps, positions), history


def collect(params, key, positions, mdp, policy, config) -> Rollout:
    """The next steps of every environment, [environments, time]."""
    tables = tabulate(policy, params, mdp.num_states)
    limits = config.num_steps, config.time_limit
    return rollout_many(tables, key, positions, mdp, *limits)


def estimate(trajectories: Trajectory, config: PPOConfig) -> Batch:
    """GAE and the critic's targets, as one flat batch."""
    advantages = jax.vmap(generalized_advantages, (0, None))(
        trajectories, config.trace_decay
    )
    batch = Batch(
        trajectories.observations,
        trajectories.actions,
        trajectories.log_probs,
        trajectories.values,
        normalize(advantages) if config.normalize_advantages else advantages,
        # Made of the advantage before it is normalised.
        value_targets=advantages + trajectories.values,
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def improve(
    state: tuple[PyTree, PyTree],
    key: Key[Array, ""],
    batch: Batch,
    evaluate: Callable[[PyTree, PyTree, PyTree], Evaluation],
    optimizer: optax.GradientTransformation,
    config: ImproveConfig,
) -> tuple[PyTree, PyTree, Diagnostics]:
    """Epochs of shuffled minibatches on one batch (Schulman et al. 2017, algorithm 1).

    `evaluate` is of a whole minibatch; `config.minibatches` must divide the batch.
    """

    def descend(carry, indices):
        state, goes_on = carry
        params, optimizer_state = state
        minibatch = jax.tree.map(lambda x: x[indices], batch)
        gradient, measured = jax.grad(loss, has_aux=True)(
            params, minibatch, evaluate, config
        )
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        moved = optax.apply_updates(params, updates), optimizer_state
        goes_on &= measured.approx_kl <= config.kl_limit
        state = jax.tree.map(partial(jnp.where, goes_on), moved, state)
        norm = optax.tree.norm(gradient)
        return (state, goes_on), measured._replace(gradient_norm=norm)

    sizes = len(batch.log_probs), config.epochs, config.minibatches
    minibatches = shuffled_minibatches(key, *sizes)
    (state, _), measured = jax.lax.scan(descend, (state, True), minibatches)
    means = jax.tree.map(jnp.mean, measured)
    explained = diagnostics.explained_variance(
        batch.values, batch.value_targets, jnp.ones_like(batch.values)
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
    """Minus the surrogate, plus the critic's error, minus the entropy bonus."""
    now = evaluate(params, batch.observations, batch.actions)
    probs = now.log_prob, batch.log_probs
    clipped = jax.vmap(objectives.clipped_surrogate, (0, 0, 0, None))
    surrogates = clipped(*probs, batch.advantages, config.clip)
    if config.clip_values:
        clipped = jax.vmap(objectives.clipped_value_loss, (0, 0, 0, None))
        errors = clipped(now.value, batch.values, batch.value_targets, config.clip)
    else:
        errors = jax.vmap(objectives.value_loss)(now.value, batch.value_targets)
    total = (
        -surrogates.mean()
        + config.value_weight * errors.mean()
        - config.entropy_weight * now.entropy.mean()
    )
    ratios = jax.vmap(objectives.importance_ratio)(*probs)
    return total, Diagnostics(
        loss=total,
        entropy=now.entropy.mean(),
        approx_kl=diagnostics.approximate_kl(*probs, jnp.ones_like(ratios)),
        clip_fraction=jnp.mean(jnp.abs(ratios - 1.0) > config.clip),
        explained_variance=0.0 * total,  # of the whole batch: see improve
        gradient_norm=0.0 * total,  # known only after it
        first_ratio=ratios.mean(),
    )
