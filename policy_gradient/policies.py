"""Policies are pairs of pure functions: `init` makes parameters, `apply` reads them.

    apply(params, observation) -> (log pi(. | observation), v(observation))

The tabular softmax keeps one preference h(s, a) for each pair and one value for each
state: pi(a|s) = exp(h(s, a)) / sum_b exp(h(s, b)).

Source: Sutton & Barto (2018), eq. 13.2.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Scalar

from mdp import MDP
from policy_gradient import objectives

# The log-probability of an action that cannot be taken: its probability is exactly 0
# and, unlike -inf, 0 times it is still 0 in a gradient.
NEVER = -1e9


class Policy(NamedTuple):
    """A parametrised policy with a critic beside it."""

    init: Callable[[], PyTree]
    apply: Callable[[PyTree, PyTree], tuple[Float[Array, "A"], Scalar]]


class Evaluation(NamedTuple):
    """What training needs to know of one action at one observation."""

    log_prob: Scalar  # log pi(a | o)
    entropy: Scalar  # of pi(. | o), in nats
    value: Scalar  # v(o)


class TabularParams(NamedTuple):
    preferences: Float[Array, "S A"]  # h(s, a)
    values: Float[Array, "S"]  # v(s)


def tabular_softmax(mdp: MDP) -> Policy:
    """One preference per state and available action; starts as the uniform policy."""
    available = jnp.asarray(mdp.available)

    def init() -> TabularParams:
        return TabularParams(jnp.zeros(available.shape), jnp.zeros(available.shape[0]))

    def apply(params: TabularParams, state: Int[Array, ""]):
        preferences = jnp.where(available[state], params.preferences[state], NEVER)
        return jax.nn.log_softmax(preferences), params.values[state]

    return Policy(init, apply)


def evaluate(
    policy: Policy, params: PyTree, observation: PyTree, action: Int[Array, ""]
) -> Evaluation:
    """Log pi(a | o), the entropy of pi(. | o), and v(o), for one observation."""
    log_probs, value = policy.apply(params, observation)
    return Evaluation(log_probs[action], objectives.entropy(log_probs), value)


def policy_table(policy: Policy, params: PyTree, num_states: int) -> np.ndarray:
    """pi(a|s) for every state, float64 [S, A] with rows that sum to 1.

    This is what `mdp.evaluate` and `policy_gradient.exact` take.
    """
    params = jax.tree.map(jnp.asarray, params)
    log_probs, _ = jax.vmap(policy.apply, (None, 0))(params, jnp.arange(num_states))
    probs = np.exp(np.asarray(log_probs, np.float64))
    return probs / probs.sum(-1, keepdims=True)
