"""A large world compiled: its table with states last, and what is done with it.

States come last in every array, so that a backup reads and writes straight on. A sum
over outcomes that is written out, b = 0, 1, ..., and a maximum over actions likewise,
become one loop over the states. With states first, as in `MDP`, that loop takes three
times as long on a grid of a million.

Source: van der Vorst (1992) for BiCGSTAB.  Shapes: S states, A actions, B outcomes per
pair.
"""

from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from mdp.fast.stacking import aligned
from mdp.model import MDP

# Take at most so many steps of BiCGSTAB, or sweeps.
MAX_STEPS = 60
MAX_SWEEPS = 20


class CompiledTable(NamedTuple):
    """The MDP with states last: q(s, a) = rewards + sum_b weights v(next_states)."""

    weights: Float[Array, "A B S"]  # probability times discount
    next_states: Int[Array, "A B S"]
    rewards: Float[Array, "A S"]  # expected; -inf where unavailable

    def improve(self, values: Float[Array, "S"]):
        """One backup: q, the best of it, and the first action that has it."""
        return partial(backup, self, values), *best_of_backup(self, values)

    def correction(self, actions, change, share, patient):
        """Roughly v_pi - v: by BiCGSTAB, or if that has taken too long, by sweeps."""
        row = take_rows(self.weights, self.next_states, actions)
        if patient:
            return solve_roughly(*row, change, share)
        return add_up_sweeps(*row, change)


def compiled(mdp: MDP) -> tuple[CompiledTable, Float[Array, "S"]]:
    """The MDP with states last; and the best reward of every state, to begin with."""
    num_states, num_actions, num_outcomes = mdp.probs.shape
    shape = (num_actions, num_outcomes, num_states)
    weights, next_states = aligned(shape), aligned(shape, np.int32)
    rewards = aligned((num_actions, num_states))
    np.multiply(mdp.probs, mdp.discounts, out=np.moveaxis(weights, -1, 0))
    np.moveaxis(next_states, -1, 0)[:] = mdp.next_states
    np.einsum("sab,sab->sa", mdp.probs, mdp.rewards, out=rewards.T)
    rewards.T[~mdp.available] = -np.inf
    table = CompiledTable(*map(jnp.asarray, (weights, next_states, rewards)))
    return table, table.rewards.max(0)


@jax.jit
def backup(table: CompiledTable, values: Float[Array, "S"]) -> Float[Array, "S A"]:
    """q(s, a) = r(s, a) + sum_b weights(s, a, b) v(next_states(s, a, b))."""
    return jnp.stack(_backups(table, values), -1)


@jax.jit
def best_of_backup(table: CompiledTable, values: Float[Array, "S"]):
    """The largest q of every state, and the first action that has it."""
    q = _backups(table, values)
    best = reduce(jnp.maximum, q)
    actions = jnp.zeros(len(values), jnp.int32)
    for a in reversed(range(len(q))):
        actions = jnp.where(q[a] == best, a, actions)
    return best, actions


def _backups(table, values):
    return [r + expected(w, n, values) for w, n, r in zip(*table, strict=True)]


def expected(weights, next_states, values: Float[Array, "S"]) -> Float[Array, "S"]:
    """sum_b weights(s, b) v(next_states(s, b)), written out."""
    # Without a check of the bounds, which `validate` made once.
    return sum(
        w * values.at[following].get(mode="promise_in_bounds")
        for w, following in zip(weights, next_states, strict=True)
    )


@jax.jit
def take_rows(weights, next_states, actions):
    """What is left of gamma T if these actions are taken; in float32.

    The correction's own error is corrected in the next round, and a sweep costs what it
    reads.
    """
    which = jnp.broadcast_to(actions, weights.shape[1:])
    return (
        lax.select_n(which, *weights.astype(jnp.float32)),
        lax.select_n(which, *next_states),
    )


@jax.jit
def add_up_sweeps(weights, next_states, change: Float[Array, "S"]) -> Array:
    """The sum of (gamma T_pi)^k change, for k = 0, 1, ..., MAX_SWEEPS."""

    def sweep(_, correction):
        return change + expected(weights, next_states, correction)

    return lax.fori_loop(0, MAX_SWEEPS, sweep, change)


@jax.jit
def solve_roughly(weights, next_states, change: Float[Array, "S"], share) -> Array:
    """The d of (I - gamma T_pi) d = change, roughly, by BiCGSTAB from d = 0."""
    # Scaled, so that the squares of small changes do not vanish in float32.
    scale = abs(change).max()
    wanted = (change / scale).astype(jnp.float32)
    system = partial(_less_what_follows, weights, next_states)

    def unfinished(carry):
        _, residual, *_, steps = carry
        return (residual @ residual > share**2 * total) & (steps < MAX_STEPS)

    def step(carry):
        found, residual, direction, rho, steps = carry
        moved = system(direction)
        alpha = rho / (wanted @ moved)
        halfway = residual - alpha * moved
        turned = system(halfway)
        omega = (turned @ halfway) / (turned @ turned)
        found = found + alpha * direction + omega * halfway
        residual = halfway - omega * turned
        new_rho = wanted @ residual
        beta = new_rho / rho * alpha / omega
        direction = residual + beta * (direction - omega * moved)
        return found, residual, direction, new_rho, steps + 1

    total = wanted @ wanted
    start = jnp.zeros_like(wanted), wanted, wanted, total, 0
    found, residual, *_ = lax.while_loop(unfinished, step, start)
    # BiCGSTAB can break down (0 / 0); one backup is then progress enough.
    return scale * jnp.where(residual @ residual < total, found, wanted)


def _less_what_follows(weights, next_states, x):
    """(I - gamma T_pi) x."""
    return x - expected(weights, next_states, x)
