"""Acting in a finite MDP, in jax: `scan` over time; callers `vmap` over environments.

    A_t ~ pi(. | S_t),    S_{t+1}, R_{t+1} ~ p(. , . | S_t, A_t)

Outcomes are drawn from the MDP's table. When an episode ends, or reaches the time limit
and is cut off, the next row begins another one from the start distribution.

The policy does not change while it acts, and the states are few. It is therefore given
as tables of pi(a|s) and v(s): acting costs the same with any network.

Source: Sutton & Barto (2018), eqs. 3.1 and 3.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from mdp import MDP
from policy_gradient.policies import Tables
from policy_gradient.trajectory import Trajectory


class Position(NamedTuple):
    """The state of one environment between two rollouts."""

    state: Int[Array, ""]  # S_t
    steps: Int[Array, ""]  # steps since the episode began
    earned: Float[Array, ""]  # R_1 + gamma R_2 + ... since then
    weight: Float[Array, ""]  # gamma^t, of the next reward in `earned`


class Rollout(NamedTuple):
    """The rows of a rollout, its last position, and the returns of its episodes."""

    trajectory: Trajectory  # [time]
    position: Position | tuple[()]  # after the last row; () if it is not kept
    finished: Float[Array, "time"]  # G_0 of the episode that stopped here; else nan


# Random numbers for the action and the outcome, and the start of another episode.
Chances = tuple[Float[Array, ""], Float[Array, ""], Position]
Row = tuple[tuple[Array, ...], Float[Array, ""]]


def to_jax(mdp: MDP) -> MDP:
    """Return an MDP's tables as jax arrays, in jax's default precision."""
    return MDP(*map(jnp.asarray, mdp))


def draw(uniform: Float[Array, ""], cumulative: Float[Array, "n"]) -> Int[Array, ""]:
    """Return the outcome whose interval of the cumulative distribution holds `uniform`.

    Each draw takes one number in [0, 1); all are made at once, outside the loop.
    """
    # A binary search: a taxi has 300 starts, and a look at all of them takes longer.
    return jnp.searchsorted(cumulative, uniform * cumulative[-1], side="right")


def reset(uniform: Float[Array, ""], mdp: MDP) -> Position:
    """Return the start of an episode, with S_0 from the start distribution."""
    zero = jnp.zeros_like(uniform)
    state = draw(uniform, jnp.cumsum(mdp.start))
    return Position(state, jnp.zeros((), jnp.int32), zero, jnp.ones_like(uniform))


def rollout(
    tables: Tables,
    key: Key[Array, ""],
    position: Position,
    mdp: MDP,
    num_steps: int,
    time_limit: int,
) -> Rollout:
    """Return `num_steps` steps of one environment, across several episodes.

    Source: Sutton & Barto (2018), eqs. 3.1 and 3.2.
    """
    cumulative_policy = jnp.cumsum(jnp.exp(tables.log_probs), -1)
    cumulative_outcomes = jnp.cumsum(mdp.probs, -1)

    def advance(position: Position, chances: Chances) -> tuple[Position, Row]:
        action_uniform, outcome_uniform, fresh = chances
        state, steps, earned, weight = position
        action = draw(action_uniform, cumulative_policy[state])
        outcome = draw(outcome_uniform, cumulative_outcomes[state, action])
        index = (state, action, outcome)
        reward, discount = mdp.rewards[index], mdp.discounts[index]

        next_state, steps = mdp.next_states[index], steps + 1
        earned, weight = earned + weight * reward, weight * discount
        continues = (discount > 0) & (steps < time_limit)
        onward = Position(next_state, steps, earned, weight)
        following = jax.tree.map(
            lambda onward, fresh: jnp.where(continues, onward, fresh), onward, fresh
        )
        row = (state, action, reward, discount, next_state, continues)
        return following, (row, jnp.where(continues, jnp.nan, earned))

    uniforms = jax.random.uniform(key, (3, num_steps), mdp.probs.dtype)
    fresh = jax.vmap(reset, (0, None))(uniforms[2], mdp)
    chances = (uniforms[0], uniforms[1], fresh)
    position, (rows, finished) = jax.lax.scan(advance, position, chances)
    states, actions, rewards, discounts, next_states, continues = rows
    trajectory = Trajectory(
        observations=states,
        actions=actions,
        log_probs=tables.log_probs[states, actions],
        rewards=rewards,
        discounts=discounts,
        values=tables.values[states],
        # The value of the state that was reached, not of the one after a reset.
        next_values=tables.values[next_states],
        continues=continues.astype(rewards.dtype),
        mask=jnp.ones_like(rewards),
    )
    return Rollout(trajectory, position, finished)


def reset_many(key: Key[Array, ""], mdp: MDP, num_environments: int) -> Position:
    """Return the positions of several environments at the start of an episode."""
    uniforms = jax.random.uniform(key, (num_environments,), mdp.probs.dtype)
    return jax.vmap(reset, (0, None))(uniforms, mdp)


def rollout_many(
    tables: Tables,
    key: Key[Array, ""],
    positions: Position,
    mdp: MDP,
    num_steps: int,
    time_limit: int,
) -> Rollout:
    """Return the next steps of each environment, with their axis before time."""

    def one(key: Key[Array, ""], position: Position) -> Rollout:
        return rollout(tables, key, position, mdp, num_steps, time_limit)

    keys = jax.random.split(key, len(positions.state))
    return jax.vmap(one)(keys, positions)


def whole_episodes(
    tables: Tables,
    key: Key[Array, ""],
    mdp: MDP,
    num_episodes: int,
    time_limit: int,
) -> Rollout:
    """Return one whole episode of each of several new environments, padded and masked.

    There is no last position, as the environments are not used again.
    """
    reset_key, rollout_key = jax.random.split(key)
    positions = reset_many(reset_key, mdp, num_episodes)
    rows = rollout_many(tables, rollout_key, positions, mdp, time_limit, time_limit)
    first = jax.vmap(first_episode)(rows.trajectory)
    finished = jnp.where(first.mask > 0, rows.finished, jnp.nan)
    return Rollout(first, (), finished)


def first_episode(trajectory: Trajectory) -> Trajectory:
    """Mask everything that comes after the first episode."""
    alive = jnp.cumprod(trajectory.continues)
    mask = jnp.concatenate([jnp.ones_like(alive[:1]), alive[:-1]])
    return trajectory._replace(mask=mask)
