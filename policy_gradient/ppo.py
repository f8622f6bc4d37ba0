"""PPO: epochs of minibatches on the same data, kept near the policy that drew it.

    L = E[ min(rho A, clip(rho, 1 - eps, 1 + eps) A) ]    rho = pi(a|s) / pi_old(a|s)

The surrogate allows more than one gradient step per batch; the clip takes away the
reward for moving a probability by more than a factor 1 +- eps. Without it (eps = inf)
many epochs run away with the policy. Advantages come from GAE and a critic.

Here: the batch, and what its actions were worth. How it is used is `improvement.py`,
which a language model shares.

Source: Schulman et al. (2017), eq. 7 and algorithm 1; Schulman et al. (2016) for GAE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree

from mdp import MDP
from mdp.interface import configs
from policy_gradient import diagnostics, policies, training
from policy_gradient.advantages import generalized_advantages, normalize
from policy_gradient.diagnostics import History
from policy_gradient.improvement import Batch, ImproveConfig, improve
from policy_gradient.policies import Policy, tabular_softmax, tabulate
from policy_gradient.rollout import Rollout, reset_many, rollout_many, to_jax
from policy_gradient.training import Learner, State
from policy_gradient.trajectory import Trajectory


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
        weights=trajectories.mask,
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)
