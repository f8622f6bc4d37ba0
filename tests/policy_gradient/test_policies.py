"""Policies: softmaxes of preferences, wherever these come from."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

import mdp
from policy_gradient import exact, policies, ppo


def test_the_score_is_the_gradient_of_the_log_probability(small):
    preferences = jnp.array([0.3, 5.0, -1.0])
    available = jnp.array([True, False, True])

    for action in (0, 2):
        slope = jax.grad(
            lambda h, a=action: policies.softmax_log_probs(h, available)[a]
        )(preferences)
        score = policies.softmax_score(preferences, available, jnp.array(action))
        assert_allclose(score, slope, atol=1e-6)
    probs = np.exp(policies.softmax_log_probs(preferences, available))
    assert probs[1] == 0.0
    assert_allclose(probs.sum(), 1.0, rtol=1e-6)


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


def test_a_network_learns_too(small):
    """Share of the way from the uniform policy to the optimum, on 3 of 3 seeds."""
    policy = policies.mlp(small, hidden=(16,))
    config = ppo.Config(num_updates=60, num_environments=16, step_size=0.02)

    def learn(key):
        return ppo.train(key, small, config, policy)[0]

    learned = jax.jit(jax.vmap(learn))(jax.random.split(jax.random.key(0), 3))
    optimum = small.start @ mdp.value_iteration(small).values
    uniform = exact.performance(small, mdp.uniform_policy(small))
    for seed in range(3):
        params = jax.tree.map(lambda x, seed=seed: x[seed], learned)
        reached = exact.performance(small, policies.policy_table(policy, params, 4))
        assert (reached - uniform) / (optimum - uniform) > 0.95


def test_what_is_evaluated_is_what_the_policy_says(small):
    policy = policies.tabular_softmax(small)
    like = policy.init(jax.random.key(0))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), like)
    states, actions = jnp.array([[0, 2], [1, 1]]), jnp.array([[1, 0], [0, 2]])
    found = policies.evaluator(policy, 4)(params, states, actions)
    for row in np.ndindex(2, 2):
        log_probs, value = policy.apply(params, states[row])
        probs = np.exp(log_probs)
        assert_allclose(found.log_prob[row], log_probs[actions[row]], atol=1e-6)
        assert found.value[row] == value
        parts = [p * np.log(p) for p in probs if p > 0]
        assert_allclose(found.entropy[row], -sum(parts), atol=1e-5)
