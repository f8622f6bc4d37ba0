"""REINFORCE: raise the probability of what did better than expected.

    grad J = E[ sum_t gamma^t (G_t - b(S_t)) grad log pi(A_t | S_t) ]

Whole episodes are sampled, each action is credited with the discounted return that
followed it, and a baseline b, which must not look at the action, is subtracted. The
baseline leaves the expectation alone and changes the variance: compare the five. (The
average of *all* episodes does look at the action, a little: it contains the episode
itself. Leave it out, and nothing is shrunk.)

`reinforce.py`, `actor_critic.py` and `ppo.py` have the same functions in the same
order: read two side by side, and what differs is what the second adds.

Source: Williams (1992); Sutton & Barto (2018), sections 13.3-13.4, p. 328 for gamma^t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree, Scalar

from mdp import MDP
from mdp.interface.configs import require_positive, sweepable
from policy_gradient import baselines, diagnostics, objectives, training
from policy_gradient.advantages import discounts_to_date, reward_to_go
from policy_gradient.diagnostics import History
from policy_gradient.policies import (
    Evaluation,
    Policy,
    evaluate,
    tabular_softmax,
    tabulate,
)
from policy_gradient.rollout import first_episode, reset_many, rollout_many, to_jax
from policy_gradient.training import Learner, State
from policy_gradient.trajectory import Trajectory, masked_mean


@sweepable
@dataclass(frozen=True)
class ReinforceConfig:
    """REINFORCE with a baseline (Sutton & Barto 2018, p. 330)."""

    num_updates: int = 200  # gradient steps
    num_episodes: int = 16  # episodes behind each gradient step
    time_limit: int = 100  # steps after which an episode is cut off
    optimizer: Literal["adam", "sgd"] = "adam"  # S&B's is sgd: theta + alpha grad
    step_size: float = 0.05  # of the optimiser
    baseline: Literal["none", "constant", "average", "leave_one_out", "value"] = (
        "average"
    )
    constant: float = 0.0  # the baseline "constant", in units of return
    value_weight: float = 0.5  # of the squared error, for the baseline "value"
    weigh_by_discount: bool = True  # gamma^t at step t, as J = E[G_0] has it

    def __post_init__(self):
        require_positive(self, "num_updates", "num_episodes", "time_limit", "step_size")
        if self.baseline == "leave_one_out" and self.num_episodes < 2:
            raise ValueError(
                "num_episodes must be at least 2 for the baseline leave_one_out, "
                f"got {self.num_episodes}"
            )


def train(
    key: Key[Array, ""],
    mdp: MDP,
    config: ReinforceConfig,
    policy: Policy | None = None,
    report: Callable[[int, History], None] | None = None,
) -> tuple[PyTree, History]:
    """Train a policy, tabular if none is given; returns its parameters and history."""
    learns = learner(mdp, config, policy)
    return training.train(key, learns, config.num_updates, report)


def learner(mdp: MDP, config: ReinforceConfig, policy: Policy | None = None) -> Learner:
    """REINFORCE on this world: how it starts, and what one update does."""
    policy = policy or tabular_softmax(mdp)
    optimizer = {"adam": optax.adam, "sgd": optax.sgd}[config.optimizer](
        config.step_size
    )

    def start(key: Key[Array, ""]) -> State:
        params = policy.init(key)
        return State(params, optimizer.init(params), jnp.zeros((), int), ())

    advance = partial(
        update, mdp=to_jax(mdp), policy=policy, optimizer=optimizer, config=config
    )
    return Learner(mdp, policy, start, advance)


def update(state, key, *, mdp, policy, optimizer, config) -> tuple[State, History]:
    """One iteration: collect episodes, credit the actions, step along the gradient."""
    params, optimizer_state, steps, _ = state
    trajectories = collect(params, key, mdp, policy, config)
    advantages = estimate(trajectories, config)
    (value, before), gradient = jax.value_and_grad(loss, has_aux=True)(
        params, trajectories, advantages, policy, mdp, config
    )
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    params = optax.apply_updates(params, updates)

    tables = tabulate(policy, params, mdp.num_states)
    after = evaluate(tables, trajectories.observations, trajectories.actions)
    returns = jax.vmap(reward_to_go)(trajectories)
    measured = diagnostics.of_one_step(
        value, gradient, before, after, trajectories, returns
    )
    steps += trajectories.mask.sum().astype(steps.dtype)
    history = History(steps, returns[:, 0].mean(), *measured)
    return State(params, optimizer_state, steps, ()), history


def collect(params, key, mdp, policy, config) -> Trajectory:
    """Whole episodes from the start, [episodes, time], padded and masked."""
    tables = tabulate(policy, params, mdp.num_states)
    reset_key, rollout_key = jax.random.split(key)
    fresh = reset_many(reset_key, mdp, config.num_episodes)
    limits = config.time_limit, config.time_limit
    rows = rollout_many(tables, rollout_key, fresh, mdp, *limits)
    return jax.vmap(first_episode)(rows.trajectory)


def estimate(
    trajectories: Trajectory, config: ReinforceConfig
) -> Float[Array, "episodes time"]:
    """G_t - b: the return that followed each action, less the baseline."""
    returns = jax.vmap(reward_to_go)(trajectories)
    match config.baseline:
        case "none":
            baseline = 0.0
        case "constant":
            baseline = config.constant
        case "average":
            baseline = baselines.average(returns, trajectories.mask)
        case "leave_one_out":
            baseline = baselines.leave_one_out(returns, trajectories.mask)
        case "value":
            baseline = trajectories.values
    return baselines.subtract(returns, baseline, trajectories.mask)


def loss(
    params: PyTree,
    trajectories: Trajectory,
    advantages: Float[Array, "episodes time"],
    policy: Policy,
    mdp: MDP,
    config: ReinforceConfig,
) -> tuple[Scalar, Evaluation]:
    """Minus the score-function objective: a sum over each episode, a mean over them."""
    tables = tabulate(policy, params, mdp.num_states)
    now = evaluate(tables, trajectories.observations, trajectories.actions)
    weights = trajectories.mask
    if config.weigh_by_discount:
        weights = weights * jax.vmap(discounts_to_date)(trajectories)
    total = objectives.score_function_loss(now.log_prob, advantages, weights)
    if config.baseline == "value":
        returns = jax.vmap(reward_to_go)(trajectories)
        errors = jax.vmap(jax.vmap(objectives.value_loss))(now.value, returns)
        total += config.value_weight * masked_mean(errors, trajectories.mask)
    return total, now
