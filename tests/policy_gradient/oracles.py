"""What the exercises are held against: numpy, and sums that are written out.

None of them may call what is exercised; `oracle` sees to it.
"""

import jax
import numpy as np

from tests.exercises.oracle import oracle


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
    errors = np.zeros(len(x.rewards))
    for t in range(len(errors)):
        errors[t] = x.rewards[t] + x.discounts[t] * x.next_values[t] - x.values[t]
    return errors


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
def policy(preferences, available):
    """The softmax over the actions that are available, in double precision."""
    weights = [
        np.exp(float(h) - float(max(preferences))) if possible else 0.0
        for h, possible in zip(preferences, available, strict=True)
    ]
    return np.array(weights) / sum(weights)


@oracle
def policy_table(world, preferences):
    """The softmax in every state of a world."""
    rows = zip(preferences, world.available, strict=True)
    return np.array([policy(*row) for row in rows])


@oracle
def score_function_loss(log_probs, advantages, weights):
    """Episode by episode, step by step."""
    of_episodes = []
    for rows in zip(log_probs, advantages, weights, strict=True):
        products = [
            float(p) * float(a) * float(w) for p, a, w in zip(*rows, strict=True)
        ]
        of_episodes.append(-sum(products))
    return np.mean(of_episodes)


@oracle
def clipped_surrogate_loss(log_probs, old_log_probs, advantages, weights, clip):
    """The loss and its slopes by the log-probabilities, by the six cells of PPO's clip.

    What has moved the right way beyond the clip earns what the edge earns, for nothing.
    """
    loss, slopes = 0.0, np.zeros(log_probs.shape)
    for i, t in np.ndindex(log_probs.shape):
        ratio = np.exp(float(log_probs[i, t]) - float(old_log_probs[i, t]))
        advantage, share = float(advantages[i, t]), weights[i, t] / len(weights)
        edge = 1.0 + clip if advantage > 0 else 1.0 - clip
        too_far = ratio > edge if advantage > 0 else ratio < edge
        loss -= share * advantage * (edge if too_far else ratio)
        slopes[i, t] = 0.0 if too_far else -share * advantage * ratio
    return loss, slopes


@oracle
def mean_return(returns, mask, without=None):
    """Of all rows that happened, perhaps without those of one episode."""
    kept = [
        float(returns[i, t])
        for i, t in np.ndindex(returns.shape)
        if mask[i, t] and i != without
    ]
    return sum(kept) / len(kept)


@oracle
def earned(world, preferences, num_sweeps=500):
    """J of the softmax of a table of preferences, as the limit of many sweeps."""
    table = policy_table(world, preferences)
    values = np.zeros(len(table))
    for _ in range(num_sweeps):
        following = world.discounts * values[world.next_states]
        q = (world.probs * (world.rewards + following)).sum(-1)
        values = (table * q).sum(-1)
    return world.start @ values


@oracle
def entropy(probs):
    """-sum_a pi(a) log pi(a), one action at a time."""
    return -sum(p * np.log(p) for p in probs if p > 0)


@oracle
def kl(probs, reference):
    """sum_a pi(a) log(pi(a) / pi_ref(a)), one action at a time."""
    return sum(p * np.log(p / q) for p, q in zip(probs, reference, strict=True))
