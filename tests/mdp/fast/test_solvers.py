"""The compiled solvers, small and large in both forms, against policy iteration."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.fast import large, small


@pytest.fixture(params=["small", "sparse", "compiled"])
def solve(request, monkeypatch):
    """Return `solve_small`, or `solve_large` forced into one of its two forms."""
    limit = 0 if request.param == "sparse" else 1000
    monkeypatch.setattr(large, "FEW_OUTCOMES", limit)
    return small.solve_small if request.param == "small" else large.solve_large


def in_order():
    """Return a world in which every pair lists every state in order."""
    rng = np.random.default_rng(0)
    transitions = rng.dirichlet(np.ones(8), (8, 3))
    return mdp.from_arrays(transitions, rng.normal(size=8), 0.9)


@pytest.mark.parametrize("world", ["dense", "lake", "walk", "garnet", "ends", "order"])
def test_a_solver_agrees_with_policy_iteration(solve, world, dense):
    """With ends and without, negative rewards and of both signs, one action."""
    model = {
        "dense": dense.mdp,
        "lake": mdp.worlds.frozen_lake(0.99),
        "walk": mdp.worlds.five_state_walk(0.9),
        "garnet": mdp.worlds.garnet(branching=4, discount=0.97),
        # Every step ends with probability 1/2: equal expected discounts, two gammas.
        "ends": mdp.from_outcomes(
            [[[(0.5, 1 - s, s, False), (0.5, s, -3.0, True)]] for s in range(2)], 0.9
        ),
        "order": in_order(),
    }[world]
    exact = mdp.policy_iteration(model)
    for epsilon in (1.0, 1e-2, 1e-9):
        solution = solve(model, epsilon)
        assert solution.converged
        assert np.abs(solution.values - exact.values).max() <= epsilon / 2
    assert_allclose(solution.action_values, exact.action_values, atol=1e-9)
    assert_array_equal(solution.policy, exact.policy)
    assert len(solution.residuals) < 140


def test_a_solver_stops_as_soon_as_half_of_epsilon_allows(solve):
    """The bounds are exact here: a rule with twice the error fails for some epsilon."""
    loops = mdp.from_arrays(np.eye(2)[:, None], [1.0, -1.0], 0.9)
    for epsilon in np.geomspace(20.0, 1e-4, 25):
        solution = solve(loops, float(epsilon))
        assert solution.converged
        assert np.abs(solution.values - [10.0, -10.0]).max() <= epsilon / 2 + 1e-12
