"""The Bellman equations: returns, backups of values, greedy policies.

    G_t      =  R_{t+1} + gamma G_{t+1}
    v_pi(s)  =  sum_a pi(a | s) sum_{s', r} p(s', r | s, a) [ r + gamma v_pi(s') ]
    v*(s)    =  max_a           sum_{s', r} p(s', r | s, a) [ r + gamma v*(s') ]

Each right-hand side, read as an instruction, is a *backup*: it takes any values and
returns values that are closer to the solution. Gamma is stored in the table of
outcomes, and is 0 where an outcome ends the episode.

The code uses only operators, indexing and array methods. So the same lines run on numpy
arrays and on jax arrays, and policy_gradient differentiates through them.

Source: Sutton & Barto (2018), eq. 3.9, 3.14 and 3.19.
Shapes: S states, A actions, T time steps.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.model import MDP, Array

# Two actions tie when their values differ by less than this, relative to 1 + |best|.
# It is wider than the error of a converged solver, and narrower than real differences.
TIE_TOLERANCE = 1e-8


def discounted_returns(
    rewards: Float[np.ndarray, "T"], discounts: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "T"]:
    """Return G_t, the discounted sum of the rewards that follow, for every step.

        G_t = R_{t+1} + gamma G_{t+1},   0 after the last step

    `rewards[t]` is R_{t+1}, the reward of the action at t. `discounts[t]` is gamma, or
    0 where that step ended the episode, so that several episodes may follow one
    another. Discounts of 1 give the undiscounted return.
    Source: Sutton & Barto (2018), eq. 3.9.
    """
    returns = np.zeros_like(rewards)
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        returns[t] = following
    return returns


def action_values(mdp: MDP, values: Float[Array, "S"]) -> Float[Array, "S A"]:
    """Return q(s, a), the values of the actions, from the values of the next states.

        q(s, a) = sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    An action that is not available has no outcomes: its entry is 0.
    Source: Sutton & Barto (2018), exercise 3.13.
    """
    targets = mdp.rewards + mdp.discounts * values[mdp.next_states]
    return (mdp.probs * targets).sum(-1)


def state_values(
    policy: Float[Array, "S A"], action_values: Float[Array, "S A"]
) -> Float[Array, "S"]:
    """Return v(s) = sum_a pi(a | s) q(s, a), the mean value of a policy's actions.

    Source: Sutton & Barto (2018), exercise 3.12.
    """
    return (policy * action_values).sum(-1)


def expectation_backup(
    mdp: MDP, policy: Float[Array, "S A"], values: Float[Array, "S"]
) -> Float[Array, "S"]:
    """Return the values after one sweep of the Bellman equation for v_pi.

        v(s)  <-  sum_a pi(a | s) sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    The solution, v_pi, stays as it is. Source: Sutton & Barto (2018), eq. 4.5.
    """
    return state_values(policy, action_values(mdp, values))


def optimality_backup(mdp: MDP, values: Float[Array, "S"]) -> Float[Array, "S"]:
    """Return the values after one sweep of the Bellman equation for v*.

        v(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    The solution, v*, stays as it is. Source: Sutton & Barto (2018), eq. 4.10.
    """
    # From -inf, not from 0: the values of all available actions may be negative.
    return action_values(mdp, values).max(-1, where=mdp.available, initial=-np.inf)


def soft_backup(
    mdp: MDP,
    values: Float[Array, "S"],
    reference: Float[Array, "S A"],
    kl_weight: float,
) -> Float[Array, "S"]:
    """Return the values after one sweep of the soft Bellman equation.

        v(s)  <-  max_pi sum_a pi(a | s) [ q(s, a) - beta log(pi(a | s) / ref(a | s)) ]
               =  beta log sum_a ref(a | s) exp(q(s, a) / beta)

    Beta is `kl_weight`, the price of one nat of divergence from the reference. As beta
    falls to 0 this becomes the optimality backup; as beta grows it becomes the
    expectation backup of the reference.
    Source: Todorov (2007); Ziebart (2010); Levine (2018), section 2.
    """
    q = action_values(mdp, values)
    best = q.max(-1, where=reference > 0, initial=-np.inf, keepdims=True)
    gains = np.exp(np.minimum(q - best, 0.0) / kl_weight)  # at most 1: no overflow
    return best[:, 0] + kl_weight * np.log((reference * gains).sum(-1))


def bellman_residual(mdp: MDP, values: Float[Array, "S"]) -> Float[Array, ""]:
    """Return the Bellman residual: the largest change that an optimality backup makes.

        max_s | max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ] - v(s) |

    It is 0 for v*. For gamma < 1 the error max |v - v*| is at most residual / (1 -
    gamma). Source: Williams & Baird (1993), "Tight performance bounds on greedy
    policies based on imperfect value functions".
    """
    return abs(optimality_backup(mdp, values) - values).max()


def greedy_actions(mdp: MDP, action_values: Float[Array, "S A"]) -> Int[Array, "S"]:
    """Return argmax_a q(s, a) for every state; of several actions that tie, the first.

    Only available actions count. Source: Sutton & Barto (2018), eq. 4.9.
    """
    return best_actions(mdp, action_values).argmax(-1)


def greedy_policy(mdp: MDP, action_values: Float[Array, "S A"]) -> Float[Array, "S A"]:
    """Return the policy that takes the best actions, those that tie equally often.

    At gamma = 1 the split matters: a policy that takes only one of several optimal
    actions may never end the episode. The split of q* ends it whenever some optimal
    policy does. Source: Sutton & Barto (2018), eq. 4.9.
    """
    best = best_actions(mdp, action_values)
    return best / best.sum(-1, keepdims=True)


def best_actions(mdp: MDP, action_values: Float[Array, "S A"]) -> Bool[Array, "S A"]:
    """Return True for the available actions that tie for the best (TIE_TOLERANCE)."""
    q = action_values
    best = q.max(-1, where=mdp.available, initial=-np.inf, keepdims=True)
    return mdp.available & (q >= best - TIE_TOLERANCE * (1 + abs(best)))


def uniform_policy(mdp: MDP) -> Float[Array, "S A"]:
    """Return the policy that takes every available action equally often."""
    return mdp.available / mdp.available.sum(-1, keepdims=True)
