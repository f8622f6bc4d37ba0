"""What the solver of large MDPs does alone; see test_solvers.py for the rest."""

import pytest
from numpy.testing import assert_allclose

import mdp
from mdp.fast import large


def test_sweeps_replace_the_rough_solve_after_many_rounds(monkeypatch):
    monkeypatch.setattr(large, "PATIENCE", 0)
    model = mdp.worlds.frozen_lake(0.99)
    solution = large.solve_large(model, 1e-9)
    assert solution.converged
    assert_allclose(solution.values, mdp.policy_iteration(model).values, atol=5e-10)


@pytest.mark.parametrize("few_outcomes", [0, 1000])  # the sparse form, the compiled
def test_large_solver_that_runs_out_of_rounds_has_not_converged(
    few_outcomes, monkeypatch
):
    monkeypatch.setattr(large, "FEW_OUTCOMES", few_outcomes)
    lake = mdp.worlds.frozen_lake(0.999)
    solution = large.solve_large(lake, 1e-9, max_rounds=1)
    assert not solution.converged
    assert len(solution.residuals) == 1
