"""Small MDPs, one or thousands in one call, compiled.

    sweep      v  <-  max_a [ r + gamma T v ]             while that is quick
    then       v  <-  (I - gamma T_pi)^{-1} r_pi          with pi greedy for v

A small MDP fits into the processor's nearest caches, and a sweep of 20 states takes a
quarter of a microsecond there. It is a product with the dense matrix T if the outcomes
are in that order, and a look-up of each outcome otherwise. So thousands of MDPs are
solved a few at a time, from beginning to end. They are never swept all side by side:
that would fetch every table from main memory in every sweep.

Many random MDPs need no linear solve at all, because the stopping rule looks at the
*span* of the change (`bounds_on_error`). It is tighter than `planning.largest_change`,
and never looser: where no episode ends, an error that is equal in all states does not
count.

I - gamma T_pi is dominated by its diagonal row by row, so its transpose is dominated
column by column, and the transpose is factored without exchanging any rows.

Source: Puterman (1994), sections 6.3 and 6.4; Porteus (1971), "Some bounds for
discounted sequential decision processes", for the stopping rule.
Shapes: N worlds, S states, A actions, B outcomes per pair.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import linalg
from jaxtyping import Bool, Float, Int
from numpy.typing import DTypeLike

from mdp.bellman import greedy_policy
from mdp.model import MDP, Array
from mdp.planning import Solution, policy_iteration

# Test for convergence after so many sweeps: the test costs as much as a sweep.
SWEEPS_PER_TEST = 14

# So many tests before solving linear systems; then so many improvements of the policy.
MAX_TESTS = 3
MAX_SOLVES = 20

# So many worlds share the second cache; each thread solves them side by side.
SIDE_BY_SIDE = 8

# Up to so many outcomes a pair, comparing is faster than scattering.
FEW_OUTCOMES = 32

# Expected discounts that differ by no more than rounding: all of them are gamma.
SAME_DISCOUNT = 1e-9

# Without a discount, an end that is rarer than this gives a bound that rounding spoils.
RARE_END = 1e-6

# The threads are kept: starting one takes as long as solving a dozen worlds.
NUM_CORES = os.cpu_count() or 1
THREADS = ThreadPoolExecutor(NUM_CORES)


class Bounds(NamedTuple):
    """The distance of values from v*, as the change in their last backup bounds it."""

    shift: Any  # add it to the values to stand in the middle of the bounds
    error: Any  # the largest error after that


class _Carry(NamedTuple):
    """The state of the solver between two tests for convergence."""

    values: Float[Array, "S"]
    q: Float[Array, "S A"]  # the backup that gave the values
    shift: Float[Array, ""]
    residuals: Float[Array, "tests"]  # largest change of a value in each test
    num_tests: Int[Array, ""]
    converged: Bool[Array, ""]


class _SmallTable(NamedTuple):
    """The MDP in the form that is backed up: q = rewards + weights (gamma v)."""

    weights: Float[Array, "S A B"]  # probabilities, times discounts if these differ
    next_states: Int[Array, "S A B"]
    rewards: Float[Array, "S A"]  # expected; -inf where unavailable
    gamma: Float[Array, ""]
    in_order: bool  # True if every pair lists every state in order

    def backup(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """Return q, one backup from the values."""
        following = self.gamma * values
        if self.in_order:
            matrix = self.weights.reshape(-1, len(values))
            return self.rewards + (matrix @ following).reshape(self.rewards.shape)
        following = following.at[self.next_states].get(mode="promise_in_bounds")
        terms = jnp.moveaxis(self.weights * following, -1, 0)
        # Written out, because XLA adds up a last axis one by one.
        return sum(terms, start=self.rewards)

    def best(self, q: Float[Array, "S A"]) -> Float[Array, "S"]:
        """Return max_a q(s, a); after a product it is written out, like the sum."""
        return reduce(jnp.maximum, q.T) if self.in_order else q.max(-1)

    def policy_values(self, actions: Int[Array, "S"]) -> Float[Array, "S"]:
        """Return v_pi, exactly."""
        states = jnp.arange(len(actions))
        rows = self.weights[states, actions]
        if not self.in_order:
            rows = _dense(rows, self.next_states[states, actions])
        return _solve_linear(self.gamma * rows, self.rewards[states, actions])


def solve_small(mdp: MDP, epsilon: float = 1e-6) -> Solution:
    """Return v* of one small MDP, or of each of a stack, by sweeps and linear solves.

    For a stack (see `stack`), every field of the solution has a leading axis of worlds.
    `residuals` holds the largest change in one backup of every few sweeps; it is nan
    where a world needed fewer of them than another. `converged` promises |values - v*|
    <= epsilon / 2 in every state, up to the rounding of float64.

    If gamma = 1 (`may_go_on`), the sweeps have no bound. Such a world is solved by
    `mdp.policy_iteration`, one after the other, and v* and `residuals` are what they
    are there.

    Source: Puterman (1994), sections 6.3 and 6.4; Porteus (1971).

    Raises:
        ValueError: gamma = 1, and from some state no policy ends the episode, or the
            agent can earn for ever without ending it.
    """
    if may_go_on(mdp).any():
        return _solve_undiscounted(mdp, epsilon)
    if np.ndim(mdp.probs) == 3:
        gamma, in_order = one_gamma(mdp.discounts), _is_in_order(mdp.next_states)
        solution = _in_x64(_solve_one, mdp, epsilon, gamma, in_order)
        solution = solution._replace(converged=bool(solution.converged))
    else:
        solution = _solve_stack(mdp, epsilon)
    num_tests = (~np.isnan(solution.residuals)).sum(-1).max()
    return solution._replace(residuals=solution.residuals[..., :num_tests])


def stack(mdps: Sequence[MDP]) -> MDP:
    """Return many MDPs of one shape as one, every field with a leading axis of worlds.

    Entries that are equal in all worlds, or for all outcomes of a pair, are stored only
    once: the array just repeats them.

    Raises:
        ValueError: the shapes differ, or there is no MDP at all.
    """
    shapes = sorted({np.shape(mdp.probs) for mdp in mdps})
    if len(shapes) != 1:
        raise ValueError(f"mdps must all have one shape [S, A, B], got {shapes}")
    return MDP(*(_stored_once(np.stack(field)) for field in zip(*mdps, strict=True)))


def bounds_on_error(
    change: Any, least: Any, most: Any, where: Callable = np.where
) -> Bounds:
    """Return bounds on the distance of T v from v*, from the change T v - v.

        d g / (1 - g)  for d = min (T v - v)  and for d = max (T v - v)

    are the smallest and the largest difference v* - T v. Here g is the expected
    discount of a pair, between `least` and `most`: of all pairs, the one with the
    weaker bound. If all are equal, the middle between the bounds is the better
    estimate, and only the span of the change counts. If they differ, some states are
    ends: their value is 0 and must stay 0. If gamma = 1 there is no such bound, and the
    error is infinite.

    Args:
        change: T v - v, [S].
        least: smallest expected discount of an available pair.
        most: the largest.
        where: `np.where`, or `jnp.where` for numbers of jax.

    Source: Porteus (1971); Puterman (1994), section 6.6.3.
    """
    low, high = change.min(), change.max()
    # Gamma = 1 has no bound; here it must only not divide by 0.
    weak, strong = (g / (1 - where(g < 1, g, 0.0)) for g in (least, most))
    lower = low * where(low > 0, weak, strong)
    upper = high * where(high > 0, strong, weak)
    all_equal = most - least <= SAME_DISCOUNT
    shift = where(all_equal, (upper + lower) / 2, 0.0)
    error = where(all_equal, (upper - lower) / 2, where(upper > -lower, upper, -lower))
    return Bounds(where(most < 1, shift, 0.0), where(most < 1, error, np.inf))


def may_go_on(mdp: MDP) -> Bool[np.ndarray, "*n"]:
    """Return True if some action is sure to go on undiscounted, or almost: gamma = 1.

    For a stack there is one answer for each world. The bounds on the error divide by
    the probability of not going on.
    """
    # What a stack stores once (stride 0) is looked at once.
    once = tuple(slice(None if stride else 1) for stride in mdp.discounts.strides)
    is_one = mdp.discounts[once] == 1
    undiscounted = is_one.reshape(*is_one.shape[:-3], -1).any(-1)
    if undiscounted.any():
        expected = np.einsum("...b,...b->...", mdp.probs, mdp.discounts)
        undiscounted = undiscounted & (expected > 1 - RARE_END).any((-2, -1))
    return np.asarray(undiscounted)


def one_gamma(discounts: Float[np.ndarray, "*n S A B"]) -> float | None:
    """Return the discount if all outcomes have the same one, and None if they differ.

    Equal *expected* discounts are not enough: where every step may end the episode, the
    other outcomes are still discounted by all of gamma.
    """
    gamma = discounts.flat[0]
    return float(gamma) if (discounts == gamma).all() else None


def aligned(shape: tuple[int, ...], dtype: DTypeLike = float) -> np.ndarray:
    """Return an empty array on a 64-byte boundary; XLA copies any other array first."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype).reshape(shape)


def _stored_once(field: np.ndarray) -> np.ndarray:
    """Return the array with equal worlds, and equal outcomes, stored once."""
    kept = field
    for axis in {0, field.ndim - 1} - {1}:
        first = kept.take([0], axis)
        kept = first if (kept == first).all() else kept
    stored = aligned(kept.shape, kept.dtype)
    stored[:] = kept
    return np.broadcast_to(stored, field.shape)


def _solve_undiscounted(mdp: MDP, epsilon: float) -> Solution:
    """Solve one world by policy iteration, or each of a stack on its own."""
    if np.ndim(mdp.probs) == 3:
        return policy_iteration(mdp, epsilon=0.0)
    worlds = (MDP(*fields) for fields in zip(*mdp, strict=True))
    solutions = [solve_small(world, epsilon) for world in worlds]
    most = max(len(solution.residuals) for solution in solutions)

    def padded(residuals: np.ndarray) -> np.ndarray:
        return np.append(residuals, np.full(most - len(residuals), np.nan))

    rows = (s._replace(residuals=padded(s.residuals)) for s in solutions)
    fields: Any = (np.stack(field) for field in zip(*rows, strict=True))
    return Solution(*fields)


def _solve_stack(mdps: MDP, epsilon: float) -> Solution:
    """Solve a share of the worlds on every core: XLA alone would use only one here."""
    # Equal outcomes are stored with stride 0 (`stack`): one of them is enough.
    fields = [field if field.strides[-1] else field[..., :1] for field in mdps]
    shared = [field.strides[0] == 0 for field in fields]
    pairs = list(zip(fields, shared, strict=True))
    common = MDP(*(field[0] if same else None for field, same in pairs))
    own = MDP(*(None if same else field for field, same in pairs))
    common, own = common._replace(probs=None), own._replace(probs=mdps.probs)
    in_order = common.next_states is not None and _is_in_order(mdps.next_states[0])
    gamma = None if common.discounts is None else one_gamma(common.discounts)
    num_worlds = len(mdps.probs)
    share = -(-num_worlds // (SIDE_BY_SIDE * NUM_CORES)) * SIDE_BY_SIDE

    def solve(begin: int) -> Solution:
        part = jax.tree.map(lambda field: field[begin : begin + share], own)
        return _in_x64(_solve_many, part, common, epsilon, gamma, in_order)

    parts = THREADS.map(solve, range(0, num_worlds, share))
    return jax.tree.map(lambda *fields: np.concatenate(fields), *parts)


def _in_x64(solve: Callable[..., Solution], *args: Any) -> Solution:
    """Call a compiled solver in float64, and return numpy arrays."""
    with jax.enable_x64(True):
        return jax.tree.map(np.array, solve(*args))


def _is_in_order(next_states: Int[np.ndarray, "S A B"]) -> bool:
    """Return True if every pair lists every state in order, as dense arrays do."""
    num_states, _, num_outcomes = next_states.shape
    if num_states != num_outcomes:
        return False
    return bool((next_states == np.arange(num_states)).all())


@partial(jax.jit, static_argnames="in_order")
def _solve_one(mdp: MDP, epsilon: Any, gamma: Any, in_order: bool) -> Solution:
    return _solution(mdp, _solve(mdp, epsilon, gamma, in_order))


@partial(jax.jit, static_argnames="in_order")
def _solve_many(
    own: MDP, common: MDP, epsilon: Any, gamma: Any, in_order: bool
) -> Solution:
    """Solve many worlds; the fields that they share are stored once, in `common`."""

    def whole(own: MDP) -> MDP:
        both = zip(own, common, strict=True)
        return MDP(*(shared if mine is None else mine for mine, shared in both))

    def solve(own: MDP) -> _Carry:
        return _solve(whole(own), epsilon, gamma, in_order)

    last = lax.map(solve, own, batch_size=SIDE_BY_SIDE)
    return jax.vmap(_solution)(jax.vmap(whole)(own), last)


def _solve(mdp: MDP, epsilon: Any, gamma: Any, in_order: bool) -> _Carry:
    """Sweep until a test shows convergence; after MAX_TESTS, solve linear systems."""
    table, least, most = _small_table(mdp, gamma, in_order)

    def test(carry: _Carry, values: Float[Array, "S"]) -> _Carry:
        """Make one more backup, and bound the distance from v* by its change."""
        q = table.backup(values)
        improved = table.best(q)
        change = improved - values
        shift, error = bounds_on_error(change, least, most, jnp.where)
        residuals = carry.residuals.at[carry.num_tests].set(abs(change).max())
        converged = error <= epsilon / 2
        return _Carry(improved, q, shift, residuals, carry.num_tests + 1, converged)

    def sweep(carry: _Carry) -> _Carry:
        values = carry.values
        for _ in range(SWEEPS_PER_TEST - 1):
            values = table.best(table.backup(values))
        return test(carry, values)

    def solve(carry: _Carry) -> _Carry:
        return test(carry, table.policy_values(carry.q.argmax(-1)))

    def unfinished(limit: int, carry: _Carry) -> Bool[Array, ""]:
        return ~carry.converged & (carry.num_tests < limit)

    first, last = MAX_TESTS, MAX_TESTS + MAX_SOLVES
    rewards, residuals = table.rewards, jnp.full(last, jnp.nan)
    carry = sweep(_Carry(rewards.max(-1), rewards, 0.0, residuals, 0, False))
    carry = lax.while_loop(partial(unfinished, first), sweep, carry)
    return lax.while_loop(partial(unfinished, last), solve, carry)


def _small_table(mdp: MDP, gamma: Any, in_order: bool) -> tuple[_SmallTable, Any, Any]:
    """Return the table, and the smallest and largest expected discount of a pair."""
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
    return _SmallTable(weights, next_states, rewards, gamma, in_order), least, most


def _solution(mdp: MDP, last: _Carry) -> Solution:
    """Return the solution that the last state of the solver holds."""
    q: Any = jnp.where(mdp.available, last.q + last.shift, 0.0)
    values = q.max(-1, where=mdp.available, initial=-jnp.inf)
    return Solution(values, q, greedy_policy(mdp, q), last.residuals, last.converged)


def _row_sums(field: Float[Array, "S A B"]) -> Float[Array, "S A"]:
    """Return the sum over outcomes, as a product: XLA adds up an axis one by one."""
    rows = field.reshape(-1, field.shape[-1])
    return (rows @ jnp.ones(field.shape[-1])).reshape(field.shape[:2])


def _dense(
    weights: Float[Array, "S B"], next_states: Int[Array, "S B"]
) -> Float[Array, "S S"]:
    """Return the dense matrix of the weights: row s, column s'."""
    num_states, num_outcomes = weights.shape
    states = jnp.arange(num_states)
    if num_outcomes > FEW_OUTCOMES:
        empty = jnp.zeros((num_states, num_states))
        return empty.at[states[:, None], next_states].add(weights)
    return sum(
        jnp.where(next_states[:, b, None] == states, weights[:, b, None], 0.0)
        for b in range(num_outcomes)
    )


def _solve_linear(
    matrix: Float[Array, "S S"], rewards: Float[Array, "S"]
) -> Float[Array, "S"]:
    """Return the v of v = rewards + matrix v, by factoring the transpose into L U."""
    factors, _, _ = linalg.lu((jnp.eye(len(matrix)) - matrix).T)
    solve = partial(linalg.triangular_solve, factors, left_side=True, transpose_a=True)
    halfway = solve(rewards[:, None], lower=False)
    return solve(halfway, lower=True, unit_diagonal=True)[:, 0]
