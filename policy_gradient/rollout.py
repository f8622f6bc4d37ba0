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
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mdp import MDP
from policy_gradient.devices import split
from policy_gradient.policies import Tables
from policy_gradient.trajectory import Trajectory

# Up to so many outcomes, comparing with each is faster than a search.
FEW_OUTCOMES = 16


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
    with jax.ensure_compile_time_eval():  # constants, even while jax compiles
        return MDP(*map(jnp.asarray, mdp))


def draw(uniform: Float[Array, ""], cumulative: Float[Array, "n"]) -> Int[Array, ""]:
    """Return the outcome whose interval of the cumulative distribution holds `uniform`.

    Each draw takes one number in [0, 1); all are made at once, outside the loop.
    """
    point = uniform * cumulative[-1]
    if len(cumulative) <= FEW_OUTCOMES:
        return jnp.sum(cumulative <= point)
    return jnp.searchsorted(cumulative, point, side="right").astype(int)


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

    chances = _chances(key, mdp, num_steps)
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
    return jax.vmap(one)(*split((keys, positions)))


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


def _chances(
    key: Key[Array, ""], mdp: MDP, num_steps: int
) -> tuple[Float[Array, "time"], Float[Array, "time"], Position]:
    """Return the random numbers of every step, and the start of a next episode."""
    one_start = _has_one_start(mdp)
    uniforms = _uniforms(key, (2 if one_start else 3, num_steps), mdp.probs.dtype)
    # If there is only one start, any number draws it.
    start_uniforms = jnp.zeros_like(uniforms[0]) if one_start else uniforms[2]
    return uniforms[0], uniforms[1], jax.vmap(reset, (0, None))(start_uniforms, mdp)


def _has_one_start(mdp: MDP) -> bool:
    """Return True if all episodes start in one state, and this is known by now."""
    known = not isinstance(mdp.start, jax.core.Tracer)
    return known and bool(np.count_nonzero(mdp.start) == 1)


def _uniforms(
    key: Key[Array, ""], shape: tuple[int, ...], dtype: jnp.dtype
) -> Float[Array, "..."]:
    """Return the numbers of `jax.random.uniform`, on a CPU in a quarter of its time.

    The bits are the same. On a CPU jax runs Threefry as a loop over its rounds, each of
    them over all numbers. Here the 20 rounds are written out, and become one loop over
    the numbers. Source: Salmon et al. (2011), "Parallel random numbers: as easy as 1,
    2, 3", section 4.
    """
    is_threefry = str(jax.random.key_impl(key)) == "threefry2x32"
    by_count = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    if not (is_threefry and by_count) or dtype != jnp.float32:
        return jax.random.uniform(key, shape, dtype)
    first, second = jax.random.key_data(key)
    keys = first, second, first ^ second ^ np.uint32(0x1BD11BDA)
    count = jnp.arange(np.prod(shape), dtype=jnp.uint32)
    low, high = jnp.zeros_like(count) + keys[0], count + keys[1]
    for i in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
            low += high
            high = (high << rotation) | (high >> (32 - rotation))
            high ^= low
        low += keys[(i + 1) % 3]
        high += keys[(i + 2) % 3] + np.uint32(i + 1)
    # 23 random bits after the point of a number in [1, 2).
    bits = ((low ^ high) >> 9) | np.uint32(0x3F800000)
    return jax.lax.bitcast_convert_type(bits, jnp.float32).reshape(shape) - 1.0
