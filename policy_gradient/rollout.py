"""Acting in a finite MDP, in jax: `scan` over time; callers `vmap` over environments.

    A_t ~ pi(. | S_t),    S_{t+1}, R_{t+1} ~ p(. , . | S_t, A_t)

An outcome is drawn straight out of the MDP's table. When an episode ends, or reaches
the time limit and is cut off, the next row starts another from the start distribution.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from mdp import MDP
from policy_gradient.policies import Policy
from policy_gradient.trajectory import Trajectory


class Position(NamedTuple):
    """Where one environment stands between two rollouts."""

    state: Int[Array, ""]  # S_t
    steps: Int[Array, ""]  # steps since the episode began


class Outcome(NamedTuple):
    next_state: Int[Array, ""]  # S_{t+1}
    reward: Float[Array, ""]  # R_{t+1}
    discount: Float[Array, ""]  # gamma, or 0 where the episode ended


def to_jax(mdp: MDP) -> MDP:
    """The same table as jax arrays, in jax's default precision."""
    return MDP(*map(jnp.asarray, mdp))


def draw(uniform: Float[Array, ""], probs: Float[Array, "n"]) -> Int[Array, ""]:
    """The outcome whose interval of the cumulative distribution holds `uniform`.

    One number in [0, 1) for each draw: they are made all at once, outside the loop.
    """
    cumulative = jnp.cumsum(probs)
    return jnp.argmax(cumulative > uniform * cumulative[-1])


def reset(uniform: Float[Array, ""], mdp: MDP) -> Position:
    """S_0 from the start distribution."""
    return Position(draw(uniform, mdp.start), jnp.zeros((), jnp.int32))


def step(
    uniform: Float[Array, ""], mdp: MDP, state: Int[Array, ""], action: Int[Array, ""]
) -> Outcome:
    """s', r from p(s', r | s, a)."""
    where = (state, action, draw(uniform, mdp.probs[state, action]))
    return Outcome(mdp.next_states[where], mdp.rewards[where], mdp.discounts[where])


def rollout(
    params: PyTree,
    key: Key[Array, ""],
    position: Position,
    mdp: MDP,
    policy: Policy,
    num_steps: int,
    time_limit: int,
) -> tuple[Trajectory, Position]:
    """`num_steps` steps of one environment, across as many episodes as they hold."""

    def advance(position: Position, uniforms: Float[Array, "3"]):
        log_probs, value = policy.apply(params, position.state)
        action = draw(uniforms[0], jnp.exp(log_probs))
        outcome = step(uniforms[1], mdp, position.state, action)

        steps = position.steps + 1
        continues = (outcome.discount > 0) & (steps < time_limit)
        following = jax.tree.map(
            lambda onward, anew: jnp.where(continues, onward, anew),
            Position(outcome.next_state, steps),
            reset(uniforms[2], mdp),
        )
        row = Trajectory(
            observations=position.state,
            actions=action,
            log_probs=log_probs[action],
            rewards=outcome.reward,
            discounts=outcome.discount,
            values=value,
            # Of the state that was reached, not of the one after a reset.
            next_values=policy.apply(params, outcome.next_state)[1],
            continues=continues.astype(outcome.reward.dtype),
            mask=jnp.ones_like(outcome.reward),
        )
        return following, row

    uniforms = jax.random.uniform(key, (num_steps, 3))
    position, rows = jax.lax.scan(advance, position, uniforms)
    return rows, position


def first_episode(trajectory: Trajectory) -> Trajectory:
    """Mask all that comes after the first episode: whole episodes, padded."""
    alive = jnp.cumprod(trajectory.continues)
    return trajectory._replace(
        mask=jnp.concatenate([jnp.ones_like(alive[:1]), alive])[:-1]
    )
