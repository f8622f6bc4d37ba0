"""The exact gradient, against finite differences of what is earned."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from policy_gradient import exact
from tests.mdp import inputs as of_worlds
from tests.policy_gradient.exercises import oracles


def policy_of(world, preferences):
    rows = zip(preferences, world.available, strict=True)
    return np.array([oracles.policy(*row) for row in rows])


def test_it_is_the_slope_of_what_is_earned(rng):
    world = of_worlds.world(rng, 4, 2, 3)
    h = rng.normal(size=world.available.shape)
    gradient = exact.softmax_gradient(world, policy_of(world, h))
    for s, a in np.ndindex(h.shape):
        small = np.zeros(h.shape)
        small[s, a] = 1e-5
        slope = (
            oracles.earned(world, h + small) - oracles.earned(world, h - small)
        ) / 2e-5
        assert_allclose(gradient[s, a], slope, atol=1e-6)


def test_what_one_preference_gains_the_others_of_the_state_lose(rng):
    world = of_worlds.world(rng)
    policy = of_worlds.policy(rng, world)
    gradient = exact.softmax_gradient(world, policy)
    assert_allclose(gradient.sum(-1), 0.0, atol=1e-10)
    assert_array_equal(gradient[~world.available], 0.0)


def test_of_a_bandit_it_is_that_of_the_gradient_bandit(rng):
    """Pi(a) (r(a) - the average reward): Sutton & Barto (2018), section 2.8."""
    rewards, policy = rng.normal(size=3), rng.dirichlet(np.ones(3))
    table = [[[(1.0, 1, reward, True)] for reward in rewards], []]
    bandit = mdp.from_outcomes(table, 0.9, terminal=[1])
    bandit = bandit._replace(start=np.array([1.0, 0.0]))
    gradient = exact.softmax_gradient(bandit, np.array([policy, [1.0, 0.0, 0.0]]))
    assert_allclose(gradient[0], policy * (rewards - policy @ rewards), atol=1e-12)
