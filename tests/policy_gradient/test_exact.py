"""Exact performance and its gradient, against closed forms and finite differences."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from policy_gradient import exact
from policy_gradient.policies import policy_table, tabular_softmax
from tests.mdp import inputs as of_worlds
from tests.policy_gradient import inputs, oracles


def test_the_softmax_gradient_is_the_slope_of_j(rng):
    world = of_worlds.world(rng, 4, 2, 3)
    h = rng.normal(size=world.available.shape)
    gradient = exact.softmax_gradient(world, oracles.policy_table(world, h))
    for s, a in np.ndindex(h.shape):
        small = np.zeros(h.shape)
        small[s, a] = 1e-5
        slope = (
            oracles.earned(world, h + small) - oracles.earned(world, h - small)
        ) / 2e-5
        assert_allclose(gradient[s, a], slope, atol=1e-6)


def test_the_softmax_gradient_sums_to_0_in_each_state(rng):
    world = of_worlds.world(rng)
    policy = of_worlds.policy(rng, world)
    gradient = exact.softmax_gradient(world, policy)
    assert_allclose(gradient.sum(-1), 0.0, atol=1e-10)
    assert_array_equal(gradient[~world.available], 0.0)


def test_the_softmax_gradient_of_a_bandit_is_that_of_the_gradient_bandit(rng):
    """Pi(a) (r(a) - the average reward): Sutton & Barto (2018), section 2.8."""
    rewards, policy = rng.normal(size=3), rng.dirichlet(np.ones(3))
    table = [[[(1.0, 1, reward, True)] for reward in rewards], []]
    bandit = mdp.from_outcomes(table, 0.9, terminal=[1])
    bandit = bandit._replace(start=np.array([1.0, 0.0]))
    gradient = exact.softmax_gradient(bandit, np.array([policy, [1.0, 0.0, 0.0]]))
    assert_allclose(gradient[0], policy * (rewards - policy @ rewards), atol=1e-12)


@pytest.fixture
def random_policy(small):
    return inputs.tabular(small, 2)


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
    assert not exact.never_ends(cliff, greedy[None])[0]
    found = exact.performances(cliff, greedy[None], time_limit=5)
    assert found[0] == pytest.approx(-13, abs=1e-12)


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


@pytest.mark.slow
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


def first_rewards(world, policy, num_steps):
    """Discounted rewards of the first steps: the distribution of S_t pushed forward."""
    here, total = world.start, 0.0
    for _ in range(num_steps):
        outcomes = here[:, None, None] * policy[:, :, None] * world.probs
        total += (outcomes * world.rewards).sum()
        here = np.zeros(world.num_states)
        np.add.at(here, world.next_states, outcomes * world.discounts)
    return total


def random_policies(world, n=5, concentration=1.0):
    rng = np.random.default_rng(0)
    shape = n, world.num_states
    policies = rng.dirichlet(np.full(world.num_actions, concentration), shape)
    policies *= world.available
    return policies / policies.sum(-1, keepdims=True)


@pytest.mark.parametrize("at_once", [1, 40, 4_000_000])
def test_together_they_are_worth_what_each_is_worth_alone(small, at_once, monkeypatch):
    monkeypatch.setattr(exact, "ENTRIES_AT_ONCE", at_once)
    for world in (small, mdp.worlds.frozen_lake()):
        policies = random_policies(world).reshape(5, 1, *world.available.shape)
        expected = [[exact.performance(world, policy[0])] for policy in policies]
        found = exact.performances(world, policies, time_limit=10)
        assert_allclose(found, expected, rtol=1e-12)
        assert not exact.never_ends(world, policies).any()


def test_what_never_ends_is_worth_what_it_earns_until_it_is_cut_off():
    """Into the cliff at every step, and back to the start: -100 each time."""
    cliff = mdp.worlds.cliff_walking()
    right = np.tile(np.eye(4)[1], (1, 48, 1))
    assert exact.never_ends(cliff, right).all()
    assert exact.performances(cliff, right, time_limit=7) == -700


def test_up_to_the_time_limit_agrees_with_the_loop():
    cliff = mdp.worlds.cliff_walking()
    circles = np.eye(4)[random_policies(cliff).argmax(-1)]
    assert exact.never_ends(cliff, circles).all()
    expected = [first_rewards(cliff, policy, 30) for policy in circles]
    found = exact.performances(cliff, circles, time_limit=30)
    assert_allclose(found, expected, rtol=1e-12)


def test_the_uniform_policy_is_soon_cut_off_on_the_cliff():
    cliff = mdp.worlds.cliff_walking()
    policy = mdp.uniform_policy(cliff)
    expected = first_rewards(cliff, policy, 200)
    found = exact.performances_within(cliff, policy[None], 200)
    assert_allclose(found, expected, rtol=1e-12)
    assert round(expected) == -2079, "as compare.py says"
    assert round(exact.performance(cliff, policy)) == -65375, "as compare.py says"


@pytest.mark.parametrize(("chance", "is_never"), [(1e-6, False), (1e-12, True)])
def test_an_end_that_hardly_ever_comes_counts_as_none(chance, is_never):
    """Of a step that ends with probability p there are 1 / p to expect."""
    world = mdp.from_outcomes(
        [[[(1.0, 0, -1.0, False)], [(1.0, 0, -1.0, True)]]], discount=1.0
    )
    policy = np.array([[[1 - chance, chance]]])
    assert exact.never_ends(world, policy)[0] == is_never
    expected = -50 if is_never else -1 / chance
    found = exact.performances(world, policy, time_limit=50)
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_what_is_not_finite_is_worth_nan_and_spoils_no_other(small):
    policies = random_policies(small)
    policies[1, 2, 0] = np.nan
    found = exact.performances(small, policies, time_limit=10)
    assert list(np.isnan(found)) == [False, True, False, False, False]
