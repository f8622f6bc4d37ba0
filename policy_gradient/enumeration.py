"""Every trajectory of a small world, with its probability: expectations without luck.

    p(tau)  =  start(S_0)  prod_t pi(A_t | S_t) p(S_{t+1}, R_{t+1} | S_t, A_t)

With all of them at hand the mean and the variance of a sampled gradient are sums, and
not samples again: exact, for any baseline, also for one that looks at other episodes of
the batch. It takes a world whose episodes are few and short.

Source: Sutton & Barto (2018), eq. 3.4; Greensmith et al. (2004) on what the variances
should be.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from mdp import MDP
from policy_gradient.policies import Tables
from policy_gradient.trajectory import Trajectory

MOST_BATCHES = 2_000_000


class Enumerated(NamedTuple):
    """All trajectories of a world under a policy, as float64."""

    trajectories: Trajectory  # [M, time], padded and masked
    probs: Float[np.ndarray, "M"]  # their probabilities, which sum to 1


class Moments(NamedTuple):
    """Of a gradient estimate, with the parameters in one row."""

    mean: Float[np.ndarray, "D"]
    variance: Float[np.ndarray, "D"]


def enumerate_trajectories(mdp: MDP, tables: Tables, time_limit: int) -> Enumerated:
    """Every episode that may happen, cut off after `time_limit` steps."""
    pi = np.exp(np.asarray(tables.log_probs, np.float64))
    paths = list(_paths(mdp, pi, time_limit))
    rows = np.zeros((len(paths), time_limit), [("s", int), ("a", int), ("b", int)])
    mask = np.zeros(rows.shape)
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
    """The exact mean and variance of an estimate from so many independent episodes.

    `estimate` takes trajectories [num_episodes, time] and returns a gradient. All
    M^num_episodes batches are gone through, so that M must be small.

    Raises:
        ValueError: there are more than two million batches.
    """
    M = len(enumerated.probs)
    if M**num_episodes > MOST_BATCHES:
        raise ValueError(
            f"trajectories^num_episodes must be at most {MOST_BATCHES}, "
            f"got {M}^{num_episodes}"
        )
    batches = np.indices((M,) * num_episodes).reshape(num_episodes, -1).T
    probs = enumerated.probs[batches].prod(1)
    with jax.enable_x64(True):
        trajectories = jax.tree.map(jnp.asarray, enumerated.trajectories)

        def of_batch(indices):
            gradient = estimate(jax.tree.map(lambda x: x[indices], trajectories))
            return jax.flatten_util.ravel_pytree(gradient)[0]

        estimates = jax.jit(lambda all: jax.lax.map(of_batch, all, batch_size=4096))
        found = np.asarray(estimates(batches))
    mean = probs @ found
    return Moments(mean, probs @ (found - mean) ** 2)


def _paths(
    mdp: MDP, pi: Float[np.ndarray, "S A"], time_limit: int
) -> Iterator[tuple[list[tuple[int, int, int]], float]]:
    """Every list of (s, a, outcome), and its probability."""
    begun = [([], int(s), mdp.start[s]) for s in np.flatnonzero(mdp.start)]
    while begun:
        path, state, prob = begun.pop()
        chances = pi[state][:, None] * mdp.probs[state]
        for action, outcome in np.argwhere(chances > 0):
            where = state, int(action), int(outcome)
            longer, chance = [*path, where], prob * chances[action, outcome]
            if mdp.discounts[where] == 0 or len(longer) == time_limit:
                yield longer, chance
            else:
                begun.append((longer, int(mdp.next_states[where]), chance))
