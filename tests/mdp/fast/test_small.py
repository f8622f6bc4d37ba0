"""The compiled solver of small MDPs: its bounds, and stacks; see test_solvers.py."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast import small
from mdp.fast.bounds import bounds_on_error


def assert_solved(solution, world, epsilon):
    exact = mdp.policy_iteration(world)
    assert solution.converged
    assert np.abs(solution.values - exact.values).max() <= epsilon / 2
    assert_allclose(solution.action_values, exact.action_values, atol=epsilon)
    assert_array_equal(solution.policy, exact.policy)


def dense_worlds(rng, count):
    for _ in range(count):
        transitions, rewards = rng.dirichlet(np.ones(8), (8, 3)), rng.normal(size=8)
        yield mdp.from_arrays(transitions, rewards, 0.9)


def test_many_outcomes_are_scattered_into_the_dense_matrix(monkeypatch):
    """Two outcomes of a pair may lead to the same state, and add up."""
    monkeypatch.setattr(small, "FEW_OUTCOMES", 0)
    lake = mdp.worlds.frozen_lake(0.99, drawing=("S..", ".H.", "..G"))
    assert_solved(small.solve_small(lake, 1e-9), lake, 1e-9)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("ending", [True, False])
def test_the_bounds_hold_after_every_sweep(sign, ending, dense):
    """|T v + shift - v*| is at most `error` for any v; with ends and without."""
    model = dense.mdp if ending else mdp.worlds.garnet(discount=0.9)
    model = model._replace(rewards=sign * model.rewards)
    optimal = mdp.policy_iteration(model).values
    expected = (model.probs * model.discounts).sum(-1)[model.available]
    values = np.zeros(model.num_states)
    for _ in range(30):
        improved = mdp.optimality_backup(model, values)
        shift, error = bounds_on_error(
            improved - values, expected.min(), expected.max()
        )
        assert np.abs(improved + shift - optimal).max() <= error + 1e-12
        assert ending == (shift == 0), "the value of an end is 0, and stays 0"
        values = improved


@pytest.mark.parametrize("rewards", [(1.0, -1.0), (3.0, -1.0), (2.0, 2.0)])
def test_the_bounds_are_no_wider_than_they_must_be(rewards):
    """Two states that lead back to themselves and earn r: v* = r / (1 - gamma)."""
    earned = np.array(rewards)
    shift, error = bounds_on_error(earned, 0.9, 0.9)  # the first backup, from v = 0
    assert np.abs(earned + shift - earned / 0.1).max() == pytest.approx(error)


def test_without_a_discount_no_change_bounds_the_error():
    shift, error = bounds_on_error(np.array([0.3, -0.8]), 1.0, 1.0)
    assert (shift, error) == (0.0, np.inf)


def test_an_error_that_is_equal_in_all_states_costs_no_sweep():
    """Every state leads to all states alike: after one backup only the level is off."""
    rewards = np.arange(8.0).reshape(4, 2)
    model = mdp.from_arrays(np.full((4, 2, 4), 0.25), rewards, 0.99)
    assert len(small.solve_small(model, 1e-9).residuals) <= 3


@pytest.mark.parametrize("world", ["lake", "dense"])
def test_rewards_too_large_for_float32_only_scale_the_values(world, dense):
    """The first sweeps are in float32, whose largest number is 3e38."""
    model = mdp.worlds.frozen_lake(0.95) if world == "lake" else dense.mdp
    exact = 1e40 * mdp.policy_iteration(model).values
    solution = mdp.solve_small(model._replace(rewards=1e40 * model.rewards), 1e31)
    assert solution.converged
    assert np.abs(solution.values - exact).max() <= 1e31 / 2


def stacks(rng):
    """Yield stacks of worlds that share some fields, or only seem to share them."""
    lake = mdp.worlds.frozen_lake(0.95)
    tables = [[[(p, 0, 1.0, False), (1 - p, 0, -1.0, True)]] for p in (0.1, 0.5, 0.9)]
    garnets = [mdp.worlds.garnet(8, 3, 3, seed) for seed in range(5)]
    yield "no field is shared", garnets
    yield "the order of states is shared", list(dense_worlds(rng, 5))
    yield "all but rewards", [lake._replace(rewards=k * lake.rewards) for k in range(9)]
    yield "the next state", [mdp.from_outcomes([table], 0.9) for table in tables]
    garnet = mdp.worlds.garnet(8, 3, 8)
    yield "the first alone is in order", [*dense_worlds(rng, 1), garnet]
    yield "different discounts", [garnets[0], garnets[1].with_discount(0.5)]
    yield "a stack of one", [mdp.worlds.garnet(5, 2)]


@pytest.mark.parametrize("number", range(7))
def test_a_stack_of_worlds_is_solved_like_each_of_them(number):
    _, worlds = list(stacks(np.random.default_rng(0)))[number]
    stacked = mdp.stack(worlds)
    for field, fields in zip(stacked, zip(*worlds, strict=True), strict=True):
        assert_array_equal(field, fields)
    solutions = mdp.solve_small(stacked, 1e-9)
    for *solution, world in zip(*solutions, worlds, strict=True):
        assert_solved(mdp.Solution(*solution), world, 1e-9)


def test_a_stack_stores_states_last():
    probs = mdp.stack(list(dense_worlds(np.random.default_rng(0), 5))).probs
    assert probs.transpose(0, 3, 2, 1).flags.c_contiguous


def test_worlds_of_two_shapes_are_not_stacked():
    worlds = [mdp.worlds.garnet(8), mdp.worlds.garnet(9)]
    message = r"one shape .* got \[\(8, 4, 3\), \(9, 4, 3\)\]$"
    with pytest.raises(ValueError, match=message):
        mdp.stack(worlds)


@pytest.mark.parametrize("too_high", [2.0, -2.0])
def test_the_bound_on_the_error_is_that_of_the_largest_discount(too_high):
    """A loop at gamma 0.9, whose value is too high by c, beside a state that ends.

    There T v - v = -(1 - gamma) c, and v* - T v = -gamma c.
    """
    change = np.array([-0.1 * too_high, 0.0])
    error = bounds_on_error(change, least=0.0, most=0.9).error
    assert error == pytest.approx(0.9 * abs(too_high))
