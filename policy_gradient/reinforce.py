"""REINFORCE: raise the probability of actions whose return exceeds a baseline.

    grad J = E[ sum_t gamma^t (G_t - b(S_t)) grad log pi(A_t | S_t) ]

Whole episodes are sampled. Each action is credited with the discounted return that
followed it, minus a baseline b, which must not depend on the action: it changes the
variance and leaves the expectation as it is (`baselines.py` has several).

`reinforce.py`, `actor_critic.py` and `ppo.py` have the same functions in the same
order. Read two of them side by side: the difference is the lesson.

Source: Williams (1992); Sutton & Barto (2018), sections 13.3-13.4, p. 328 for gamma^t.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import baselines, diagnostics, objectives, training
from policy_gradient.advantages import discounts_to_date, reward_to_go
from policy_gradient.config import ReinforceConfig as Config
from policy_gradient.diagnostics import Diagnostics, History, mean_of_finished
from policy_gradient.improvement import gradient_step
from policy_gradient.policies import Evaluate, Policy, evaluator, tabulate
from policy_gradient.rollout import Rollout, whole_episodes
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
    """Collect a batch, estimate its advantages, and lower the loss.

    Sample episodes by the present policy, with the key as it is: `collect`
    Compare what each action earned with a baseline: `estimate`, which sets
        A_t  =  gamma^t (G_t - b(S_t))
    Take one step of the optimiser along the gradient of the loss:
        theta  <-  theta + alpha grad mean sum_t A_t log pi(A_t | S_t)

    `gradient_step` takes the step, and returns parameters, optimiser state and
    diagnostics; `loss` needs `evaluator(policy, mdp.num_states)`, which evaluates
    actions. The new state has no positions, (), and counts the steps that happened. The
    history is of steps, `mean_of_finished(rollout.finished)`, and the diagnostics.

    Source: Sutton & Barto (2018), the boxes on pp. 328 and 330.
    """
    params, optimizer_state, steps, _ = state
    rollout = collect(params, key, mdp, policy, config)
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
    mdp: MDP,
    policy: Policy,
    config: Config,
) -> Rollout:
    """Return the steps of one batch, [environments, time], by the present policy."""
    tables = tabulate(policy, params, mdp.num_states)
    return whole_episodes(tables, key, mdp, config.num_episodes, config.time_limit)


def estimate(trajectories: Trajectory, config: Config) -> Batch:
    """Return the batch, with an advantage and a value target for each action.

    Source: Sutton & Barto (2018), eq. 13.11 and the box on p. 330.
    """
    returns = jax.vmap(reward_to_go)(trajectories)
    advantages = baselines.subtract_named(
        config.baseline, returns, trajectories, config.constant
    )
    if config.weigh_by_discount:
        advantages = jax.vmap(discounts_to_date)(trajectories) * advantages
    return batch_of(trajectories, advantages, returns)


def loss(
    params: PyTree,
    batch: Batch,
    evaluate: Evaluate,
    config: Config,
) -> tuple[Scalar, Diagnostics]:
    """Return the loss of a batch, and its diagnostics.

    Minus the score function, plus the critic's error if it is the baseline.
    The first is a sum over each episode and a mean over the episodes, as J is.
    Source: Williams (1992); Sutton & Barto (2018), eq. 13.11.
    """
    now = evaluate(params, batch.observations, batch.actions)
    total = objectives.score_function_loss(
        now.log_prob, batch.advantages, batch.weights
    )
    if config.baseline == "value":
        errors = jnp.vectorize(objectives.value_loss)(now.value, batch.value_targets)
        total += config.value_weight * batch.mean_of_samples(errors)
    return total, diagnostics.measure(total, now, batch)
