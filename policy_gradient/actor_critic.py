"""Actor-critic: do not wait for the end, let a critic estimate what is still to come.

    A_t   =  delta_t + gamma lambda delta_{t+1} + ...           the actor's advantage
    v(S_t)  <-  v(S_t) + alpha [ A_t + v(S_t) - v(S_t) ]        the critic's target

A few steps of many environments make a batch. The target A_t + v(S_t) is the
lambda-return, cut off where the batch ends: biased while the critic is wrong, and
noisier the larger lambda is. One file therefore holds three algorithms:

    num_steps = 1                     one-step actor-critic (S&B p. 332)
    num_steps = n, trace_decay = 1    advantage actor-critic, A2C (Mnih et al. 2016)
    num_steps = n, trace_decay < 1    TD(lambda) critic, GAE for the actor

`reinforce.py`, `actor_critic.py` and `ppo.py` have the same functions in the same
order. Read two of them side by side: the difference is the lesson.

Source: Sutton & Barto (2018), section 13.5 and eq. 12.9; Mnih et al. (2016), algorithm
S3; Schulman et al. (2016), eq. 16.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import diagnostics, objectives, training
from policy_gradient.advantages import generalized_advantages
from policy_gradient.config import ActorCriticConfig as Config
from policy_gradient.diagnostics import Diagnostics, History, mean_of_finished
from policy_gradient.improvement import gradient_step
from policy_gradient.policies import Evaluate, Policy, evaluator, tabulate
from policy_gradient.rollout import Position, Rollout, rollout_many
from policy_gradient.training import Learner, State
from policy_gradient.trajectory import Batch, Trajectory, batch_of


def train(
    key: Key[Array, ""],
    mdp: MDP,
    config: Config,
    policy: Policy | None = None,
    report: Callable[[int, History], None] | None = None,
) -> tuple[PyTree, History]:
    """Train a policy, by default a table, and return its parameters and history."""
    made = learner(mdp, config, policy)
    return training.train(key, made, config.num_updates, report)


def learner(mdp: MDP, config: Config, policy: Policy | None = None) -> Learner:
    """Return the algorithm on this MDP: its first state, and one update."""
    return training.make_learner(update, mdp, policy, config)


def update(
    state: State,
    key: Key[Array, ""],
    mdp: MDP,
    policy: Policy,
    optimizer: optax.GradientTransformation,
    config: Config,
) -> tuple[State, History]:
    """Collect a batch, estimate its advantages, and lower the loss."""
    params, optimizer_state, steps, positions = state
    rollout = collect(params, key, positions, mdp, policy, config)
    batch = estimate(rollout.trajectory, config)
    steps += rollout.trajectory.mask.sum().astype(int)
    evaluate = evaluator(policy, mdp.num_states)
    batch_loss = partial(loss, evaluate=evaluate, config=config)
    new = gradient_step(params, optimizer_state, batch, batch_loss, evaluate, optimizer)
    history = History(steps, mean_of_finished(rollout.finished), *new.diagnostics)
    return State(new.params, new.optimizer_state, steps, rollout.position), history


def collect(
    params: PyTree,
    key: Key[Array, ""],
    positions: Position,
    mdp: MDP,
    policy: Policy,
    config: Config,
) -> Rollout:
    """Return the steps of one batch, [environments, time], by the present policy."""
    tables = tabulate(policy, params, mdp.num_states)
    return rollout_many(
        tables, key, positions, mdp, config.num_steps, config.time_limit
    )


def estimate(trajectories: Trajectory, config: Config) -> Batch:
    """Return the batch, with an advantage and a value target for each action.

    Source: Schulman et al. (2016), eq. 16; Sutton & Barto (2018), eq. 12.9.
    """
    advantages = jax.vmap(generalized_advantages, (0, None))(
        trajectories, config.trace_decay
    )
    returns = advantages + trajectories.values
    return batch_of(trajectories, advantages, returns).as_single_samples()


def loss(
    params: PyTree,
    batch: Batch,
    evaluate: Evaluate,
    config: Config,
) -> tuple[Scalar, Diagnostics]:
    """Return the loss of a batch, and its diagnostics.

    Minus the score function, plus the critic's error, minus the entropy bonus.
    Each is a mean over the samples. Source: Mnih et al. (2016), algorithm S3.
    """
    now = evaluate(params, batch.observations, batch.actions)
    scores = jnp.vectorize(objectives.score_function)(now.log_prob, batch.advantages)
    errors = jnp.vectorize(objectives.value_loss)(now.value, batch.value_targets)
    total = -batch.mean_of_rows(scores)
    total += config.value_weight * batch.mean_of_rows(errors)
    total -= config.entropy_weight * batch.mean_of_rows(now.entropy)
    return total, diagnostics.measure(total, now, batch)
