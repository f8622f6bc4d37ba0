"""J of very many policies, exactly, and all at once: every one a run ever acted by.

    J = start . (I - P_pi)^-1 r_pi        P_pi discounted, r_pi the rewards to expect

The same number as `exact.performance`. Here it is wanted of every checkpoint of every
run, so the linear systems are stacked and solved together, in float64.

At gamma = 1 a policy that walks in circles has no finite J: its system is singular.
What it earns until it is cut off at a time limit is finite, and exact as well:

    v  <-  r_pi + P_pi v        from v = 0, as often as there are steps

Source: Sutton & Barto (2018), eq. 4.4 as a linear system, and eq. 4.5.
Shapes: S states, A actions, n policies.
"""

import numpy as np
from jaxtyping import Bool, Float

from mdp import MDP

# An episode that is expected to last for more steps counts as one that never ends.
LONGEST = 1e9

# So many entries of the stacked systems are held at once.
ENTRIES_AT_ONCE = 4_000_000


def performances(
    mdp: MDP, policies: Float[np.ndarray, "*n S A"], time_limit: int
) -> Float[np.ndarray, "*n"]:
    """J of each policy; of one that never ends, the J of its first `time_limit` steps.

    Of a policy with entries that are not finite, the J is nan.
    """
    cut_off = never_ends(mdp, policies)
    ends = np.isfinite(policies).all((-2, -1)) & ~cut_off
    found = np.full(cut_off.shape, np.nan)
    found[ends] = _solved(mdp, policies[ends], mdp.expected_rewards)
    found[cut_off] = performances_within(mdp, policies[cut_off], time_limit)
    return found


def performances_within(
    mdp: MDP, policies: Float[np.ndarray, "n S A"], time_limit: int
) -> Float[np.ndarray, "n"]:
    """J of the first `time_limit` steps of each policy."""
    found = np.zeros(len(policies))
    weights, rewards = mdp.probs * mdp.discounts, mdp.expected_rewards
    for few in _few_at_a_time(policies):
        values = np.zeros((len(policies[few]), mdp.num_states))
        for _ in range(time_limit):
            following = (weights * values[:, mdp.next_states]).sum(-1)
            values = (policies[few] * (rewards + following)).sum(-1)
        found[few] = values @ mdp.start
    return found


def never_ends(
    mdp: MDP, policies: Float[np.ndarray, "*n S A"]
) -> Bool[np.ndarray, "*n"]:
    """True where gamma = 1 and the episode never ends, or takes LONGEST steps to.

    The number of steps to expect is what a reward of 1 a step adds up to. A last digit
    off gamma keeps it finite.
    """
    found = np.zeros(policies.shape[:-2], bool)
    if mdp.discounts.max() == 1:
        finite = np.isfinite(policies).all((-2, -1))
        mortal = mdp._replace(discounts=mdp.discounts * (1 - 1e-3 / LONGEST))
        one_a_step = np.ones(mdp.available.shape)
        found[finite] = _solved(mortal, policies[finite], one_a_step) > LONGEST
    return found


def _solved(mdp, policies, rewards) -> Float[np.ndarray, "n"]:
    """Start . (I - P_pi)^-1 r_pi of each policy, a few at a time."""
    state, action, _ = np.indices(mdp.probs.shape)
    discounted = np.zeros((*mdp.available.shape, mdp.num_states))
    np.add.at(discounted, (state, action, mdp.next_states), mdp.probs * mdp.discounts)
    found = np.zeros(len(policies))
    for few in _few_at_a_time(policies):
        by_state = policies[few].swapaxes(0, 1) @ discounted
        transitions = np.ascontiguousarray(by_state.swapaxes(0, 1))
        if mdp.discounts.max() == 1:
            # What a policy would do where it never comes need not end: end it there.
            transitions *= _reached(transitions, mdp.start)[:, :, None]
        systems = np.eye(mdp.num_states) - transitions
        totals = (policies[few] * rewards).sum(-1)
        values = np.linalg.solve(systems, totals[..., None])[..., 0]
        found[few] = values @ mdp.start
    return found


def _reached(transitions, start) -> Bool[np.ndarray, "n S"]:
    """The states that each policy ever comes to, from the start distribution."""
    reached = np.tile(start > 0, (len(transitions), 1))
    possible = (transitions > 0).astype(np.float32)
    num_known = 0
    while reached.sum() > num_known:
        num_known = reached.sum()
        reached |= (reached[:, None, :].astype(np.float32) @ possible)[:, 0] > 0
    return reached


def _few_at_a_time(policies):
    size = max(1, ENTRIES_AT_ONCE // policies.shape[-2] ** 2)
    return [slice(i, i + size) for i in range(0, len(policies), size)]
