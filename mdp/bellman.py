"""The equations: returns, values from the values of what follows, the best actions.

    G_t      =  R_{t+1} + gamma G_{t+1}
    v_pi(s)  =  sum_a pi(a | s) sum_{s', r} p(s', r | s, a) [ r + gamma v_pi(s') ]
    v*(s)    =  max_a           sum_{s', r} p(s', r | s, a) [ r + gamma v*(s') ]

Each right-hand side, read as an instruction, is a *backup*: put any values in, and out
come values that are closer to the solution. Here gamma stands in the table of outcomes,
and is 0 where an outcome ends the episode.

Only operators, indexing and array methods are used, so the same lines run on numpy
arrays and on jax arrays, and policy_gradient differentiates straight through them.

Source: Sutton & Barto (2018), eq. 3.9, 3.14 and 3.19.
Shapes: S states, A actions, T time steps.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.model import MDP, Array

# Two actions tie when their values differ by less than this, relative to 1 + |best|:
# wider than what a converged solver leaves behind, narrower than any real preference.
TIE_TOLERANCE = 1e-8


def discounted_returns(
    rewards: Float[np.ndarray, "T"], discounts: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "T"]:
    """What follows each step of a recording, added up: G_t for every t.

        G_t = R_{t+1} + gamma G_{t+1},   0 after the last step

    `rewards[t]` is R_{t+1}, what the action at t earned; `discounts[t]` is gamma, or 0
    where that step ended the episode, so that several episodes may follow one another.
    Discounts of 1 give the undiscounted return. Source: S&B eq. 3.9.
    """
    returns = np.zeros_like(rewards)
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        returns[t] = following
    return returns


def action_values(mdp: MDP, values: Float[Array, "S"]) -> Float[Array, "S A"]:
    """The worth of each action, if its outcomes are worth `values`.

        q(s, a) = sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    An action that is not available has no outcomes, and 0 here. Source: S&B
    exercise 3.13.
    """
    targets = mdp.rewards + mdp.discounts * values[mdp.next_states]
    return (mdp.probs * targets).sum(-1)


def state_values(
    policy: Float[Array, "S A"], action_values: Float[Array, "S A"]
) -> Float[Array, "S"]:
    """The worth of each state under a policy: v(s) = sum_a pi(a | s) q(s, a).

    Source: S&B exercise 3.12.
    """
    return (policy * action_values).sum(-1)


def expectation_backup(
    mdp: MDP, policy: Float[Array, "S A"], values: Float[Array, "S"]
) -> Float[Array, "S"]:
    """One sweep of the Bellman equation for v_pi, whose solution it leaves in place.

        v(s)  <-  sum_a pi(a | s) sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    Source: S&B eq. 4.5.
    """
    return state_values(policy, action_values(mdp, values))


def optimality_backup(mdp: MDP, values: Float[Array, "S"]) -> Float[Array, "S"]:
    """One sweep of the Bellman equation for v*, whose solution it leaves in place.

        v(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ]

    Source: S&B eq. 4.10.
    """
    # From -inf, not from 0: every available action may be worth less than nothing.
    return action_values(mdp, values).max(-1, where=mdp.available, initial=-np.inf)


def soft_backup(
    mdp: MDP,
    values: Float[Array, "S"],
    reference: Float[Array, "S A"],
    kl_weight: float,
) -> Float[Array, "S"]:
    """One sweep of the soft Bellman equation: to leave the reference costs beta a nat.

        v(s)  <-  max_pi sum_a pi(a | s) [ q(s, a) - beta log(pi(a | s) / ref(a | s)) ]
               =  beta log sum_a ref(a | s) exp(q(s, a) / beta)

    As beta falls to 0 it becomes the optimality backup, and the expectation backup of
    the reference as beta grows. Source: Todorov (2007); Ziebart (2010);
    Levine (2018), section 2.
    """
    q = action_values(mdp, values)
    best = q.max(-1, where=reference > 0, initial=-np.inf, keepdims=True)
    gains = np.exp(np.minimum(q - best, 0.0) / kl_weight)  # at most 1: no overflow
    return best[:, 0] + kl_weight * np.log((reference * gains).sum(-1))


def bellman_residual(mdp: MDP, values: Float[Array, "S"]) -> Float[Array, ""]:
    """How far the values are from solving the equation for v*: 0 means they are v*.

        max_s | max_a sum_{s', r} p(s', r | s, a) [ r + gamma v(s') ] - v(s) |

    For gamma < 1 the error max |v - v*| is at most residual / (1 - gamma).
    Source: Williams & Baird (1993), "Tight performance bounds on greedy
    policies based on imperfect value functions".
    """
    return abs(optimality_backup(mdp, values) - values).max()


def greedy_actions(mdp: MDP, action_values: Float[Array, "S A"]) -> Int[Array, "S"]:
    """The best available action of every state; of several that tie, the first.

    argmax_a q(s, a)
    """
    return best_actions(mdp, action_values).argmax(-1)


def greedy_policy(mdp: MDP, action_values: Float[Array, "S A"]) -> Float[Array, "S A"]:
    """The policy that takes the best available actions, those that tie equally often.

    At gamma = 1 the split matters. To lean on one of several optimal actions can mean
    never to arrive; the split of q* arrives whenever some optimal policy does.
    """
    best = best_actions(mdp, action_values)
    return best / best.sum(-1, keepdims=True)


def best_actions(mdp: MDP, action_values: Float[Array, "S A"]) -> Bool[Array, "S A"]:
    """True for the available actions that tie for the best (see TIE_TOLERANCE)."""
    q = action_values
    best = q.max(-1, where=mdp.available, initial=-np.inf, keepdims=True)
    return mdp.available & (q >= best - TIE_TOLERANCE * (1 + abs(best)))


def uniform_policy(mdp: MDP) -> Float[Array, "S A"]:
    """The policy that takes every available action equally often."""
    return mdp.available / mdp.available.sum(-1, keepdims=True)
