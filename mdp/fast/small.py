"""Small MDPs, one or thousands in one call, compiled.

    sweep      v  <-  max_a [ r + gamma T v ]             while that is quick
    then       v  <-  (I - gamma T_pi)^{-1} r_pi          with pi greedy for v

A small MDP fits into the processor's nearest caches, and a sweep of 20 states takes a
quarter of a microsecond there. It is a product with the dense matrix T if the outcomes
are in that order, and a look-up of each outcome otherwise. So thousands of MDPs are
solved a few at a time, from beginning to end. They are never swept all side by side:
that would fetch every table from main memory in every sweep.

Many random MDPs need no linear solve at all, because the stopping rule looks at the
*span* of the change (`bounds.py`). It is tighter than `planning.largest_change`, and
never looser: where no episode ends, an error equal in all states does not count.

In the tables here states come last, so that a product and a maximum over actions run
along whole rows of memory. `stack` stores its worlds in that order; other arrays are
copied into it.

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
from mdp.fast.bounds import bounds_on_error, may_go_on, one_gamma
from mdp.model import MDP, Array
from mdp.planning import Solution, policy_iteration

# The first sweeps, so many, are in float32: there is half as much to read. Those in
# float64 put right what they lack in precision.
ROUGH_SWEEPS = 11

# Test for convergence after so many sweeps: the test costs as much as a sweep.
SWEEPS_PER_TEST = 3

# So many tests before solving linear systems; then so many improvements of the policy.
MAX_TESTS = 10
MAX_SOLVES = 20

# So many worlds share the second cache; each thread solves them side by side.
SIDE_BY_SIDE = 8

# Up to so many outcomes a pair, comparing is faster than scattering.
FEW_OUTCOMES = 32

# The threads are kept: starting one takes as long as solving a dozen worlds.
NUM_CORES = os.cpu_count() or 1
THREADS = ThreadPoolExecutor(NUM_CORES)


class _Carry(NamedTuple):
    """The state of the solver between two tests for convergence."""

    values: Float[Array, "S"]
    q: Float[Array, "A S"]  # the backup that gave the values
    shift: Float[Array, ""]
    residuals: Float[Array, "tests"]  # largest change of a value in each test
    num_tests: Int[Array, ""]
    converged: Bool[Array, ""]


class _SmallTable(NamedTuple):
    """The MDP in the form that is backed up: q = rewards + weights (gamma v)."""

    weights: Float[Array, "B A S"]  # probabilities, times discounts if these differ
    next_states: (
        Int[Array, "B A S"] | None
    )  # None if all pairs list all states in order
    rewards: Float[Array, "A S"]  # expected; -inf where unavailable
    gamma: Float[Array, ""]

    def backup(self, values: Float[Array, "S"]) -> Float[Array, "A S"]:
        """Return q, one backup from the values."""
        following = self.gamma * values
        if self.next_states is None:
            matrix = self.weights.reshape(len(values), -1)
            return self.rewards + (following @ matrix).reshape(self.rewards.shape)
        following = following.at[self.next_states].get(mode="promise_in_bounds")
        # Written out, because XLA adds up an axis one by one.
        return sum(self.weights * following, start=self.rewards)

    def best(self, q: Float[Array, "A S"]) -> Float[Array, "S"]:
        """Return max_a q(s, a), written out like the sum."""
        return reduce(jnp.maximum, q)

    def sweeps(self, values: Float[Array, "S"], count: int) -> Float[Array, "S"]:
        """Return the values after so many sweeps."""

        def sweep(_: Any, values: Float[Array, "S"]) -> Float[Array, "S"]:
            return self.best(self.backup(values))

        return lax.fori_loop(0, count, sweep, values)

    def rough_values(self, level_counts: bool) -> Float[Array, "S"]:
        """Return values to start from: the best rewards, swept in float32.

        Unless their level counts, it is taken away before each sweep, because smaller
        numbers are rounded less.
        """
        single = self._replace(
            weights=self.weights.astype(jnp.float32),
            rewards=self.rewards.astype(jnp.float32),
            gamma=jnp.float32(self.gamma),
        )

        def sweep(_: Any, values: Float[Array, "S"]) -> Float[Array, "S"]:
            level = 0.0 if level_counts else values[0]
            return single.best(single.backup(values - level))

        first = self.best(self.rewards)
        swept = lax.fori_loop(0, ROUGH_SWEEPS, sweep, first.astype(jnp.float32))
        # A reward may be too large for float32.
        return jnp.where(jnp.isfinite(swept), swept, first)

    def policy_values(self, actions: Int[Array, "S"]) -> Float[Array, "S"]:
        """Return v_pi, exactly."""
        states = jnp.arange(len(actions))
        rows = self.weights[:, actions, states].T
        if self.next_states is not None:
            rows = _dense(rows, self.next_states[:, actions, states].T)
        return _solve_linear(self.gamma * rows, self.rewards[actions, states])


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
    once: the array just repeats them. In memory the axes of a world stand in the
    opposite order, states last, as `solve_small` reads them.

    Raises:
        ValueError: the shapes differ, or there is no MDP at all.
    """
    shapes = sorted({np.shape(mdp.probs) for mdp in mdps})
    if len(shapes) != 1:
        raise ValueError(f"mdps must all have one shape [S, A, B], got {shapes}")
    return MDP(*(_stored_once(np.stack(field)) for field in zip(*mdps, strict=True)))


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
    kept = _turned(kept)
    stored = aligned(kept.shape, kept.dtype)
    stored[:] = kept
    return np.broadcast_to(_turned(stored), field.shape)


def _turned(field: np.ndarray) -> np.ndarray:
    """Return the array with all axes but the first in the opposite order."""
    return field.transpose(0, *range(field.ndim - 1, 0, -1))


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
    fields = [*map(_turned, fields)]
    pairs = list(zip(fields, shared, strict=True))
    common = MDP(*(field[0] if same else None for field, same in pairs))
    own = MDP(*(None if same else field for field, same in pairs))
    common, own = common._replace(probs=None), own._replace(probs=_turned(mdps.probs))
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
    states_last: MDP = jax.tree.map(jnp.transpose, mdp)
    return _solution(states_last, _solve(states_last, epsilon, gamma, in_order))


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
        is_now = jnp.arange(last) == carry.num_tests
        largest = jnp.maximum(change.max(), -change.min())
        residuals = jnp.where(is_now, largest, carry.residuals)
        converged = error <= epsilon / 2
        return _Carry(improved, q, shift, residuals, carry.num_tests + 1, converged)

    def sweep(carry: _Carry) -> _Carry:
        return test(carry, table.sweeps(carry.values, SWEEPS_PER_TEST - 1))

    def solve(carry: _Carry) -> _Carry:
        return test(carry, table.policy_values(carry.q.argmax(0)))

    def unfinished(limit: int, carry: _Carry) -> Bool[Array, ""]:
        return ~carry.converged & (carry.num_tests < limit)

    first, last = MAX_TESTS, MAX_TESTS + MAX_SOLVES
    residuals = jnp.full(last, jnp.nan)
    # With one gamma a level stays equal in all states, and `shift` finds it in the end.
    values = table.rough_values(level_counts=gamma is None)
    carry = _Carry(values, table.rewards, 0.0, residuals, 0, False)
    carry = lax.while_loop(partial(unfinished, first), sweep, carry)
    return lax.while_loop(partial(unfinished, last), solve, carry)


def _small_table(mdp: MDP, gamma: Any, in_order: bool) -> tuple[_SmallTable, Any, Any]:
    """Return the table, and the smallest and largest expected discount of a pair."""
    probs, next_states, rewards, discounts, available, _ = mdp
    if gamma is None:
        weights, gamma = probs * discounts, 1.0
        expected = _sum_over_outcomes(weights)
        least = expected.min(where=available, initial=1.0)
        most = expected.max(where=available, initial=0.0)
    else:
        weights, least, most = probs, gamma, gamma
    following = None if in_order else jnp.broadcast_to(next_states, weights.shape)
    expected_rewards = _sum_over_outcomes(probs * rewards)
    best = jnp.where(available, expected_rewards, -jnp.inf)
    return _SmallTable(weights, following, best, gamma), least, most


def _solution(mdp: MDP, last: _Carry) -> Solution:
    """Return the solution that the last state of the solver holds."""
    q: Any = jnp.where(mdp.available, last.q + last.shift, 0.0)
    values = q.max(0, where=mdp.available, initial=-jnp.inf)
    policy = greedy_policy(mdp._replace(available=mdp.available.T), q.T)
    return Solution(values, q.T, policy, last.residuals, last.converged)


def _sum_over_outcomes(field: Float[Array, "B A S"]) -> Float[Array, "A S"]:
    """Return the sum over outcomes, as a product: XLA adds up an axis one by one."""
    rows = field.reshape(len(field), -1)
    return (jnp.ones(len(field)) @ rows).reshape(field.shape[1:])


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
    """Return the v of v = rewards + matrix v, by elimination.

    The rewards are a last column of the system. Its factoring into L U leaves L^{-1} r
    there, so that only U is left to be solved.
    """
    system = jnp.column_stack([jnp.eye(len(matrix)) - matrix, rewards])
    factors, _, _ = linalg.lu(system)
    upper, halfway = factors[:, :-1], factors[:, -1:]
    return linalg.triangular_solve(upper, halfway, left_side=True)[:, 0]
