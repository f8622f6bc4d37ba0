"""Small worlds, one or thousands in one call, compiled.  Outside the reading order.

    sweep      v  <-  max_a [ r + gamma T v ]             while that is quick
    then       v  <-  (I - gamma T_pi)^{-1} r_pi          with pi greedy for v

A small world fits into the processor's first cache as a dense matrix gamma T of S A
rows, and a sweep of 20 states takes a fifth of a microsecond there. So thousands of
worlds are solved one after the other, each from beginning to end, and never swept side
by side: that would fetch every matrix from far away in every sweep. Many random worlds
are done before the linear solve is needed at all, since what counts is the *span* of
the change (see `mdp.bounds.bounds_on_error`).

I - gamma T_pi is dominated by its diagonal row by row, so its transpose is so column by
column, and that transpose is factored without exchanging any rows.

Shapes: N worlds, S states, A actions, B outcomes per pair.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import linalg
from jaxtyping import Array, Float

from mdp.bellman import greedy_policy
from mdp.bounds import bounds_on_error
from mdp.large import aligned
from mdp.model import MDP
from mdp.planning import Solution

# Sweep so often before solving linear systems; then improve the policy so often.
MAX_SWEEPS = 40
MAX_ROUNDS = 100

# Up to so many outcomes a pair, comparing beats scattering.
FEW_OUTCOMES = 32


def stack(mdps: Sequence[MDP]) -> MDP:
    """Many MDPs of one shape as one: every field has a leading axis of worlds.

    Raises:
        ValueError: the shapes differ, or there is no MDP at all.
    """
    shapes = sorted({np.shape(mdp.probs) for mdp in mdps})
    if len(shapes) != 1:
        raise ValueError(f"mdps must all have one shape [S, A, B], got {shapes}")
    fields = []
    for of_each in zip(*mdps, strict=True):
        first = np.asarray(of_each[0])
        stacked = aligned((len(mdps), *first.shape), first.dtype)
        fields.append(np.stack(of_each, out=stacked))
    return MDP(*fields)


def solve_small(mdp: MDP, epsilon: float = 1e-6) -> Solution:
    """v* of one small MDP, or of each of a stack, by sweeps and then policy iteration.

    For a stack (see `stack`), every field of the solution has a leading axis of worlds,
    and `residuals`, the largest change in every backup, are nan where a world needed
    fewer of them than another. Promises what `value_iteration` promises. Meant for
    gamma < 1: at gamma = 1 a greedy policy that never ends the episode has no values,
    and `converged` is then False.
    """
    solve = _solve_many if np.ndim(mdp.probs) == 4 else _solve_one
    with jax.enable_x64(True):
        q, residuals, converged = map(np.asarray, solve(mdp, epsilon))
    q = np.where(mdp.available, q, 0.0)
    longest = (~np.isnan(residuals)).sum(-1).max()
    return Solution(
        q.max(-1, where=mdp.available, initial=-np.inf),
        q,
        _greedy_in_each(mdp, q),
        residuals[..., :longest],
        converged if converged.ndim else bool(converged),
    )


def _greedy_in_each(mdp: MDP, q: np.ndarray) -> np.ndarray:
    """The greedy policy of one world or many: it looks at one state at a time."""
    num_actions = q.shape[-1]
    rows = mdp._replace(available=mdp.available.reshape(-1, num_actions))
    return greedy_policy(rows, q.reshape(-1, num_actions)).reshape(q.shape)


def _solve(mdp: MDP, epsilon: Float[Array, ""] | float):
    matrix = _discounted(mdp)
    rewards = jnp.where(mdp.available, (mdp.probs * mdp.rewards).sum(-1), -jnp.inf)
    expected = matrix.sum(-1).reshape(rewards.shape)
    least = expected.min(where=mdp.available, initial=1.0)
    most = expected.max(where=mdp.available, initial=0.0)

    def improve(values):
        """One backup, and what it says about the distance from v*."""
        q = rewards + (matrix @ values).reshape(rewards.shape)
        return q, q.max(-1), bounds_on_error(q.max(-1) - values, least, most)

    def sweep(carry):
        values, _, _, residuals, count, _ = carry
        q, improved, (shift, error) = improve(values)
        residuals = residuals.at[count].set(abs(improved - values).max())
        return improved, q, shift, residuals, count + 1, error <= epsilon / 2

    def solve(carry):
        _, q, *_ = carry
        values = _evaluate(matrix, rewards, q.argmax(-1))
        return sweep((values, *carry[1:]))

    def unfinished(limit, carry):
        *_, count, converged = carry
        return ~converged & (count < limit)

    limits = MAX_SWEEPS, MAX_SWEEPS + MAX_ROUNDS
    residuals = jnp.full(limits[1], jnp.nan)
    carry = jnp.zeros(len(rewards)), rewards, 0.0, residuals, 0, False
    carry = lax.while_loop(partial(unfinished, limits[0]), sweep, carry)
    carry = lax.while_loop(partial(unfinished, limits[1]), solve, carry)
    _, q, shift, residuals, _, converged = carry
    return q + shift, residuals, converged


_solve_one = jax.jit(_solve)


@jax.jit
def _solve_many(mdps: MDP, epsilon: Float[Array, ""] | float):
    """One after the other: what is being worked on stays in the first cache."""
    return lax.map(lambda mdp: _solve(mdp, epsilon), mdps)


def _discounted(mdp: MDP) -> Float[Array, "SA S"]:
    """Gamma T, dense: sum_b probs * discounts where next_states is s'."""
    num_states, _, num_outcomes = mdp.probs.shape
    weights = (mdp.probs * mdp.discounts).reshape(-1, num_outcomes)
    next_states = mdp.next_states.reshape(weights.shape)

    def from_outcomes():
        if num_outcomes > FEW_OUTCOMES:
            row = jnp.arange(len(weights))[:, None]
            return (
                jnp.zeros((len(weights), num_states)).at[row, next_states].add(weights)
            )
        hits = (
            jnp.where(
                next_states[:, b, None] == jnp.arange(num_states), w[:, None], 0.0
            )
            for b, w in enumerate(weights.T)
        )
        return sum(hits)

    if num_outcomes != num_states:
        return from_outcomes()
    # Made from dense arrays, every pair lists every state in order: nothing to do.
    in_order = (next_states == jnp.arange(num_states)).all()
    return lax.cond(in_order, lambda: weights, from_outcomes)


def _evaluate(matrix, rewards, actions) -> Float[Array, "S"]:
    """v_pi, by factoring the transpose of I - gamma T_pi into L U."""
    states = jnp.arange(len(actions))
    table = matrix.reshape(*rewards.shape, -1)
    system = jnp.eye(len(actions)) - table[states, actions]
    factors, _, _ = linalg.lu(system.T)
    solve = partial(linalg.triangular_solve, factors, left_side=True, transpose_a=True)
    halfway = solve(rewards[states, actions][:, None], lower=False)
    return solve(halfway, lower=True, unit_diagonal=True)[:, 0]
