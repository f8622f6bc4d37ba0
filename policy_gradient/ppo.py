"""PPO: epochs of minibatches on the same data, kept near the policy that drew it.

    L = E[ min(rho A, clip(rho, 1 - eps, 1 + eps) A) ]    rho = pi(a|s) / pi_old(a|s)

The surrogate allows many gradient steps for each batch. The clip takes away the reward
for changing a probability by more than a factor of 1 +- eps. Without it (eps = inf) the
policy can move too far. A language model shares the loss; there a row is a completion.

`reinforce.py`, `actor_critic.py` and `ppo.py` have the same functions in the same
order. Read two of them side by side: the difference is the lesson.

Source: Schulman et al. (2017), eq. 7 and algorithm 1; Schulman et al. (2016) for GAE.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import diagnostics, objectives, training
from policy_gradient.advantages import generalized_advantages, normalize
from policy_gradient.config import ImproveConfig
from policy_gradient.config import PPOConfig as Config
from policy_gradient.diagnostics import Diagnostics, History, mean_of_finished
from policy_gradient.improvement import improve
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
    rollout_key, improve_key = jax.random.split(key)
    rollout = collect(params, rollout_key, positions, mdp, policy, config)
    batch = estimate(rollout.trajectory, config)
    steps += rollout.trajectory.mask.sum().astype(int)
    evaluate = evaluator(policy, mdp.num_states)
    weight = config.entropy_weight_at(steps)
    batch_loss = partial(loss, evaluate=evaluate, entropy_weight=weight, config=config)
    new = improve(
        params, optimizer_state, improve_key, batch, batch_loss, optimizer, config
    )
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
    # After the targets, which are in units of return.
    if config.normalize_advantages:
        advantages = normalize(advantages)
    return batch_of(trajectories, advantages, returns).as_single_samples()


def loss(
    params: PyTree,
    batch: Batch,
    evaluate: Evaluate,
    entropy_weight: float | Scalar,
    config: ImproveConfig,
) -> tuple[Scalar, Diagnostics]:
    """Return the loss of a batch, and its diagnostics.

    Minus the clipped surrogate, plus the critic's error, minus the entropy bonus.
    Each is a weighted sum over a row, and a mean over the rows; here a row is a sample.
    Source: Schulman et al. (2017), eqs. 7 and 9.
    """
    now = evaluate(params, batch.observations, batch.actions)
    total = objectives.clipped_surrogate_loss(
        now.log_prob, batch.log_probs, batch.advantages, batch.weights, config.clip
    )
    errors = jnp.vectorize(objectives.value_loss)(now.value, batch.value_targets)
    if config.clip_values:
        errors = jnp.vectorize(objectives.clipped_value_loss)(
            now.value, batch.values, batch.value_targets, config.clip
        )
    total += config.value_weight * batch.mean_of_rows(errors)
    total -= entropy_weight * batch.mean_of_rows(now.entropy)
    return total, diagnostics.measure(total, now, batch, config.clip)
