"""Expected results of the equations: sums written out, one term at a time.

An oracle must not call the function that is tested; the decorator `oracle` refuses it.
"""

from itertools import product

import numpy as np

from tests.exercises.oracle import oracle


@oracle
def discounted_sum(rewards, discounts, t):
    """Return R_{t+1} + d_t R_{t+2} + d_t d_{t+1} R_{t+3} + ..."""
    total = 0.0
    for k in range(t, len(rewards)):
        total += np.prod(discounts[t:k]) * rewards[k]
    return total


@oracle
def transitions(world):
    """Return T(s' | s, a), one outcome at a time."""
    dense = np.zeros((*world.available.shape, len(world.available)))
    for s, a, b in np.ndindex(world.probs.shape):
        dense[s, a, world.next_states[s, a, b]] += world.probs[s, a, b]
    return dense


@oracle
def action_values(world, values):
    """Return sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ], outcome by outcome."""
    q = np.zeros(world.available.shape)
    for s, a, b in np.ndindex(world.probs.shape):
        following = world.discounts[s, a, b] * values[world.next_states[s, a, b]]
        q[s, a] += world.probs[s, a, b] * (world.rewards[s, a, b] + following)
    return q


@oracle
def expectation(world, policy, values):
    """Return sum_a pi(a | s) q(s, a), one action at a time."""
    q = action_values(world, values)
    v = np.zeros(len(q))
    for s, a in np.ndindex(q.shape):
        v[s] += policy[s, a] * q[s, a]
    return v


@oracle
def best(world, values):
    """Return max_a q(s, a) over the actions that are available."""
    q = action_values(world, values)
    return np.array([q[s, world.available[s]].max() for s in range(len(q))])


@oracle
def exact_values(world, policy, num_sweeps=3000):
    """Return v_pi as the limit of many sweeps: no linear system is solved."""
    rewards = (policy[:, :, None] * world.probs * world.rewards).sum((1, 2))
    weights = policy[:, :, None] * world.probs * world.discounts
    dense = np.zeros((len(policy), len(policy)))
    for s, a, b in np.argwhere(weights):
        dense[s, world.next_states[s, a, b]] += weights[s, a, b]
    values = np.zeros(len(policy))
    for _ in range(num_sweeps):
        values = rewards + dense @ values
    return values


@oracle
def best_values(world):
    """Return v*(s): the largest value of any deterministic policy."""
    choices = [np.flatnonzero(row) for row in world.available]
    # The action in the last state, which is terminal, makes no difference.
    if len(choices) > 1:
        choices[-1] = choices[-1][:1]
    rewards = (world.probs * world.rewards).sum(-1)
    dense = np.zeros((*world.available.shape, len(world.available)))
    for s, a, b in np.ndindex(world.probs.shape):
        weight = world.probs[s, a, b] * world.discounts[s, a, b]
        dense[s, a, world.next_states[s, a, b]] += weight
    states = np.arange(len(choices))
    actions = np.array(list(product(*choices)))
    systems = np.eye(len(choices)) - dense[states, actions]
    return np.linalg.solve(systems, rewards[states, actions][..., None])[..., 0].max(0)


@oracle
def return_beyond_a_cut_off(episode, values, t):
    """Return G_t; the value of the last state estimates what was cut off."""
    total = discounted_sum(episode.rewards, episode.discounts, t)
    return total + np.prod(episode.discounts[t:]) * values[episode.next_states[-1]]


@oracle
def learned_by_monte_carlo(values, episode, step_sizes, first_visit):
    """Return the values after moving v(S_t) towards G_t, visit by visit."""
    old, new = values, list(values)
    for t, state in enumerate(episode.states):
        if first_visit and state in episode.states[:t]:
            continue
        target = return_beyond_a_cut_off(episode, old, t)
        new[state] = (1 - step_sizes[t]) * new[state] + step_sizes[t] * target
    return np.array(new)


@oracle
def learned_by_td(values, episode, step_sizes):
    """Return the values after moving each v(S_t) towards R_{t+1} + gamma v(S_{t+1})."""
    new = list(values)
    for t in range(len(episode.states)):
        following = episode.discounts[t] * new[episode.next_states[t]]
        target, state = episode.rewards[t] + following, episode.states[t]
        new[state] = (1 - step_sizes[t]) * new[state] + step_sizes[t] * target
    return np.array(new)


@oracle
def softmax(preferences):
    """Return exp H(a) / sum_b exp H(b)."""
    weights = [np.exp(h) for h in preferences]
    return np.array(weights) / sum(weights)


@oracle
def epsilon_greedy(q, available, exploration):
    """Return the probability of each action: first explored, then exploited."""
    possible = np.flatnonzero(available)
    best = [a for a in possible if q[a] == max(q[possible])]
    row = np.zeros(len(q))
    row[possible] += exploration / len(possible)
    row[best] += (1 - exploration) / len(best)
    return row
