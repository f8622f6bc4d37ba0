"""Large MDPs: inexact policy iteration, compiled.

    pi   <-  greedy for v
    v    <-  v + d      where  (I - gamma T_pi) d = T v - v,  solved roughly

As in `mdp.planning.policy_iteration` the policy is improved greedily and then
evaluated, but only roughly: an exact evaluation of a policy that the next round
replaces is wasted work. It stops on bounds for v* from above and below
(`bounds.py`). At gamma = 1 the bound needs the most steps that any policy
takes on average (`most_steps`). Where a policy may never end there is no bound, and
`policy_iteration` solves the world exactly.

The table of outcomes has one of two forms:

- Few outcomes, as on a grid: `CompiledTable`. The evaluation is by BiCGSTAB. A sweep
  carries a change one state further; a step of BiCGSTAB fits the correction to all
  changes so far.
- Many outcomes, as in a random MDP: `SparseTable`, a sparse matrix of scipy's. The
  evaluation is by sweeps, because there a change is everywhere after a few of them.

States come last in every array of the compiled table, so that a backup reads and writes
memory in order. A sum over outcomes that is written out, b = 0, 1, ..., and a maximum
over actions, become one loop over the states. With states first, as in `MDP`, that loop
takes three times as long on a grid of a million states.

Source: Mrkaic (2002), "Policy iteration accelerated with Krylov methods"; Puterman
(1994), section 6.5, for modified policy iteration; van der Vorst (1992) for BiCGSTAB;
Bertsekas & Tsitsiklis (1991), "An analysis of stochastic shortest path problems".
Shapes: S states, A actions, B outcomes per pair.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from mdp.bellman import greedy_policy
from mdp.fast.bounds import RARE_END, bounds_on_error, may_go_on, one_gamma
from mdp.fast.small import aligned
from mdp.model import MDP, Array
from mdp.planning import Solution, policy_iteration

# In `CompiledTable` states come last, and a row is left for each state by a policy.
Values = Float[Array, "S"]
Row = Float[Array, "B S"]
NextStates = Int[Array, "B S"]

# Evaluate until this share of the change is left. The close one is used when at most
# FEW_CHANGES states changed their action, because then the policy is almost final.
ROUGHLY, CLOSELY, FEW_CHANGES = 0.05, 1e-6, 10

# After so many rounds evaluate by sweeps, which are slow and sure.
PATIENCE = 40

# Up to so many outcomes in a state it pays to write them all out and compile them.
FEW_OUTCOMES = 64

# Take at most so many steps of BiCGSTAB, or sweeps.
MAX_STEPS = 60
MAX_SWEEPS = 20

# At gamma = 1, look so many steps ahead for every policy's end.
FARTHEST_END = 500


class CompiledTable(NamedTuple):
    """The MDP with states last: q(s, a) = rewards + sum_b weights v(next_states)."""

    weights: Float[Array, "A B S"]  # probability times discount
    next_states: Int[Array, "A B S"]
    rewards: Float[Array, "A S"]  # expected; -inf where unavailable

    def improve(self, values: Values) -> tuple[Callable[[], Any], Any, Any]:
        """Return q (by a call), its maximum, and the first action that has it."""
        return partial(_backup, self, values), *_best_of_backup(self, values)

    def correction(
        self, actions: Array, change: Array, share: float, patient: bool
    ) -> Values:
        """Return v_pi - v, roughly: by BiCGSTAB while patient, and then by sweeps."""
        row = _take_rows(self.weights, self.next_states, actions)
        if patient:
            return _solve_roughly(*row, change, share)
        return _add_up_sweeps(*row, change)


class SparseTable(NamedTuple):
    """The MDP as sparse rows of B entries, one row of gamma T for every pair."""

    transitions: csr_array  # [S A, S]; times `discount`: probability times discount
    weights: Float[np.ndarray, "SA B"]  # its entries
    next_states: Int[np.ndarray, "SA B"]  # their columns
    discount: float
    rewards: Float[np.ndarray, "S A"]  # expected; -inf where unavailable

    def improve(
        self, values: Float[np.ndarray, "S"]
    ) -> tuple[Callable[[], Any], Any, Any]:
        """Return q (by a call), its maximum, and the first action that has it."""
        expected = self.transitions @ (self.discount * values)
        q = self.rewards + expected.reshape(self.rewards.shape)
        # Along a short axis, a look-up of the first maximum is faster than `max`.
        actions = q.argmax(-1)
        return lambda: q, q[np.arange(len(q)), actions], actions

    def correction(
        self, actions: np.ndarray, change: np.ndarray, share: float, patient: bool
    ) -> Float[np.ndarray, "S"]:
        """Return the sum of (gamma T_pi)^k change, until new terms are nearly even."""
        pairs = np.arange(len(actions)) * self.rewards.shape[1] + actions
        weights, next_states = (
            rows.take(pairs, axis=0) for rows in (self.weights, self.next_states)
        )
        policy = _sparse(weights, next_states, num_states=len(actions))
        step = correction = change
        enough = share * np.ptp(change)
        for _ in range(MAX_SWEEPS):
            step = policy @ (self.discount * step)
            correction = correction + step
            if np.ptp(step) <= enough:
                break
        return correction


def solve_large(mdp: MDP, epsilon: float = 1e-6, max_rounds: int = 1000) -> Solution:
    """Return v* by inexact policy iteration, for MDPs with very many states.

        pi(s)  <-  argmax_a q(s, a);    v  <-  roughly (I - gamma T_pi)^{-1} r_pi

    `converged` promises |values - v*| <= epsilon / 2 in every state, up to the rounding
    of float64. `values` are the maxima of `action_values`. `residuals` holds the
    largest change in each round's backup. The first call for a new shape may compile
    for a few seconds.

    The promise holds at gamma = 1 too. But unless every policy is likely to end within
    FARTHEST_END steps, `policy_iteration` solves the world there, and `residuals` are
    its own. It is slow beyond 10,000 states.

    Source: Mrkaic (2002); Puterman (1994), section 6.5; Bertsekas & Tsitsiklis (1991).

    Raises:
        ValueError: gamma = 1, and from some state no policy ends the episode, or the
            agent can earn for ever without ending it.
    """
    _, num_actions, num_outcomes = mdp.probs.shape
    few = num_actions * num_outcomes <= FEW_OUTCOMES
    gamma = one_gamma(mdp.discounts)
    least, most = expected_discounts(mdp) if gamma is None else (gamma, gamma)
    residuals: list[float] = []
    old_actions: Any = -1
    with jax.enable_x64(True):
        table, values = compiled_table(mdp) if few else sparse_table(mdp, gamma)
        if most > 1 - RARE_END and may_go_on(mdp):
            # The bounds are those of a discount that ends episodes after so many steps.
            least, most = 0.0, 1 - 1 / most_steps(table, len(values))
            if most == 1:
                return policy_iteration(mdp, 0.0, max_rounds)
        while True:
            q, best, actions = table.improve(values)
            change = best - values
            shift, error = map(float, bounds_on_error(change, least, most))
            residuals.append(float(abs(change).max()))
            converged = error <= epsilon / 2
            if converged or len(residuals) == max_rounds:
                break
            stays = (actions != old_actions).sum() <= FEW_CHANGES
            share, old_actions = CLOSELY if stays else ROUGHLY, actions
            patient = len(residuals) < PATIENCE
            values = values + table.correction(actions, change, share, patient)
        action_values = np.where(mdp.available, q() + shift, 0.0)
        values = np.asarray(best + shift)
    policy = greedy_policy(mdp, action_values)
    return Solution(values, action_values, policy, np.array(residuals), converged)


def expected_discounts(mdp: MDP) -> tuple[float, float]:
    """Return the smallest and the largest expected discount of any available pair."""
    expected = np.einsum("sab,sab->sa", mdp.probs, mdp.discounts)[mdp.available]
    return expected.min(), expected.max()


def most_steps(table: CompiledTable | SparseTable, num_states: int) -> float:
    """Return a bound on the mean number of steps that any policy takes at gamma = 1.

        alive_k(s)  =  max_a sum_b weights(s, a, b) alive_{k-1}(s'),     alive_0 = 1

    is the largest probability of going on for k steps. With m_k for its maximum over
    the states, no policy takes more than (m_0 + ... + m_{k-1}) / (1 - m_k) steps on
    average. The bound is infinite if m_k is above 1/2 for every k to FARTHEST_END, or
    about 1 after as many steps as there are states: then a policy never ends.

    Source: Bertsekas & Tsitsiklis (1991), for the contraction in several steps.
    """
    # 0 for what is available, and -inf for the rest.
    no_rewards = table.rewards - table.rewards.clip(np.finfo(float).min)
    free: Any = table._replace(rewards=no_rewards)
    alive, most_alive, steps = np.ones(num_states), 1.0, 0.0
    for k in range(1, FARTHEST_END + 1):
        steps += most_alive
        _, alive, _ = free.improve(alive)
        most_alive = float(alive.max())
        if most_alive <= 0.5:
            return steps / (1 - most_alive)
        if k >= num_states and most_alive > 1 - RARE_END:
            break
    return np.inf


def compiled_table(mdp: MDP) -> tuple[CompiledTable, Values]:
    """Return the compiled table, and the best reward of every state as first values."""
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


def sparse_table(
    mdp: MDP, gamma: float | None
) -> tuple[SparseTable, Float[np.ndarray, "S"]]:
    """Return the sparse table, and the best reward of every state as first values.

    `gamma` is the discount if all outcomes have the same one, and else None.
    """
    num_states, _, num_outcomes = mdp.probs.shape
    # The usual case, one gamma and no ends, needs no array of products.
    weights = mdp.probs if gamma is not None else mdp.probs * mdp.discounts
    weights = weights.reshape(-1, num_outcomes)
    # 32-bit: scipy would look for the largest index before every product.
    next_states = mdp.next_states.astype(np.int32).reshape(-1, num_outcomes)
    rewards = np.einsum("sab,sab->sa", mdp.probs, mdp.rewards)
    rewards[~mdp.available] = -np.inf
    table = SparseTable(
        transitions=_sparse(weights, next_states, num_states),
        weights=weights,
        next_states=next_states,
        discount=1.0 if gamma is None else gamma,
        rewards=rewards,
    )
    return table, rewards.max(-1)


def _sparse(
    weights: Float[np.ndarray, "rows B"],
    next_states: Int[np.ndarray, "rows B"],
    num_states: int,
) -> csr_array:
    """Return rows of B entries as a sparse matrix."""
    starts = np.arange(0, weights.size + 1, weights.shape[1], dtype=np.int32)
    entries = weights.ravel(), next_states.ravel(), starts
    return csr_array(entries, shape=(len(weights), num_states))


@jax.jit
def _backup(table: CompiledTable, values: Values) -> Float[Array, "S A"]:
    """Return q(s, a) = r(s, a) + sum_b weights(s, a, b) v(next_states(s, a, b))."""
    return jnp.stack(_backups(table, values), -1)


@jax.jit
def _best_of_backup(
    table: CompiledTable, values: Values
) -> tuple[Values, Int[Array, "S"]]:
    """Return the largest q of every state, and the first action that has it."""
    q = _backups(table, values)
    best = reduce(jnp.maximum, q)
    actions = jnp.zeros(len(values), jnp.int32)
    for a in reversed(range(len(q))):
        actions = jnp.where(q[a] == best, a, actions)
    return best, actions


def _backups(table: CompiledTable, values: Values) -> list[Values]:
    """Return q for each action, as a list."""
    return [r + _expected(w, n, values) for w, n, r in zip(*table, strict=True)]


def _expected(weights: Row, next_states: NextStates, values: Array) -> Values:
    """Return sum_b weights(s, b) v(next_states(s, b)), written out."""
    # Without a check of the bounds, which `validate` made once.
    return sum(
        w * values.at[following].get(mode="promise_in_bounds")
        for w, following in zip(weights, next_states, strict=True)
    )


@jax.jit
def _take_rows(
    weights: Float[Array, "A B S"],
    next_states: Int[Array, "A B S"],
    actions: Int[Array, "S"],
) -> tuple[Row, NextStates]:
    """Return the rows of gamma T that these actions leave, in float32.

    The correction's own error is corrected in the next round, and a sweep costs what it
    reads.
    """
    which = jnp.broadcast_to(actions, weights.shape[1:])
    return (
        lax.select_n(which, *weights.astype(jnp.float32)),
        lax.select_n(which, *next_states),
    )


@jax.jit
def _add_up_sweeps(weights: Row, next_states: NextStates, change: Values) -> Values:
    """Return the sum of (gamma T_pi)^k change, for k = 0, 1, ..., MAX_SWEEPS."""

    def sweep(_: Any, correction: Values) -> Values:
        return change + _expected(weights, next_states, correction)

    return lax.fori_loop(0, MAX_SWEEPS, sweep, change)


@jax.jit
def _solve_roughly(
    weights: Row, next_states: NextStates, change: Values, share: Float[Array, ""]
) -> Values:
    """Solve (I - gamma T_pi) d = change roughly, by BiCGSTAB from d = 0.

    Source: van der Vorst (1992), "Bi-CGSTAB".
    """
    # Scaled, so that the squares of small changes do not vanish in float32.
    scale = abs(change).max()
    wanted = (change / scale).astype(jnp.float32)

    def system(x: Values) -> Values:
        return x - _expected(weights, next_states, x)

    def unfinished(carry: tuple) -> Array:
        _, residual, *_, steps = carry
        return (residual @ residual > share**2 * total) & (steps < MAX_STEPS)

    def step(carry: tuple) -> tuple:
        solution, residual, direction, rho, steps = carry
        moved = system(direction)
        alpha = rho / (wanted @ moved)
        halfway = residual - alpha * moved
        turned = system(halfway)
        omega = (turned @ halfway) / (turned @ turned)
        solution = solution + alpha * direction + omega * halfway
        residual = halfway - omega * turned
        new_rho = wanted @ residual
        beta = new_rho / rho * alpha / omega
        direction = residual + beta * (direction - omega * moved)
        return solution, residual, direction, new_rho, steps + 1

    total = wanted @ wanted
    start = jnp.zeros_like(wanted), wanted, wanted, total, 0
    solution, residual, *_ = lax.while_loop(unfinished, step, start)
    # BiCGSTAB can break down (0 / 0); then one backup is the correction.
    return scale * jnp.where(residual @ residual < total, solution, wanted)
