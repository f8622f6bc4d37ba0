"""Many policies at once, against each by itself."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from policy_gradient import exact
from policy_gradient.comparison import performances
from policy_gradient.comparison.performances import never_ends


def random_policies(world, n=5, concentration=1.0):
    rng = np.random.default_rng(0)
    shape = n, world.num_states
    policies = rng.dirichlet(np.full(world.num_actions, concentration), shape)
    policies *= world.available
    return policies / policies.sum(-1, keepdims=True)


@pytest.mark.parametrize("at_once", [1, 40, 4_000_000])
def test_together_they_are_worth_what_each_is_worth_alone(small, at_once, monkeypatch):
    monkeypatch.setattr(performances, "ENTRIES_AT_ONCE", at_once)
    for world in (small, mdp.worlds.frozen_lake()):
        policies = random_policies(world).reshape(5, 1, *world.available.shape)
        expected = [[exact.performance(world, policy[0])] for policy in policies]
        found = performances.performances(world, policies, time_limit=10)
        assert_allclose(found, expected, rtol=1e-12)
        assert not never_ends(world, policies).any()


def test_what_never_ends_is_worth_what_it_earns_until_it_is_cut_off():
    """Into the cliff at every step, and back to the start: -100 each time."""
    cliff = mdp.worlds.cliff_walking()
    right = np.tile(np.eye(4)[1], (1, 48, 1))
    assert never_ends(cliff, right).all()
    assert performances.performances(cliff, right, time_limit=7) == -700


def test_up_to_the_time_limit_agrees_with_the_loop():
    cliff = mdp.worlds.cliff_walking()
    circles = np.eye(4)[random_policies(cliff).argmax(-1)]
    assert never_ends(cliff, circles).all()
    expected = [exact.performance_within(cliff, policy, 30) for policy in circles]
    found = performances.performances(cliff, circles, time_limit=30)
    assert_allclose(found, expected, rtol=1e-12)


def test_the_uniform_policy_is_soon_cut_off_on_the_cliff():
    cliff = mdp.worlds.cliff_walking()
    policy = mdp.uniform_policy(cliff)
    expected = exact.performance_within(cliff, policy, 200)
    found = performances.performances_within(cliff, policy[None], 200)
    assert_allclose(found, expected, rtol=1e-12)
    assert round(expected) == -2079, "as compare.py says"
    assert round(exact.performance(cliff, policy)) == -65375, "as compare.py says"


def test_what_a_policy_would_do_where_it_never_comes_does_not_matter():
    cliff = mdp.worlds.cliff_walking()
    best = mdp.value_iteration(cliff).policy
    best[0] = [0, 0, 0, 1]  # for ever against the wall, in a corner off the way
    assert not never_ends(cliff, best[None])[0]
    found = performances.performances(cliff, best[None], time_limit=5)
    assert found[0] == pytest.approx(-13, abs=1e-12)


@pytest.mark.parametrize(("chance", "is_never"), [(1e-6, False), (1e-12, True)])
def test_an_end_that_hardly_ever_comes_counts_as_none(chance, is_never):
    """Of a step that ends with probability p there are 1 / p to expect."""
    world = mdp.from_outcomes(
        [[[(1.0, 0, -1.0, False)], [(1.0, 0, -1.0, True)]]], discount=1.0
    )
    policy = np.array([[[1 - chance, chance]]])
    assert never_ends(world, policy)[0] == is_never
    expected = -50 if is_never else -1 / chance
    found = performances.performances(world, policy, time_limit=50)
    assert found[0] == pytest.approx(expected, rel=1e-9)


def test_what_is_not_finite_is_worth_nan_and_spoils_no_other(small):
    policies = random_policies(small)
    policies[1, 2, 0] = np.nan
    found = performances.performances(small, policies, time_limit=10)
    assert list(np.isnan(found)) == [False, True, False, False, False]
