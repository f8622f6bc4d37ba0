"""What the exercises are held against: numpy, and sums that are written out.

None of them may call what is exercised; `oracle` sees to it.
"""

import jax
import numpy as np

from tests.book.oracle import oracle


def rows(trajectory):
    """The same record with numpy's arrays, in double precision."""
    return jax.tree.map(lambda x: np.asarray(x, float), trajectory)


@oracle
def rows_of_the_same_episode(trajectory, t):
    """The row t, and those after it until the episode ends or is cut off."""
    same = [t]
    while trajectory.continues[same[-1]] and same[-1] + 1 < len(trajectory.rewards):
        same.append(same[-1] + 1)
    return same


@oracle
def rewards_to_go(trajectory):
    """R_{t+1} + gamma R_{t+2} + ... within the episode, for every row."""
    x = rows(trajectory)
    returns = np.zeros(len(x.rewards))
    for t in range(len(returns)):
        for k in rows_of_the_same_episode(x, t):
            returns[t] += np.prod(x.discounts[t:k]) * x.rewards[k]
    return returns


@oracle
def td_errors(trajectory):
    """R_{t+1} + gamma v(S_{t+1}) - v(S_t), one row at a time."""
    x = rows(trajectory)
    return np.array(
        [
            reward + discount * following - value
            for reward, discount, following, value in zip(
                x.rewards, x.discounts, x.next_values, x.values, strict=True
            )
        ]
    )


@oracle
def generalized_advantages(trajectory, trace_decay):
    """sum_k (gamma lambda)^k delta_{t+k} within the episode, for every row."""
    x, deltas = rows(trajectory), td_errors(trajectory)
    advantages = np.zeros(len(deltas))
    for t in range(len(deltas)):
        for k in rows_of_the_same_episode(x, t):
            weight = np.prod(x.discounts[t:k] * trace_decay)
            advantages[t] += weight * deltas[k]
    return advantages


@oracle
def means_of_the_others(x):
    """For each number, the mean of all that are left without it."""
    return np.array(
        [np.mean([y for j, y in enumerate(x) if j != i]) for i in range(len(x))]
    )


@oracle
def entropy(probs):
    """-sum_a pi(a) log pi(a), one action at a time."""
    return -sum(p * np.log(p) for p in probs if p > 0)
