"""Policies: pairs of pure functions; `init` makes parameters, `apply` reads them.

    apply(params, state) -> (log pi(. | state), v(state))

There are three, each a softmax of preferences,
pi(a|s) = exp h(s, a) / sum_b exp h(s, b):

    tabular    h(s, a) is a parameter, and so is v(s)
    linear     h(s, a) = theta . x(s, a)          states of equal features share theta
    mlp        h(s, .) and v(s) by two small neural networks

Source: Sutton & Barto (2018), eqs. 13.2 and 13.3, section 9.7.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Scalar

from mdp import MDP
from policy_gradient import objectives

# The log-probability of an action that is not available: its probability is exactly 0
# and, unlike with -inf, 0 times it is still 0 in a gradient.
NEVER = -1e9


Output = tuple[Float[Array, "A"], Scalar]  # log pi(. | s) and v(s)


class Policy(NamedTuple):
    """A parametrised policy with its critic."""

    init: Callable[[Key[Array, ""]], PyTree]
    apply: Callable[[PyTree, PyTree], Output]


class Evaluation(NamedTuple):
    """Log-probabilities, entropies and values of actions at observations."""

    log_prob: Float[Array, "..."]  # log pi(a | o)
    entropy: Float[Array, "..."]  # of pi(. | o), in nats
    value: Float[Array, "..."]  # v(o)


# (params, observations, actions) -> their evaluation, of the same leading axes
Evaluate = Callable[[PyTree, PyTree, PyTree], Evaluation]


class Tables(NamedTuple):
    """The outputs of a policy and its critic in every state."""

    log_probs: Float[Array, "S A"]  # log pi(a | s)
    values: Float[Array, "S"]  # v(s)


class TabularParams(NamedTuple):
    """Parameters of a tabular policy and its critic."""

    preferences: Float[Array, "S A"]  # h(s, a)
    values: Float[Array, "S"]  # v(s)


class LinearParams(NamedTuple):
    """Parameters of a linear policy and its critic."""

    theta: Float[Array, "F"]  # of the preferences
    weights: Float[Array, "K"]  # of the values


class Layer(NamedTuple):
    """Parameters of one layer of a network."""

    weights: Float[Array, "inputs outputs"]
    biases: Float[Array, "outputs"]


class MLPParams(NamedTuple):
    """Parameters of a policy network and a critic network."""

    policy: list[Layer]
    critic: list[Layer]


def softmax_log_probs(
    preferences: Float[Array, "A"], available: Bool[Array, "A"]
) -> Float[Array, "A"]:
    """Log-probabilities log pi(a) = h(a) - log sum_b exp h(b) of available actions.

    Source: Sutton & Barto (2018), eq. 13.2.
    """
    return jax.nn.log_softmax(jnp.where(available, preferences, NEVER))


def softmax_score(
    preferences: Float[Array, "A"], available: Bool[Array, "A"], action: Int[Array, ""]
) -> Float[Array, "A"]:
    """Gradient of log pi(action) by each preference h(b): [action = b] - pi(b).

    Source: Sutton & Barto (2018), exercise 13.3 with one feature for each action.
    """
    probs = jnp.exp(softmax_log_probs(preferences, available))
    return jax.nn.one_hot(action, probs.shape[0], dtype=probs.dtype) - probs


def tabular_softmax(mdp: MDP) -> Policy:
    """Return the policy with one preference for each state and action.

    It starts as the uniform policy. Source: Sutton & Barto (2018), section 13.1.
    """
    available = jnp.asarray(mdp.available)

    def init(_: Key[Array, ""]) -> TabularParams:
        return TabularParams(jnp.zeros(available.shape), jnp.zeros(available.shape[0]))

    def apply(params: TabularParams, state: Int[Array, ""]) -> Output:
        preferences = params.preferences[state]
        return softmax_log_probs(preferences, available[state]), params.values[state]

    return Policy(init, apply)


def linear(
    mdp: MDP,
    features: Float[np.ndarray, "S A F"],
    value_features: Float[np.ndarray, "S K"] | None = None,
) -> Policy:
    """Return the policy with preferences theta . x(s, a) and values w . x(s).

    States with the same features look the same to the policy. Without features of its
    own, v is one constant. It starts at theta = 0. Source: Sutton & Barto (2018), eq.
    13.3 and example 13.1.
    """
    if value_features is None:
        value_features = np.ones((mdp.num_states, 1))
    available = jnp.asarray(mdp.available)
    policy_inputs, critic_inputs = jnp.asarray(features), jnp.asarray(value_features)

    def init(_: Key[Array, ""]) -> LinearParams:
        return LinearParams(
            jnp.zeros(policy_inputs.shape[-1]), jnp.zeros(critic_inputs.shape[-1])
        )

    def apply(params: LinearParams, state: Int[Array, ""]) -> Output:
        preferences = policy_inputs[state] @ params.theta
        value = critic_inputs[state] @ params.weights
        return softmax_log_probs(preferences, available[state]), value

    return Policy(init, apply)


def mlp(
    mdp: MDP,
    hidden: Sequence[int] = (64, 64),
    features: Float[np.ndarray, "S F"] | None = None,
) -> Policy:
    """Return the policy with two networks of tanh layers, for h(s, .) and for v(s).

    The input is the state's features, by default a row of the identity matrix. Weights
    are orthogonal, and the last layer is so small that the policy starts near uniform.
    Source: Huang et al. (2022), details 2 and 13.
    """
    available = jnp.asarray(mdp.available)
    inputs = jnp.asarray(np.eye(mdp.num_states) if features is None else features)

    def init(key: Key[Array, ""]) -> MLPParams:
        policy_key, critic_key = jax.random.split(key)
        sizes = inputs.shape[-1], *hidden
        return MLPParams(
            policy=_layers(policy_key, (*sizes, mdp.num_actions), last_scale=0.01),
            critic=_layers(critic_key, (*sizes, 1), last_scale=1.0),
        )

    def apply(params: MLPParams, state: Int[Array, ""]) -> Output:
        preferences = _network(params.policy, inputs[state])
        value = _network(params.critic, inputs[state])[0]
        return softmax_log_probs(preferences, available[state]), value

    return Policy(init, apply)


def tabulate(policy: Policy, params: PyTree, num_states: int) -> Tables:
    """Return the outputs of a policy and its critic in every state."""
    return Tables(*jax.vmap(policy.apply, (None, 0))(params, jnp.arange(num_states)))


def evaluator(policy: Policy, num_states: int) -> Evaluate:
    """Return a function that evaluates actions in states, many at once."""

    def evaluate(
        params: PyTree, states: Int[Array, "*n"], actions: Int[Array, "*n"]
    ) -> Evaluation:
        log_probs, values = tabulate(policy, params, num_states)
        entropies = jax.vmap(objectives.entropy)(log_probs)
        return Evaluation(log_probs[states, actions], entropies[states], values[states])

    return evaluate


def policy_table(policy: Policy, params: PyTree, num_states: int) -> np.ndarray:
    """Return pi(a|s) for every state, in float64, with rows that sum to 1.

    `mdp.evaluate` and `policy_gradient.exact` take such a table.
    """
    params = jax.tree.map(jnp.asarray, params)
    log_probs = tabulate(policy, params, num_states).log_probs
    probs = np.exp(np.asarray(log_probs, np.float64))
    return probs / probs.sum(-1, keepdims=True)


def _layers(
    key: Key[Array, ""], sizes: Sequence[int], last_scale: float
) -> list[Layer]:
    keys = jax.random.split(key, len(sizes) - 1)
    scales = [np.sqrt(2.0)] * (len(sizes) - 2) + [last_scale]
    return [
        Layer(jax.nn.initializers.orthogonal(scale)(key, shape), jnp.zeros(shape[1]))
        for key, scale, *shape in zip(keys, scales, sizes, sizes[1:], strict=False)
    ]


def _network(layers: list[Layer], x: Float[Array, "F"]) -> Float[Array, "outputs"]:
    *hidden, last = layers
    for layer in hidden:
        x = jnp.tanh(x @ layer.weights + layer.biases)
    return x @ last.weights + last.biases
