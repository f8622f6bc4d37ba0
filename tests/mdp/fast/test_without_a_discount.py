"""A thousand random worlds, with gamma 1 and below: no solver promises what is not so.

The oracle is brute force: the best of all deterministic policies that end the episode.
"""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast import large
from mdp.fast.small import may_go_on

SHAPE = NUM_STATES, NUM_ACTIONS, NUM_OUTCOMES = (3, 2, 2)


def random_worlds(rng, count):
    """Yield worlds with an end from everywhere; who never ends in them, always loses.

    Where every policy ends, the rewards have both signs. Some discounts are 1/2.
    """
    while count:
        probs = 0.3 + 0.4 * rng.dirichlet(np.ones(NUM_OUTCOMES), SHAPE[:2])
        next_states = rng.integers(NUM_STATES, size=SHAPE)
        rewards = rng.normal(0.0, 3.0, SHAPE)
        discounts = rng.choice([0.0, 0.5, 1.0], SHAPE, p=[0.35, 0.05, 0.6])
        all_available, start = np.ones(SHAPE[:2], bool), np.full(NUM_STATES, 1 / 3)
        world = mdp.MDP(probs, next_states, rewards, discounts, all_available, start)
        _, ends = values_of_all_policies(world)
        if not ends.all():
            world = world._replace(rewards=-np.abs(rewards) - 0.01)
        if ends.any() and may_go_on(world):
            count -= 1
            yield mdp.validate(world)


def values_of_all_policies(world):
    """Return v of every deterministic policy, and whether it ends from every state."""
    policies = itertools.product(range(NUM_ACTIONS), repeat=NUM_STATES)
    actions = np.array(list(policies))
    states = np.arange(NUM_STATES)
    weights = (world.probs * world.discounts)[states, actions]
    leads = world.next_states[states, actions][..., None] == states
    steps = (weights[..., None] * leads).sum(-2)
    ends = np.linalg.matrix_power(steps, NUM_STATES).sum(-1).max(-1) < 1 - 1e-9
    system = np.eye(NUM_STATES) - np.where(ends[:, None, None], steps, 0.0)
    rewards = world.expected_rewards[states, actions]
    return np.linalg.solve(system, rewards[..., None])[..., 0], ends


def best_values(world):
    values, ends = values_of_all_policies(world)
    return values[ends].max(0)


def side_by_side(worlds):
    """Return one world that holds all of them; none leads to another."""
    fields = [np.concatenate(field) for field in zip(*worlds, strict=True)]
    first = np.repeat(NUM_STATES * np.arange(len(worlds)), NUM_STATES)
    fields[1] = fields[1] + first[:, None, None]
    fields[5] = fields[5] / len(worlds)
    return mdp.validate(mdp.MDP(*fields))


@pytest.fixture(scope="module")
def thousand():
    return list(random_worlds(np.random.default_rng(0), 1000))


@pytest.fixture(scope="module")
def best(thousand):
    return np.array([best_values(world) for world in thousand])


@pytest.fixture(scope="module")
def discounted(thousand):
    """The same worlds with a discount, and their best values."""
    worlds = [world.with_discount(0.97) for world in thousand]
    return worlds, np.array([best_values(world) for world in worlds])


@pytest.mark.parametrize("gamma", [None, 0.97], ids=["undiscounted", "0.97"])
@pytest.mark.parametrize(
    ("solver", "count"),
    [
        (mdp.value_iteration, 1000),
        # A loop over the states, in Python.
        pytest.param(mdp.value_iteration_in_place, 50, marks=pytest.mark.slow),
        (mdp.policy_iteration, 1000),
        (mdp.modified_policy_iteration, 1000),
        (mdp.solve_large, 1000),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_thousand_worlds_at_once(solver, count, gamma, thousand, best, discounted):
    worlds, exact = discounted if gamma else (thousand, best)
    best = exact[:count]
    solution = solver(side_by_side(worlds[:count]), 1e-9)
    assert solution.converged
    atol = (
        1e-9 if gamma else 1e-7
    )  # in sweeps, the last change does not bound the error
    assert_allclose(solution.values, best.ravel(), rtol=1e-7, atol=atol)


@pytest.mark.slow
def test_a_stack_of_a_thousand_worlds(thousand, best):
    solution = mdp.solve_small(mdp.stack(thousand), 1e-9)
    assert solution.converged.all()
    assert_allclose(solution.values, best, rtol=1e-12, atol=1e-12)
    exact = mdp.policy_iteration(thousand[-1], 0.0)
    rounds = len(exact.residuals)
    assert_array_equal(solution.residuals[-1, :rounds], exact.residuals)
    assert np.isnan(solution.residuals[-1, rounds:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("few_outcomes", [0, 1000])  # the sparse form, the compiled
def test_hundreds_of_worlds_one_by_one(few_outcomes, thousand, best, monkeypatch):
    monkeypatch.setattr(large, "FEW_OUTCOMES", few_outcomes)
    bounded = 0
    for world, exact in zip(thousand[:300], best, strict=False):
        solution = mdp.solve_large(world, 1e-6)
        assert solution.converged
        assert np.abs(solution.values - exact).max() <= 0.5e-6
        bounded += (solution.residuals > 0).all()
    assert 30 < bounded < 270, "some are bounded by steps, some solved exactly"


fast = pytest.mark.parametrize("solve", [mdp.solve_small, mdp.solve_large])


def test_a_stack_of_worlds_with_and_without_a_discount(thousand, best):
    worlds = [thousand[0], thousand[1].with_discount(0.5), thousand[2]]
    solution = mdp.solve_small(mdp.stack(worlds), 1e-9)
    discounted = mdp.policy_iteration(worlds[1]).values
    assert solution.converged.all()
    assert_allclose(solution.values, [best[0], discounted, best[2]], atol=1e-9)


@fast
def test_costs_without_a_discount_are_not_overestimated(solve):
    """Two states that cost 1 a step: a solver once found 2e32 here."""
    stay = [(0.1, 1, -1.0, False), (0.9, 1, -1.0, False)]
    there = [(0.9, 1, -1.0, False), (0.1, 0, -1.0, False)]
    ends = [(0.9, 1, -1.0, True), (0.1, 0, -1.0, False)]
    back = [(0.1, 1, -1.0, False), (0.9, 0, -1.0, False)]
    solution = solve(mdp.from_outcomes([[there, ends], [stay, back]], 1.0))
    assert solution.converged
    assert_allclose(solution.values, [-10 / 9, -20 / 9], rtol=1e-12)


@fast
def test_chances_without_a_discount_are_at_most_one(solve):
    """A policy that waits for ever in the lake's first row ties with the best."""
    solution = solve(mdp.worlds.frozen_lake_8x8(), 1e-12)
    assert solution.converged
    assert_allclose(solution.values[0], 1.0, rtol=1e-12)
    assert solution.values.max() <= 1 + 1e-12


@fast
def test_an_end_that_is_almost_never_met_counts_as_none(solve):
    """Three probabilities of 1/3 may add up to a little less than 1."""
    table = [[[(1 - 1e-13, 0, 0.0, False), (1e-13, 0, 1.0, True)]]]
    solution = solve(mdp.from_outcomes(table, 1.0))
    assert_allclose(solution.values, [1.0], rtol=1e-2)


@fast
def test_going_round_for_nothing_does_not_count_as_an_end(solve):
    """Staying is free, and ending costs 3: the best that ends has -3."""
    free, end = [(1.0, 0, 0.0, False)], [(1.0, 0, -3.0, True)]
    world = mdp.from_outcomes([[free, end]], 1.0)
    assert_array_equal(solve(world).values, [-3.0])
    assert_array_equal(mdp.value_iteration(world).values, [0.0])


@fast
@pytest.mark.parametrize("reward", [1.0, 0.0, -1.0])
def test_a_world_without_an_end_is_refused(solve, reward):
    world = mdp.from_arrays([[[1.0]]], [reward], 1.0)
    with pytest.raises(ValueError, match=r"no way to do so from state 0$"):
        solve(world)


@fast
def test_earning_for_ever_is_refused(solve):
    earn, end = [(1.0, 0, 1.0, False)], [(1.0, 0, -3.0, True)]
    with pytest.raises(ValueError, match=r"earn for ever .* from state 0$"):
        solve(mdp.from_outcomes([[earn, end]], 1.0))


@pytest.mark.slow
def test_a_tie_that_only_rounding_breaks_is_not_earning_for_ever():
    """Going round costs nothing; values of millions round by more than epsilon."""
    rng = np.random.default_rng(0)
    for world in random_worlds(rng, 300):
        rewards = -1.1e7 * rng.integers(0, 4, SHAPE)
        costs = world._replace(rewards=rewards)
        values = mdp.policy_iteration(costs).values
        assert_allclose(values, best_values(costs), rtol=1e-9, atol=1e-6)
