"""REINFORCE: raise the probability of what did better than expected.

    grad J = E[ sum_t gamma^t (G_t - b(S_t)) grad log pi(A_t | S_t) ]

Whole episodes are sampled, each action is credited with the discounted return that
followed it, and a baseline b, which must not look at the action, is subtracted. The
baseline leaves the expectation alone and changes the variance: compare the five. (The
average of *all* episodes does look at the action, a little: it contains the episode
itself. Leave it out, and nothing is shrunk.)

`reinforce.py` and `ppo.py` have the same functions in the same order: read them side by
side, and what differs is what PPO adds.

Source: Williams (1992); Sutton & Barto (2018), sections 13.3-13.4, p. 328 for gamma^t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import objectives, training
from policy_gradient.advantages import discounts_to_date, reward_to_go
from policy_gradient.configs import require_positive
from policy_gradient.policies import Policy, evaluate, tabular_softmax
from policy_gradient.rollout import first_episode, reset, rollout, to_jax
from policy_gradient.trajectory import Trajectory, masked_mean


@dataclass(frozen=True)
class ReinforceConfig:
    """REINFORCE with a baseline (Sutton & Barto 2018, p. 330)."""

    num_updates: int = 200  # gradient steps
    num_episodes: int = 16  # episodes behind each gradient step
    time_limit: int = 100  # steps after which an episode is cut off
    step_size: float = 0.05  # of Adam
    baseline: Literal["none", "constant", "average", "leave_one_out", "value"] = (
        "average"
    )
    constant: float = 0.0  # the baseline "constant", in units of return
    value_weight: float = 0.5  # of the squared error, for the baseline "value"

    def __post_init__(self):
        require_positive(self, "num_updates", "num_episodes", "time_limit", "step_size")
        if self.baseline == "leave_one_out" and self.num_episodes < 2:
            raise ValueError(
                "num_episodes must be at least 2 for the baseline leave_one_out, "
                f"got {self.num_episodes}"
            )


class Metrics(NamedTuple):
    """One row per update."""

    episode_return: Float[Array, "..."]  # mean discounted return of the batch
    loss: Float[Array, "..."]


def train(
    key: Key[Array, ""],
    mdp: MDP,
    config: ReinforceConfig,
    report: Callable[[int, Metrics], None] | None = None,
) -> tuple[PyTree, Metrics]:
    """Train a tabular softmax policy; returns its parameters and the history."""
    policy = tabular_softmax(mdp)
    optimizer = optax.adam(config.step_size)
    params = policy.init()
    state = (params, optimizer.init(params))
    advance = partial(
        update, mdp=to_jax(mdp), policy=policy, optimizer=optimizer, config=config
    )
    (params, _), history = training.loop(
        key, state, advance, config.num_updates, report
    )
    return params, history


def update(state, key, *, mdp, policy, optimizer, config):
    """One iteration: collect episodes, credit the actions, step along the gradient."""
    params, optimizer_state = state
    trajectories = collect(params, key, mdp, policy, config)
    advantages = estimate(trajectories, config)
    loss_value, gradient = jax.value_and_grad(loss)(
        params, trajectories, advantages, policy, config
    )
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    params = optax.apply_updates(params, updates)
    returns = jax.vmap(reward_to_go)(trajectories)[:, 0]
    return (params, optimizer_state), Metrics(returns.mean(), loss_value)


def collect(params, key, mdp, policy, config) -> Trajectory:
    """Whole episodes from the start, [episodes, time], padded and masked."""

    def episode(key):
        reset_key, rollout_key = jax.random.split(key)
        rows, _ = rollout(
            params,
            rollout_key,
            reset(jax.random.uniform(reset_key), mdp),
            mdp,
            policy,
            config.time_limit,
            config.time_limit,
        )
        return first_episode(rows)

    return jax.vmap(episode)(jax.random.split(key, config.num_episodes))


def estimate(
    trajectories: Trajectory, config: ReinforceConfig
) -> Float[Array, "episodes time"]:
    """G_t - b: the return that followed each action, less the baseline."""
    returns = jax.vmap(reward_to_go)(trajectories)
    match config.baseline:
        case "none":
            baselines = jnp.zeros(())
        case "constant":
            baselines = jnp.asarray(config.constant)
        case "average":
            baselines = masked_mean(returns, trajectories.mask)
        case "leave_one_out":
            totals = jnp.sum(returns * trajectories.mask, axis=1)
            lengths = jnp.sum(trajectories.mask, axis=1)
            of_others = (totals.sum() - totals) / (lengths.sum() - lengths)
            baselines = of_others[:, None]
        case "value":
            baselines = trajectories.values
    return returns - baselines


def loss(
    params: PyTree,
    trajectories: Trajectory,
    advantages: Float[Array, "episodes time"],
    policy: Policy,
    config: ReinforceConfig,
) -> Scalar:
    """Minus the score-function objective: a sum over each episode, a mean over them."""
    of_rows = jax.vmap(jax.vmap(partial(evaluate, policy, params)))
    now = of_rows(trajectories.observations, trajectories.actions)
    weights = trajectories.mask * jax.vmap(discounts_to_date)(trajectories)
    scores = jax.vmap(jax.vmap(objectives.score_function))(now.log_prob, advantages)
    policy_loss = -jnp.sum(weights * scores, axis=1).mean()
    if config.baseline != "value":
        return policy_loss
    returns = jax.vmap(reward_to_go)(trajectories)
    errors = jax.vmap(jax.vmap(objectives.value_loss))(now.value, returns)
    value_loss = masked_mean(errors, trajectories.mask)
    return policy_loss + config.value_weight * value_loss
