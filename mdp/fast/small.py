"""Small worlds, one or thousands in one call, compiled.  Outside the reading order.

    sweep      v  <-  max_a [ r + gamma T v ]             while that is quick
    then       v  <-  (I - gamma T_pi)^{-1} r_pi          with pi greedy for v

A small world fits into the processor's nearest caches, and a sweep of 20 states takes a
quarter of a microsecond there: by a product with the dense matrix T if the outcomes
stand in that order, else by look-ups. So thousands of worlds are solved a few at a
time, from beginning to end, and never swept all side by side: that would fetch every
table from far away in every sweep. Many random worlds are done before the linear solve
is needed at all, since what counts is the *span* of the change (see `mdp.bounds`).

I - gamma T_pi is dominated by its diagonal row by row, so its transpose is so column by
column, and that transpose is factored without exchanging any rows.

Shapes: N worlds, S states, A actions, B outcomes per pair.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import linalg
from jaxtyping import Array, Float, Int

from mdp.bellman import greedy_policy
from mdp.bounds import bounds_on_error, one_gamma
from mdp.fast.stacking import common_or_own
from mdp.model import MDP
from mdp.planning import Solution

# After so many sweeps look whether they were enough: to look takes as long as to sweep.
SWEEPS_PER_LOOK = 14

# Look so often before solving linear systems; then improve the policy so often.
MAX_LOOKS = 3
MAX_SOLVES = 20

# So many worlds share the second cache; in each, side by side.
SIDE_BY_SIDE = 8

# Up to so many outcomes a pair, comparing beats scattering.
FEW_OUTCOMES = 32

# Kept, for to start a thread takes as long as to solve a dozen worlds.
NUM_CORES = os.cpu_count() or 1
THREADS = ThreadPoolExecutor(NUM_CORES)


def solve_small(mdp: MDP, epsilon: float = 1e-6) -> Solution:
    """v* of one small MDP, or of each of a stack, by sweeps and then policy iteration.

    For a stack (see `stack`), every field of the solution has a leading axis of worlds.
    `residuals`, the largest change in a backup, are of the last of every few sweeps;
    they are nan where a world needed fewer of them than another. Promises what
    `value_iteration` promises. Meant for gamma < 1: at gamma = 1 a greedy policy that
    never ends the episode has no values, and `converged` is then False.
    """
    if np.ndim(mdp.probs) == 3:
        known = one_gamma(mdp.discounts), _is_in_order(mdp.next_states)
        solution = _in_x64(_solve_one, mdp, epsilon, *known)
        solution = Solution(*map(np.array, solution))
        solution = solution._replace(converged=bool(solution.converged))
    else:
        solution = _solve_stack(mdp, epsilon)
    num_looks = (~np.isnan(solution.residuals)).sum(-1).max()
    return solution._replace(residuals=solution.residuals[..., :num_looks])


def _solve_stack(mdps: MDP, epsilon: float) -> Solution:
    """A share of the worlds for every core: XLA alone would use but one here."""
    common, own = zip(*map(common_or_own, mdps), strict=True)
    own = MDP(*own)._replace(probs=mdps.probs)  # tells how many worlds there are
    common = MDP(*common)._replace(probs=None)
    in_order = common.next_states is not None and _is_in_order(mdps.next_states[0])
    gamma = None if common.discounts is None else one_gamma(common.discounts)
    num_worlds = len(mdps.probs)
    share = -(-num_worlds // (SIDE_BY_SIDE * NUM_CORES)) * SIDE_BY_SIDE

    def solve(begin):
        part = jax.tree.map(lambda field: field[begin : begin + share], own)
        return _in_x64(_solve_many, part, common, epsilon, gamma, in_order)

    parts = THREADS.map(solve, range(0, num_worlds, share))
    return Solution(*map(np.concatenate, zip(*parts, strict=True)))


def _in_x64(solve, *args) -> Solution:
    with jax.enable_x64(True):
        return Solution(*map(np.asarray, solve(*args)))


def _is_in_order(next_states: Int[np.ndarray, "S A B"]) -> bool:
    """Made from dense arrays, every pair lists every state in order."""
    num_states, _, num_outcomes = next_states.shape
    if num_states != num_outcomes:
        return False
    return bool((next_states == np.arange(num_states)).all())


@partial(jax.jit, static_argnames="in_order")
def _solve_one(mdp: MDP, epsilon, gamma, in_order: bool) -> Solution:
    return _solution(mdp, _solve(mdp, epsilon, gamma, in_order))


@partial(jax.jit, static_argnames="in_order")
def _solve_many(own: MDP, common: MDP, epsilon, gamma, in_order: bool) -> Solution:
    """Of each world, some fields are its own, and the others those of all."""

    def whole(own):
        both = zip(own, common, strict=True)
        return MDP(*(theirs if mine is None else mine for mine, theirs in both))

    def solve(own):
        return _solve(whole(own), epsilon, gamma, in_order)

    found = lax.map(solve, own, batch_size=SIDE_BY_SIDE)
    return jax.vmap(_solution)(jax.vmap(whole)(own), found)


def _solve(mdp: MDP, epsilon, gamma: Float[Array, ""] | None, in_order: bool):
    if gamma is None:
        weights, gamma = mdp.probs * mdp.discounts, 1.0
        expected = _row_sums(weights)
        least = expected.min(where=mdp.available, initial=1.0)
        most = expected.max(where=mdp.available, initial=0.0)
    else:
        weights, least, most = mdp.probs, gamma, gamma
    next_states = jnp.broadcast_to(mdp.next_states, weights.shape)
    rewards = _row_sums(mdp.probs * mdp.rewards)
    rewards = jnp.where(mdp.available, rewards, -jnp.inf)

    def backup(values):
        """q, one backup from the values."""
        following = gamma * values
        if in_order:
            matrix = weights.reshape(-1, len(values))
            return rewards + (matrix @ following).reshape(rewards.shape)
        following = following.at[next_states].get(mode="promise_in_bounds")
        terms = jnp.moveaxis(weights * following, -1, 0)
        # Written out, for XLA adds up a last axis one by one.
        return sum(terms, start=rewards)

    def best(q):
        """max_a q(s, a); after a product, written out like the sum above."""
        if in_order:
            return reduce(jnp.maximum, q.T)
        return q.max(-1)

    def evaluate(actions):
        """v_pi, exactly."""
        states = jnp.arange(len(actions))
        rows = weights[states, actions]
        if not in_order:
            rows = _dense(rows, next_states[states, actions])
        return _solve_linear(gamma * rows, rewards[states, actions])

    def look(carry, values):
        """One more backup, and what it says about the distance from v*."""
        *_, residuals, count, _ = carry
        q = backup(values)
        improved = best(q)
        change = improved - values
        shift, error = bounds_on_error(change, least, most, jnp.where)
        residuals = residuals.at[count].set(abs(change).max())
        return improved, q, shift, residuals, count + 1, error <= epsilon / 2

    def sweep(carry):
        values, *_ = carry
        for _ in range(SWEEPS_PER_LOOK - 1):
            values = best(backup(values))
        return look(carry, values)

    def solve(carry):
        _, q, *_ = carry
        return look(carry, evaluate(q.argmax(-1)))

    def unfinished(limit, carry):
        *_, count, converged = carry
        return ~converged & (count < limit)

    limits = MAX_LOOKS, MAX_LOOKS + MAX_SOLVES
    residuals = jnp.full(limits[1], jnp.nan)
    carry = sweep((rewards.max(-1), rewards, 0.0, residuals, 0, False))
    carry = lax.while_loop(partial(unfinished, limits[0]), sweep, carry)
    carry = lax.while_loop(partial(unfinished, limits[1]), solve, carry)
    _, q, shift, residuals, _, converged = carry
    return q, shift, residuals, converged


def _solution(mdp: MDP, found) -> Solution:
    q, shift, residuals, converged = found
    q = jnp.where(mdp.available, q + shift, 0.0)
    values = q.max(-1, where=mdp.available, initial=-jnp.inf)
    return Solution(values, q, greedy_policy(mdp, q), residuals, converged)


def _row_sums(field: Float[Array, "S A B"]) -> Float[Array, "S A"]:
    """The sum over outcomes, as a product: XLA adds up a last axis one by one."""
    rows = field.reshape(-1, field.shape[-1])
    return (rows @ jnp.ones(field.shape[-1])).reshape(field.shape[:2])


def _dense(weights: Float[Array, "S B"], next_states) -> Float[Array, "S S"]:
    """sum_b weights where next_states is s'."""
    num_states, num_outcomes = weights.shape
    states = jnp.arange(num_states)
    if num_outcomes > FEW_OUTCOMES:
        empty = jnp.zeros((num_states, num_states))
        return empty.at[states[:, None], next_states].add(weights)
    return sum(
        jnp.where(next_states[:, b, None] == states, weights[:, b, None], 0.0)
        for b in range(num_outcomes)
    )


def _solve_linear(matrix: Float[Array, "S S"], rewards: Float[Array, "S"]) -> Array:
    """The v of v = rewards + matrix v, by factoring the transpose into L U."""
    factors, _, _ = linalg.lu((jnp.eye(len(matrix)) - matrix).T)
    solve = partial(linalg.triangular_solve, factors, left_side=True, transpose_a=True)
    halfway = solve(rewards[:, None], lower=False)
    return solve(halfway, lower=True, unit_diagonal=True)[:, 0]
