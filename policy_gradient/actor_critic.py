"""Actor-critic: do not wait for the end, ask the critic what is still to come.

    A_t   =  delta_t + gamma lambda delta_{t+1} + ...           the actor's advantage
    v(S_t)  <-  v(S_t) + alpha [ A_t + v(S_t) - v(S_t) ]         the critic's target

A few steps of many environments make a batch, and each batch one gradient step. The
target A_t + v(S_t) is the lambda-return, which looks no further than the batch does.
One file, therefore, for three algorithms:

    num_steps = 1                     one-step actor-critic (S&B p. 332)
    num_steps = n, trace_decay = 1    advantage actor-critic, A2C (Mnih et al. 2016)
    num_steps = n, trace_decay < 1    TD(lambda) critic, GAE for the actor

What is bootstrapped is biased as long as the critic is wrong; what is sampled is noisy.
The trace decay lambda goes from the one to the other.

Source: Sutton & Barto (2018), section 13.5 and eq. 12.9; Mnih et al. (2016), algorithm
S3; Schulman et al. (2016), eq. 16.
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
from mdp.interface.configs import (
    require_in_unit_interval,
    require_not_negative,
    require_positive,
    sweepable,
)
from policy_gradient import diagnostics, objectives, training
from policy_gradient.advantages import generalized_advantages
from policy_gradient.diagnostics import History, mean_where_known
from policy_gradient.policies import (
    Evaluation,
    Policy,
    evaluate,
    tabular_softmax,
    tabulate,
)
from policy_gradient.rollout import Rollout, reset_many, rollout_many, to_jax
from policy_gradient.training import Learner, State
from policy_gradient.trajectory import Trajectory


@sweepable
@dataclass(frozen=True)
class ActorCriticConfig:
    """Actor-critic on a finite MDP."""

    num_updates: int = 2000  # gradient steps
    num_environments: int = 16  # side by side
    num_steps: int = 8  # n, of each environment in a batch
    time_limit: int = 200  # steps after which an episode is cut off
    step_size: float = 0.05  # of Adam
    trace_decay: float = 0.95  # lambda; 1 is A2C's n-step return
    value_weight: float = 0.5  # of the critic's squared error
    entropy_weight: float = 0.01  # of the entropy bonus, in return per nat

    def __post_init__(self):
        fields = "num_updates num_environments num_steps time_limit step_size"
        require_positive(self, *fields.split())
        require_in_unit_interval(self, "trace_decay")
        require_not_negative(self, "value_weight", "entropy_weight")


class Estimates(NamedTuple):
    """What the critic makes of a batch."""

    advantages: Float[Array, "environments time"]
    value_targets: Float[Array, "environments time"]


def train(
    key: Key[Array, ""],
    mdp: MDP,
    config: ActorCriticConfig,
    policy: Policy | None = None,
    report: Callable[[int, History], None] | None = None,
) -> tuple[PyTree, History]:
    """Train a policy, tabular if none is given; returns its parameters and history."""
    learns = learner(mdp, config, policy)
    return training.train(key, learns, config.num_updates, report)


def learner(
    mdp: MDP, config: ActorCriticConfig, policy: Policy | None = None
) -> Learner:
    """Actor-critic on this world: how it starts, and what one update does."""
    policy, table = policy or tabular_softmax(mdp), to_jax(mdp)
    optimizer = optax.adam(config.step_size)

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
    """One iteration: collect steps, ask the critic, step along the gradient."""
    params, optimizer_state, steps, positions = state
    trajectories, positions, finished = collect(
        params, key, positions, mdp, policy, config
    )
    estimates = estimate(trajectories, config)
    (value, before), gradient = jax.value_and_grad(loss, has_aux=True)(
        params, trajectories, estimates, policy, mdp, config
    )
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    params = optax.apply_updates(params, updates)

    tables = tabulate(policy, params, mdp.num_states)
    after = evaluate(tables, trajectories.observations, trajectories.actions)
    measured = diagnostics.of_one_step(
        value, gradient, before, after, trajectories, estimates.value_targets
    )
    steps += trajectories.rewards.size
    history = History(steps, mean_where_known(finished), *measured)
    return State(params, optimizer_state, steps, positions), history


def collect(params, key, positions, mdp, policy, config) -> Rollout:
    """The next steps of every environment, [environments, time]."""
    tables = tabulate(policy, params, mdp.num_states)
    limits = config.num_steps, config.time_limit
    return rollout_many(tables, key, positions, mdp, *limits)


def estimate(trajectories: Trajectory, config: ActorCriticConfig) -> Estimates:
    """GAE for the actor, and for the critic what it thought, corrected by that."""
    advantages = jax.vmap(generalized_advantages, (0, None))(
        trajectories, config.trace_decay
    )
    return Estimates(advantages, advantages + trajectories.values)


def loss(
    params: PyTree,
    trajectories: Trajectory,
    estimates: Estimates,
    policy: Policy,
    mdp: MDP,
    config: ActorCriticConfig,
) -> tuple[Scalar, Evaluation]:
    """Minus the score function, plus the critic's error, minus the entropy bonus."""
    tables = tabulate(policy, params, mdp.num_states)
    now = evaluate(tables, trajectories.observations, trajectories.actions)
    scores = jax.vmap(jax.vmap(objectives.score_function))(
        now.log_prob, estimates.advantages
    )
    errors = jax.vmap(jax.vmap(objectives.value_loss))(
        now.value, estimates.value_targets
    )
    total = (
        -scores.mean()
        + config.value_weight * errors.mean()
        - config.entropy_weight * now.entropy.mean()
    )
    return total, now
