"""The exact gradient, against closed forms and finite differences."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from policy_gradient import exact
from policy_gradient.policies import policy_table, tabular_softmax


@pytest.fixture
def random_policy(small):
    policy = tabular_softmax(small)
    rng = np.random.default_rng(2)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape), policy.init(jax.random.key(0))
    )
    return policy, params


def test_performance_is_the_value_of_the_start(small, random_policy):
    table = policy_table(*random_policy, 4)
    expected = small.start @ mdp.evaluate(small, table)
    assert exact.performance(small, table) == pytest.approx(expected, abs=1e-12)


def test_what_a_policy_would_do_where_it_never_comes_does_not_matter():
    cliff = mdp.worlds.cliff_walking()
    greedy = mdp.value_iteration(cliff).policy
    greedy[0] = [0, 0, 0, 1]  # for ever against the wall, in a corner off the way
    with pytest.raises(ValueError, match="from state 0"):
        mdp.evaluate(cliff, greedy)
    assert exact.performance(cliff, greedy) == pytest.approx(-13, abs=1e-12)


def test_the_gradient_of_a_bandit_is_pi_times_advantage():
    """The slope d J / d h(a) = pi(a) (r(a) - J), Sutton & Barto (2018), section 2.8."""
    rewards = np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    ends = np.zeros((2, 3, 2))
    ends[..., 1] = 1
    bandit = mdp.from_arrays(ends, rewards, 0.9, terminal=[1])
    policy = tabular_softmax(bandit)
    params = policy.init(jax.random.key(0))._replace(
        preferences=np.array([[0.3, 1.0, -0.5], [0, 0, 0]])
    )
    pi = policy_table(policy, params, 2)[0]
    expected = pi * (rewards[0] - pi @ rewards[0])
    got = exact.performance_gradient(bandit, policy, params)
    assert_allclose(got.preferences[0], expected, atol=1e-7)


def test_the_gradient_agrees_with_finite_differences(small, random_policy):
    policy, params = random_policy
    gradient = exact.performance_gradient(small, policy, params).preferences
    log_softmax = jax.nn.log_softmax

    def performance(preferences):
        with jax.enable_x64(True):
            masked = np.where(small.available, preferences, -np.inf)
            return exact.performance(small, np.exp(np.asarray(log_softmax(masked))))

    for s, a in np.ndindex(4, 3):
        nudge = np.zeros((4, 3))
        nudge[s, a] = 1e-6
        rise = performance(params.preferences + nudge)
        fall = performance(params.preferences - nudge)
        assert gradient[s, a] == pytest.approx((rise - fall) / 2e-6, abs=1e-7)


def test_the_uniform_policy_is_improved_along_the_gradient():
    """One small step raises J by the step times the squared norm, to first order."""
    cliff = mdp.worlds.cliff_walking()
    policy = tabular_softmax(cliff)
    params = policy.init(jax.random.key(0))
    gradient = exact.performance_gradient(cliff, policy, params)
    before = exact.performance(cliff, policy_table(policy, params, 48))
    step = 1e-9
    with jax.enable_x64(True):
        moved = jax.tree.map(lambda x, g: np.float64(x) + step * g, params, gradient)
        after = exact.performance(cliff, policy_table(policy, moved, 48))
    squared_norm = np.sum(gradient.preferences**2)
    assert (after - before) / step == pytest.approx(squared_norm, rel=0.01)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 1.0])
def test_the_theorem_is_the_gradient_through_the_solve(small, random_policy, gamma):
    world = small._replace(start=np.array([0.5, 0.2, 0.3, 0.0])).with_discount(gamma)
    through_the_solve = exact.performance_gradient(world, *random_policy)
    by_the_theorem = exact.theorem_gradient(world, *random_policy)
    for one, other in zip(through_the_solve, by_the_theorem, strict=True):
        assert_allclose(one, other, atol=1e-12)
    assert np.abs(by_the_theorem.preferences).max() > 0.01


def test_the_occupancy_is_the_discounted_sum_of_where_one_is(small, random_policy):
    """By brute force: the distribution of S_t pushed forward, step by step."""
    table = policy_table(*random_policy, 4)
    onward = np.einsum("sa,sab,sab->sab", table, small.probs, small.discounts)
    here, total = small.start, np.zeros(4)
    for _ in range(200):
        total += here
        there = np.zeros(4)
        np.add.at(there, small.next_states, here[:, None, None] * onward)
        here = there
    assert_allclose(exact.occupancy(small, table), total, atol=1e-12)


@pytest.mark.parametrize(("gamma", "parallel"), [(1.0, True), (0.5, False)])
def test_the_on_policy_distribution_gives_the_direction_only_without_discount(
    small, random_policy, gamma, parallel
):
    """mu(s), the share of time in s: proportional to d(s) if gamma = 1, and only then.

    Sutton & Barto (2018), eq. 13.5, say "proportional to", for episodes with gamma = 1.
    """
    policy, params = random_policy
    world = small.with_discount(gamma)._replace(start=np.array([1.0, 0.0, 0.0, 0.0]))
    table = policy_table(policy, params, 4)
    share = exact.occupancy(world.with_discount(1.0), table)
    share /= share.sum()
    values = mdp.evaluate(world, table)
    advantages = mdp.action_values(world, values) - values[:, None]
    # Of the tabular softmax, grad log pi sums to pi(a | s) A(s, a) at h(s, a).
    with_mu = share[:, None] * table * advantages
    truth = exact.theorem_gradient(world, policy, params).preferences
    norms = np.linalg.norm(with_mu) * np.linalg.norm(truth)
    cosine = (with_mu * truth).sum() / norms
    assert (cosine > 1 - 1e-9) if parallel else (cosine < 0.99)
    assert np.linalg.norm(truth) > 1.5 * np.linalg.norm(with_mu)


def test_of_a_tabular_softmax_the_theorem_is_one_product(small, random_policy):
    """d(s) pi(a|s) A(s, a), and the natural gradient is A(s, a) alone."""
    policy, params = random_policy
    world = small._replace(start=np.array([0.5, 0.2, 0.3, 0.0]))
    with jax.enable_x64(True):
        table = policy_table(policy, params, 4)
    truth = exact.theorem_gradient(world, policy, params).preferences
    assert_allclose(exact.softmax_gradient(world, table), truth, atol=1e-12)

    natural = exact.natural_gradient(world, policy, params).preferences
    values = mdp.evaluate(world, table)
    advantages = mdp.action_values(world, values) - values[:, None]
    for s in range(3):
        free = world.available[s]
        # What is added to all preferences of a state changes nothing.
        shift = natural[s][free] - advantages[s][free]
        assert_allclose(shift, shift[0], atol=1e-9)


def test_the_fisher_information_is_the_curvature_of_the_divergence(
    small, random_policy
):
    """KL(pi_theta || pi_theta + dtheta), over the states as they count."""
    policy, params = random_policy
    with jax.enable_x64(True):
        table = policy_table(policy, params, 4)
        step = np.random.default_rng(3).normal(size=(4, 3)) * 1e-4
        moved = params._replace(preferences=params.preferences + step)
        other = policy_table(policy, moved, 4)
    ratios = np.log(np.where(table > 0, table / np.where(other > 0, other, 1), 1))
    divergence = exact.occupancy(small, table) @ (table * ratios).sum(-1)
    row = np.concatenate([step.ravel(), np.zeros(4)])
    fisher = exact.fisher_information(small, policy, params)
    assert divergence == pytest.approx(row @ fisher @ row / 2, rel=1e-3)
