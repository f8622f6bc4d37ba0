"""The compiled solvers, against the readable ones, and against their own promises."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast import large, small
from mdp.fast.small import bounds_on_error


def solve_sparse(model, *args):
    """As `solve_large` does it where a state has many outcomes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "FEW_OUTCOMES", 0)
        return large.solve_large(model, *args)


def solve_compiled(model, *args):
    """As `solve_large` does it where a state has few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "FEW_OUTCOMES", 1000)
        return large.solve_large(model, *args)


LARGE = [solve_sparse, solve_compiled]


def every_solver(test, solvers=(*LARGE, small.solve_small)):
    return pytest.mark.parametrize("solver", solvers, ids=lambda f: f.__name__)(test)


@every_solver
@pytest.mark.parametrize(
    "world", ["dense", "five_by_five", "lake", "garnet", "walk", "mortal"]
)
def test_a_compiled_solver_agrees_with_policy_iteration(solver, world, dense):
    """With ends and without, all rewards negative or of both signs, one action."""
    model = {
        "dense": dense.mdp,
        "five_by_five": mdp.worlds.five_by_five(),
        "lake": mdp.worlds.frozen_lake(0.99),
        "garnet": mdp.worlds.garnet(branching=20, discount=0.95),
        "walk": mdp.worlds.five_state_walk(0.9),
        # Every step ends it half of the time: equal expected discounts, two gammas.
        "mortal": mdp.from_outcomes(
            [[[(0.5, 1 - s, s, False), (0.5, s, -3.0, True)]] for s in range(2)], 0.9
        ),
    }[world]
    ours, exact = solver(model, 1e-9), mdp.policy_iteration(model)
    assert ours.converged
    assert_allclose(ours.values, exact.values, atol=5e-10)
    assert_allclose(ours.action_values, exact.action_values, atol=1e-9)
    assert_array_equal(ours.policy, exact.policy)
    assert len(ours.residuals) < 140


@every_solver
@pytest.mark.parametrize("epsilon", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("branching", [1, 20])
def test_a_compiled_solver_keeps_its_promise_about_the_error(
    solver, branching, epsilon
):
    model = mdp.worlds.garnet(branching=branching, discount=0.97)
    solution = solver(model, epsilon)
    assert solution.converged
    error = np.abs(solution.values - mdp.policy_iteration(model).values).max()
    assert error <= epsilon / 2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("ending", [True, False])
def test_the_bounds_hold_after_every_sweep(sign, ending, dense):
    """|T v + shift - v*| is at most `error`, whatever v is; with ends and without."""
    model = dense.mdp if ending else mdp.worlds.garnet(discount=0.9)
    model = model._replace(rewards=sign * model.rewards)
    optimal = mdp.policy_iteration(model).values
    expected = (model.probs * model.discounts).sum(-1)[model.available]
    values = np.zeros(model.num_states)
    for _ in range(30):
        improved = mdp.optimality_backup(model, values)
        known = improved - values, expected.min(), expected.max()
        with jax.enable_x64(True):
            shift, error = map(float, bounds_on_error(*map(jnp.asarray, known)))
        assert np.abs(improved + shift - optimal).max() <= error + 1e-12
        assert ending == (shift == 0), "where it ends the value is 0 and stays 0"
        values = improved


@pytest.mark.parametrize("rewards", [(1.0, -1.0), (3.0, -1.0), (2.0, 2.0)])
def test_the_bounds_are_no_wider_than_they_must_be(rewards):
    """Two states that one stays in for ever, earning r: v* = r / (1 - gamma)."""
    earned = np.array(rewards)
    shift, error = bounds_on_error(earned, 0.9, 0.9)  # the first backup, from v = 0
    assert np.abs(earned + shift - earned / 0.1).max() == pytest.approx(error)


def test_without_a_discount_only_the_change_itself_counts():
    shift, error = bounds_on_error(np.array([0.3, -0.8]), 1.0, 1.0)
    assert (shift, error) == (0.0, 0.4)


@every_solver
def test_a_fast_solver_has_no_more_than_half_of_epsilon_to_spare(solver):
    """Where the bounds are attained, to stop at twice the error shows for some epsilon.

    They are more than half as large as the one before.
    """
    loops = mdp.from_arrays(np.eye(2)[:, None], [1.0, -1.0], 0.9)
    for epsilon in np.geomspace(20.0, 1e-4, 25):
        solution = solver(loops, float(epsilon))
        assert solution.converged
        assert np.abs(solution.values - [10.0, -10.0]).max() <= epsilon / 2 + 1e-12


def test_an_error_that_is_the_same_everywhere_costs_no_sweep():
    """A state that leads everywhere alike: after one backup only the level is wrong."""
    model = mdp.from_arrays(
        np.full((4, 2, 4), 0.25), np.arange(8.0).reshape(4, 2), 0.99
    )
    assert len(small.solve_small(model, 1e-9).residuals) <= 3


def test_sweeping_takes_over_where_solving_fails(monkeypatch):
    monkeypatch.setattr(large, "PATIENCE", 0)
    model = mdp.worlds.frozen_lake(0.99)
    solution = solve_compiled(model, 1e-9)
    assert solution.converged
    assert_allclose(solution.values, mdp.policy_iteration(model).values, atol=5e-10)


def test_running_out_of_rounds_is_not_called_convergence():
    solution = large.solve_large(mdp.worlds.five_by_five(0.999), 1e-9, max_rounds=1)
    assert not solution.converged
    assert len(solution.residuals) == 1


@pytest.mark.parametrize("reward", [1.0, -1.0])
@every_solver
def test_a_problem_without_an_end_is_reported_when_gamma_is_one(solver, reward):
    assert not solver(mdp.from_arrays([[[1.0]]], [reward], 1.0)).converged


def of_every_kind(rng):
    """What worlds of a stack can have in common, and what only looks like it."""
    yield "nothing", [mdp.worlds.garnet(8, 3, 8, seed) for seed in range(5)]
    yield (
        "the order of states",
        [
            mdp.from_arrays(rng.dirichlet(np.ones(8), (8, 3)), rng.normal(size=8), 0.9)
            for _ in range(5)
        ],
    )
    lake = mdp.worlds.frozen_lake(0.95)
    yield "all but rewards", [lake._replace(rewards=k * lake.rewards) for k in range(9)]
    tables = [[[(p, 0, 1.0, False), (1 - p, 0, -1.0, True)]] for p in (0.1, 0.5, 0.9)]
    yield "the next state", [mdp.from_outcomes([table], 0.9) for table in tables]
    yield (
        "the order of states in the first alone",
        [
            mdp.from_arrays(rng.dirichlet(np.ones(8), (8, 3)), rng.normal(size=8), 0.9),
            mdp.worlds.garnet(8, 3, 8),
        ],
    )
    yield (
        "a gamma in the first alone",
        [mdp.worlds.garnet(8, 3, 8, discount=gamma) for gamma in (0.9, 0.5)],
    )
    yield "being alone", [mdp.worlds.garnet(5, 2)]


@pytest.mark.parametrize("number", range(7))
def test_a_stack_of_worlds_is_solved_like_each_of_them(number):
    _, worlds = list(of_every_kind(np.random.default_rng(0)))[number]
    stacked = mdp.stack(worlds)
    for of_all, of_each in zip(stacked, zip(*worlds, strict=True), strict=True):
        assert_array_equal(of_all, of_each)
    solution = mdp.solve_small(stacked, 1e-9)
    exact = [mdp.policy_iteration(world) for world in worlds]
    assert solution.converged.all()
    assert_allclose(solution.values, [e.values for e in exact], atol=5e-10)
    assert_array_equal(solution.policy, [e.policy for e in exact])


def test_worlds_of_two_shapes_are_not_stacked():
    worlds = [mdp.worlds.garnet(8), mdp.worlds.garnet(9)]
    with pytest.raises(
        ValueError, match=r"one shape .* got \[\(8, 4, 3\), \(9, 4, 3\)\]$"
    ):
        mdp.stack(worlds)


def test_importing_mdp_does_not_import_jax():
    script = "import sys, mdp; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
