"""All trajectories of a small world with their probabilities: exact expectations.

    p(tau)  =  start(S_0)  prod_t pi(A_t | S_t) p(S_{t+1}, R_{t+1} | S_t, A_t)

They turn the mean and the variance of a sampled gradient into sums. The sums are exact
for any baseline, also for one that depends on other episodes of the batch. The world
must have few and short episodes.

Source: Sutton & Barto (2018), section 13.3; Greensmith et al. (2004), section 4, on the
variances.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from mdp import MDP
from policy_gradient.policies import Tables
from policy_gradient.trajectory import Trajectory

MAX_BATCHES = 2_000_000


class Enumerated(NamedTuple):
    """All trajectories of a world under a policy, as float64."""

    trajectories: Trajectory  # [M, time], padded and masked
    probs: Float[np.ndarray, "M"]  # their probabilities, which sum to 1


class Moments(NamedTuple):
    """Moments of a gradient estimate, with the parameters in one row."""

    mean: Float[np.ndarray, "D"]
    variance: Float[np.ndarray, "D"]


def enumerate_trajectories(mdp: MDP, tables: Tables, time_limit: int) -> Enumerated:
    """Return every episode that is possible, cut off after `time_limit` steps.

    Source: Sutton & Barto (2018), section 3.1: the trajectory of eq. 3.1.
    """
    pi = np.exp(np.asarray(tables.log_probs, np.float64))
    paths = list(_paths(mdp, pi, time_limit))
    rows = np.zeros((len(paths), time_limit), [("s", int), ("a", int), ("b", int)])
    mask: Any = np.zeros(rows.shape)  # numpy's arrays in the place of jax's
    for i, (path, _) in enumerate(paths):
        rows[i, : len(path)] = path
        mask[i, : len(path)] = 1.0
    s, a, b = rows["s"], rows["a"], rows["b"]
    next_states, discounts = mdp.next_states[s, a, b], mdp.discounts[s, a, b]
    values = np.asarray(tables.values, np.float64)
    last = mask.sum(1).astype(int) - 1
    continues = mask.copy()
    continues[np.arange(len(paths)), last] = 0.0
    trajectories = Trajectory(
        observations=s,
        actions=a,
        log_probs=np.asarray(tables.log_probs, np.float64)[s, a],
        rewards=mdp.rewards[s, a, b],
        discounts=discounts,
        values=values[s],
        next_values=values[next_states],
        continues=continues,
        mask=mask,
    )
    return Enumerated(trajectories, np.array([prob for _, prob in paths]))


def moments(
    estimate: Callable[[Trajectory], PyTree],
    enumerated: Enumerated,
    num_episodes: int = 1,
) -> Moments:
    """Return the exact mean and variance of an estimate from independent episodes.

    `estimate` takes trajectories [num_episodes, time] and returns a gradient. It is
    computed for all M^num_episodes batches, so that M must be small.

    Raises:
        ValueError: there are more than two million batches.
    """
    M = len(enumerated.probs)
    if M**num_episodes > MAX_BATCHES:
        raise ValueError(
            f"trajectories^num_episodes must be at most {MAX_BATCHES}, "
            f"got {M}^{num_episodes}"
        )
    batches = np.indices((M,) * num_episodes).reshape(num_episodes, -1).T
    probs = enumerated.probs[batches].prod(1)
    with jax.enable_x64(True):
        trajectories = jax.tree.map(jnp.asarray, enumerated.trajectories)

        def batch_estimate(
            indices: Int[Array, "num_episodes"],
        ) -> Float[Array, "D"]:
            gradient = estimate(jax.tree.map(lambda x: x[indices], trajectories))
            return jax.flatten_util.ravel_pytree(gradient)[0]

        mapped = jax.jit(
            lambda batches: jax.lax.map(batch_estimate, batches, batch_size=4096)
        )
        estimates = np.asarray(mapped(batches))
    mean = probs @ estimates
    return Moments(mean, probs @ (estimates - mean) ** 2)


def _paths(
    mdp: MDP, pi: Float[np.ndarray, "S A"], time_limit: int
) -> Iterator[tuple[list[tuple[int, int, int]], float]]:
    """Yield every path of (state, action, outcome), and its probability."""
    open_paths: list[tuple[list[tuple[int, int, int]], int, float]]
    open_paths = [([], int(s), mdp.start[s]) for s in np.flatnonzero(mdp.start)]
    while open_paths:
        path, state, prob = open_paths.pop()
        chances = pi[state][:, None] * mdp.probs[state]
        for action, outcome in np.argwhere(chances > 0):
            index = state, int(action), int(outcome)
            longer, chance = [*path, index], prob * chances[action, outcome]
            if mdp.discounts[index] == 0 or len(longer) == time_limit:
                yield longer, chance
            else:
                open_paths.append((longer, int(mdp.next_states[index]), chance))
