"""Policies: softmaxes of preferences, against exponentials and slopes one at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from policy_gradient import exact, policies, ppo
from policy_gradient.policies import softmax_log_probs, softmax_score
from tests.policy_gradient import inputs, oracles
from tests.policy_gradient.inputs import array
from tests.policy_gradient.learning import shares_of_the_way


def test_the_softmax_is_of_exponentials_of_the_available_actions(rng):
    case = inputs.preferences(rng)
    probs = jnp.exp(softmax_log_probs(**case))
    assert_allclose(probs, oracles.policy(**case), rtol=1e-5)
    assert_allclose(probs.sum(), 1.0, rtol=1e-6)
    assert_array_equal(probs[~case["available"]], 0.0)


def test_the_softmax_depends_on_differences_of_preferences_only(rng):
    case = inputs.preferences(rng)
    available = case["available"]
    there = softmax_log_probs(**case)[available]
    for shift in (100.0, -100.0):
        shifted = softmax_log_probs(case["preferences"] + shift, available)
        assert_allclose(shifted[available], there, atol=1e-4)


def test_the_softmax_is_finite_where_an_action_is_not_available(rng):
    """Its probability is 0, and 0 times its log-probability is not nan."""
    case = inputs.preferences(rng)
    log_probs = softmax_log_probs(**case)
    assert np.isfinite(jnp.sum(jnp.exp(log_probs) * log_probs))


def test_the_softmax_can_be_mapped_and_compiled():
    preferences = array([[0.0, 1.0, 2.0, 3.0], [1.0, -1.0, 0.0, 9.0]])
    available = jnp.array([[True, True, True, True], [True, True, False, False]])
    log_probs = jax.jit(jax.vmap(softmax_log_probs))(preferences, available)
    for row, *case in zip(log_probs, preferences, available, strict=True):
        assert_allclose(jnp.exp(row), oracles.policy(*case), rtol=1e-5)


# Of every action: callers map it, and compile it.
scores_of = jax.jit(jax.vmap(softmax_score, (None, None, 0)))


def test_the_score_is_the_slope_of_the_log_probability(rng):
    case = inputs.preferences(rng)
    scores = scores_of(*case.values(), jnp.arange(4))
    h, available = (np.asarray(x, float) for x in case.values())
    for action in np.flatnonzero(available):
        for other in range(4):
            small = 1e-5 * np.eye(4)[other]
            up, down = (oracles.policy(h + d, available) for d in (small, -small))
            slope = (np.log(up[action]) - np.log(down[action])) / 2e-5
            assert_allclose(scores[action, other], slope, atol=1e-4)


def test_the_mean_score_is_0(rng):
    """So whatever does not look at the action may be subtracted from its return."""
    case = inputs.preferences(rng)
    scores = scores_of(*case.values(), jnp.arange(4))
    policy = oracles.policy(**case)
    assert_allclose(policy @ np.asarray(scores), 0.0, atol=1e-5)


def test_a_linear_policy_with_a_feature_for_each_pair_is_the_table(small):
    rng = np.random.default_rng(0)
    preferences, values = rng.normal(size=(4, 3)), rng.normal(size=4)
    table = policies.tabular_softmax(small)
    linear = policies.linear(small, np.eye(12).reshape(4, 3, 12), np.eye(4))
    of_table = policies.TabularParams(*map(jnp.asarray, (preferences, values)))
    of_linear = policies.LinearParams(jnp.asarray(preferences.ravel()), of_table.values)
    for one, other in zip(
        policies.tabulate(table, of_table, 4),
        policies.tabulate(linear, of_linear, 4),
        strict=True,
    ):
        assert_allclose(one, other, rtol=1e-6)


@pytest.mark.slow
def test_the_network_starts_near_uniform_and_has_the_gradient_of_the_theorem(small):
    policy = policies.mlp(small, hidden=(5, 4))
    params = policy.init(jax.random.key(0))
    table = policies.policy_table(policy, params, 4)
    assert_allclose(table, mdp.uniform_policy(small), atol=0.01)
    sizes = [layer.weights.shape for layer in params.policy]
    assert sizes == [(4, 5), (5, 4), (4, 3)]
    through_the_solve = exact.performance_gradient(small, policy, params)
    by_the_theorem = exact.theorem_gradient(small, policy, params)
    for one, other in zip(
        jax.tree.leaves(through_the_solve), jax.tree.leaves(by_the_theorem), strict=True
    ):
        assert_allclose(one, other, atol=1e-9)
    assert max(np.abs(x).max() for x in jax.tree.leaves(by_the_theorem)) > 0.01


@pytest.mark.slow
def test_a_network_learns_too(small):
    """Share of the way from the uniform policy to the optimum, on 3 of 3 seeds."""
    policy = policies.mlp(small, hidden=(16,))
    config = ppo.Config(num_updates=60, num_environments=16, step_size=0.02)

    def learn(key):
        return ppo.train(key, small, config, policy)[0]

    keys = jax.random.split(jax.random.key(0), 3)
    shares = shares_of_the_way(learn, keys, small, policy)
    assert all(share > 0.95 for share in shares)


def test_what_is_evaluated_is_what_the_policy_says(small):
    policy, params = inputs.tabular(small, 1)
    params = jax.tree.map(jnp.asarray, params)
    states, actions = jnp.array([[0, 2], [1, 1]]), jnp.array([[1, 0], [0, 2]])
    found = policies.evaluator(policy, 4)(params, states, actions)
    for row in np.ndindex(2, 2):
        log_probs, value = policy.apply(params, states[row])
        probs = np.exp(log_probs)
        assert_allclose(found.log_prob[row], log_probs[actions[row]], atol=1e-6)
        assert found.value[row] == value
        parts = [p * np.log(p) for p in probs if p > 0]
        assert_allclose(found.entropy[row], -sum(parts), atol=1e-5)
