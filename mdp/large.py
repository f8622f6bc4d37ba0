"""Large worlds: inexact policy iteration, compiled.  Outside the reading order.

As in `mdp.planning.policy_iteration` the policy is improved greedily and evaluated, but
only roughly: BiCGSTAB takes the residual of the linear system

    (I - gamma T_pi) v = r_pi

down to a tenth. To evaluate a policy exactly that the next round will throw away is
wasted work; and to sweep, as modified policy iteration does, carries news one state a
sweep, where a step of BiCGSTAB fits the values to all that is known so far. Some worlds
are no good for it, those where all news comes from one far place: after PATIENCE rounds
the evaluation is by sweeps, which are slow and sure.

Why it is fast besides:

- XLA fuses a sum over outcomes that is written out, b = 0, 1, ..., and a maximum over
  actions likewise, into loops over the states that store nothing in between. The same
  backup as an array [S, A, B] and a sum over its last axis is several times slower.
- The table is read where it stands. XLA copies what does not begin on a 64-byte
  boundary, and numpy's arrays do not, so the few arrays that are needed are made so
  that they do. Next states are 32-bit: a sweep costs what it reads.
- It stops on bounds for v* from above and below, as soon as they are close enough.

Source: Mrkaic (2002), "Policy iteration accelerated with Krylov methods"; van der Vorst
(1992) for BiCGSTAB; Porteus (1971) for the bounds.  Shapes: S states, A actions, B
outcomes per pair.
"""

from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int
from numpy.typing import DTypeLike

from mdp.bellman import greedy_policy
from mdp.bounds import bounds_on_error
from mdp.model import MDP
from mdp.planning import Solution

# Begin with so many sweeps of the optimality backup: a first policy worth evaluating.
WARM_SWEEPS = 50

# Evaluate until this share of the residual is left, and for at most so many steps.
ROUGHLY = 0.1
MAX_STEPS = 60

# After so many rounds, evaluate each policy by so many sweeps instead.
PATIENCE = 40
NUM_SWEEPS = 20

# Written out, more slices than this would take XLA long to compile and win nothing.
MAX_UNROLLED = 256


class Table(NamedTuple):
    """An MDP as a sweep reads it: q(s, a) = rewards + sum_b weights v(next_states)."""

    weights: Float[Array, "S A B"]  # probability times discount
    next_states: Int[Array, "S A B"]
    rewards: Float[Array, "S A"]  # expected; -inf where the action is unavailable
    discounts: Float[Array, "2"]  # the smallest and the largest expected discount


def solve_large(mdp: MDP, epsilon: float = 1e-6, max_rounds: int = 1000) -> Solution:
    """v* by inexact policy iteration, compiled: for worlds with very many states.

        pi(s)  <-  argmax_a q(s, a);    v  <-  roughly (I - gamma T_pi)^{-1} r_pi

    Promises what `value_iteration` promises: if gamma < 1, `converged` means |values -
    v*| <= epsilon / 2 in every state; if gamma = 1, that no value changed by more than
    epsilon in the last backup. `values` are the maxima of `action_values`. `residuals`
    holds the largest change in each round's backup. The first call for a new shape
    compiles, which takes a few seconds.
    """
    with jax.enable_x64(True):
        q, residuals, rounds, converged = _solve(_table(mdp), epsilon, max_rounds)
    q = np.where(mdp.available, q, 0.0)
    return Solution(
        q.max(-1, where=mdp.available, initial=-np.inf),
        q,
        greedy_policy(mdp, q),
        np.asarray(residuals)[: int(rounds)],
        bool(converged),
    )


@partial(jax.jit, static_argnames="max_rounds")
def _solve(table: Table, epsilon: Float[Array, ""] | float, max_rounds: int):
    least, most = table.discounts
    finest = epsilon * (1 - most) / 4

    def unfinished(carry):
        *_, rounds, converged = carry
        return ~converged & (rounds < max_rounds)

    def improve_and_evaluate(carry):
        values, old_actions, _, residuals, rounds, _ = carry
        improved, actions = _best(table, values)
        change = improved - values
        residual = abs(change).max()
        shift, error = bounds_on_error(change, least, most)
        converged = error <= epsilon / 2
        # A policy that stays is evaluated to the end: there will be no better one.
        share = jnp.where((actions == old_actions).all(), 0.0, ROUGHLY)
        # 0: done; 1: solve; 2: sweep.
        way = jnp.where(converged, 0, jnp.where(rounds < PATIENCE, 1, 2))
        values = lax.switch(
            way,
            [
                lambda: values,
                lambda: _evaluate_roughly(table, actions, improved, share, finest),
                lambda: _sweep(_rows(table, actions), improved, NUM_SWEEPS),
            ],
        )
        residuals = residuals.at[rounds].set(residual)
        return values, actions, shift, residuals, rounds + 1, converged

    num_states = len(table.rewards)
    values = _sweep(table, jnp.zeros(num_states), WARM_SWEEPS)
    actions = jnp.zeros(num_states, jnp.int32)
    start = (values, actions, 0.0, jnp.zeros(max_rounds), 0, False)
    carry = lax.while_loop(unfinished, improve_and_evaluate, start)
    values, _, shift, residuals, rounds, converged = carry
    q = jnp.stack(_backups(table, values), -1) + shift
    return q, residuals, rounds, converged


def _evaluate_roughly(table, actions, values, share, finest) -> Array:
    """Values nearer to v_pi: BiCGSTAB on (I - gamma T_pi) v = r_pi, from `values`."""
    only = _rows(table, actions)

    def discounted(x):
        """Gamma T_pi x."""
        return _backups(only._replace(rewards=nothing), x)[0]

    def unfinished(carry):
        _, residual, *_, steps = carry
        return (residual @ residual > target**2) & (steps < MAX_STEPS)

    def step(carry):
        x, residual, direction, rho, steps = carry
        moved = direction - discounted(direction)
        alpha = rho / (shadow @ moved)
        halfway = residual - alpha * moved
        turned = halfway - discounted(halfway)
        omega = (turned @ halfway) / (turned @ turned)
        x = x + alpha * direction + omega * halfway
        residual = halfway - omega * turned
        new_rho = shadow @ residual
        beta = new_rho / rho * alpha / omega
        direction = residual + beta * (direction - omega * moved)
        return x, residual, direction, new_rho, steps + 1

    nothing = jnp.zeros_like(only.rewards)
    shadow = _backups(only, values)[0] - values
    norm = jnp.sqrt(shadow @ shadow)
    target = jnp.maximum(share * norm, finest)
    carry = values, shadow, shadow, shadow @ shadow, 0
    found, residual, *_ = lax.while_loop(unfinished, step, carry)
    # BiCGSTAB can break down (0 / 0); the improved values are then progress enough.
    better = residual @ residual < shadow @ shadow
    return jnp.where(better, found, values)


def _sweep(table: Table, values: Float[Array, "S"], num_sweeps: int) -> Array:
    """The optimality backup, so many times; of a table with one action, evaluation."""

    def sweep(_, values):
        return reduce(jnp.maximum, _backups(table, values))

    return lax.fori_loop(0, num_sweeps, sweep, values)


def _table(mdp: MDP) -> Table:
    """The MDP as arrays that XLA reads without copying them."""
    shape = mdp.probs.shape
    weights = np.multiply(mdp.probs, mdp.discounts, out=aligned(shape, float))
    next_states = aligned(shape, np.int32)
    next_states[:] = mdp.next_states
    rewards = np.einsum("sab,sab->sa", mdp.probs, mdp.rewards, out=aligned(shape[:2]))
    rewards[~mdp.available] = -np.inf
    discounts = np.einsum("sab->sa", weights)[mdp.available]
    return Table(
        weights, next_states, rewards, np.array([discounts.min(), discounts.max()])
    )


def aligned(shape: tuple[int, ...], dtype: DTypeLike = float) -> np.ndarray:
    """An empty array that begins on a 64-byte boundary."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype).reshape(shape)


def _backups(table: Table, values: Float[Array, "S"]) -> tuple[Array, ...]:
    """q(s, a) = r(s, a) + sum_b weights(s, a, b) v(next_states(s, a, b)), by action."""
    _, num_actions, num_outcomes = table.weights.shape

    def unrolled(table, values):
        columns = [table.rewards[:, a] for a in range(num_actions)]
        for a, b in np.ndindex(num_actions, num_outcomes):
            following = _look_up(values, table.next_states[:, a, b])
            columns[a] = columns[a] + table.weights[:, a, b] * following
        return tuple(columns)

    def in_one_piece(table, values):
        following = _look_up(values, table.next_states)
        q = table.rewards + (table.weights * following).sum(-1)
        return tuple(q[:, a] for a in range(num_actions))

    short = num_actions * num_outcomes <= MAX_UNROLLED
    return _kept(table, unrolled if short else in_one_piece, table, values)


def _best(table: Table, values: Float[Array, "S"]) -> tuple[Array, Array]:
    """The largest action value of every state, and the first action that has it."""
    columns = _backups(table, values)
    best = reduce(jnp.maximum, columns)
    actions = jnp.zeros(len(best), jnp.int32)
    for a in reversed(range(len(columns))):
        actions = jnp.where(columns[a] == best, a, actions)
    return best, actions


def _rows(table: Table, actions: Int[Array, "S"]) -> Table:
    """The rows of these actions: what is left of the table if they are taken."""

    def rows(table, actions):
        states = jnp.arange(len(actions))
        taken = (field[states, actions][:, None] for field in table[:3])
        return Table(*taken, table.discounts)

    return _kept(table, rows, table, actions)


def _kept(table: Table, function, *args):
    """function(*args), from arguments that are stored, to results that are stored.

    Left alone, XLA computes an array anew wherever an element of it is looked up, and a
    look-up of a look-up costs B^2. It sees through `lax.optimization_barrier`, but not
    into a condition, and it cannot know that no discount is above 1.
    """

    def never(*args):
        return jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *args)
        )

    return lax.cond(table.discounts[1] <= 1.0, function, never, *args)


def _look_up(values: Float[Array, "S"], states: Int[Array, "..."]):
    """values[states], without a check of the bounds that `validate` made once."""
    return values.at[states].get(mode="promise_in_bounds")
