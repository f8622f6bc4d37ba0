"""The solvers, against every policy there is, and against their own promises."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def every_deterministic_policy(available):
    choices = (np.flatnonzero(row) for row in available)
    for actions in product(*choices):
        yield np.eye(available.shape[1])[list(actions)]


def loop(reward, gamma):
    """One state, one action, which leads back and earns the reward for ever."""
    return mdp.from_arrays([[[1.0]]], [reward], gamma)


def test_evaluation_is_the_limit_of_the_series_of_expected_rewards(dense, policy):
    """v_pi = r_pi + gamma T_pi r_pi + (gamma T_pi)^2 r_pi + ..."""
    alive = np.arange(5) != dense.terminal
    steps = np.einsum("s,sa,sat->sat", alive, policy, dense.transitions)
    reward = (steps * dense.rewards).sum((1, 2))
    discounted = dense.gamma * steps.sum(1) * alive
    series, term = np.zeros(5), reward
    for _ in range(200):
        series, term = series + term, discounted @ term
    assert_allclose(mdp.evaluate(dense.mdp, policy), series, rtol=1e-12)


def test_the_value_of_earning_one_for_ever_is_a_geometric_series():
    assert mdp.evaluate(loop(1.0, 0.9), np.ones((1, 1)))[0] == pytest.approx(10.0)


def test_no_policy_is_better_than_the_one_value_iteration_finds(dense):
    solution = mdp.value_iteration(dense.mdp)
    best = np.max(
        [
            mdp.evaluate(dense.mdp, policy)
            for policy in every_deterministic_policy(dense.mdp.available)
        ],
        axis=0,
    )
    assert solution.converged
    assert_allclose(solution.values, best, atol=1e-9)
    assert_allclose(mdp.evaluate(dense.mdp, solution.policy), best, atol=1e-12)
    assert_array_equal(solution.policy[~dense.mdp.available], 0.0)
    # Unavailable pairs are 0 in both; elsewhere one more backup of v* is q*.
    assert_allclose(
        solution.action_values, mdp.action_values(dense.mdp, best), atol=1e-9
    )


@pytest.mark.parametrize("epsilon", [1e-1, 1e-3, 1e-6])
def test_value_iteration_keeps_its_promise_about_the_error(dense, epsilon):
    solution = mdp.value_iteration(dense.mdp, epsilon)
    exact = mdp.evaluate(dense.mdp, solution.policy)  # its policy is optimal here
    assert solution.converged
    assert np.abs(solution.values - exact).max() <= epsilon / 2


@pytest.mark.parametrize("reward", [1.0, -1.0])
@pytest.mark.parametrize("gamma", [0.3, 0.99])
def test_value_iteration_stops_no_sweep_too_early_and_none_too_late(gamma, reward):
    """On a loop the bound is tight: n sweeps leave the error gamma^n / (1 - gamma)."""
    solution = mdp.value_iteration(loop(reward, gamma), epsilon := 1e-3)
    sweeps = len(solution.residuals)
    assert_allclose(solution.residuals, gamma ** np.arange(sweeps), atol=1e-12)
    error = abs(solution.values[0] - reward / (1 - gamma))
    assert error == pytest.approx(gamma**sweeps / (1 - gamma))
    assert error <= epsilon / 2, "the change must be <= epsilon (1 - gamma) / (2 gamma)"
    assert error / gamma > epsilon / 2, "one sweep fewer would have been enough"


def test_without_a_future_one_sweep_is_exact(dense):
    solution = mdp.value_iteration(dense.mdp.with_discount(0.0))
    best = np.where(dense.mdp.available, dense.mdp.expected_rewards, -np.inf).max(-1)
    assert solution.converged
    assert len(solution.residuals) == 1
    assert_allclose(solution.values, best)


def test_without_discount_the_sweeps_stop_at_the_first_change_within_epsilon():
    residuals = mdp.value_iteration(mdp.worlds.frozen_lake(1.0), 1e-3).residuals
    assert residuals[-1] <= 1e-3 < residuals[-2]


def test_the_discount_of_what_cannot_happen_does_not_delay_the_stop(dense):
    padding = dense.mdp.probs == 0
    padded = dense.mdp._replace(discounts=np.where(padding, 1.0, dense.mdp.discounts))
    for ours, theirs in zip(
        *map(mdp.value_iteration, (dense.mdp, padded)), strict=True
    ):
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("reward", [1.0, -1.0])
def test_a_problem_without_an_end_is_reported_when_gamma_is_one(reward):
    solution = mdp.value_iteration(loop(reward, 1.0), max_sweeps=50)
    assert not solution.converged
    assert len(solution.residuals) == 50


def test_running_out_of_sweeps_is_not_called_convergence(dense):
    solution = mdp.value_iteration(dense.mdp, max_sweeps=3)
    assert not solution.converged
    assert len(solution.residuals) == 3
    best_rewards = np.where(dense.mdp.available, dense.mdp.expected_rewards, -np.inf)
    first_change = np.abs(best_rewards.max(-1)).max()
    assert solution.residuals[0] == pytest.approx(first_change), "values start at 0"


def test_a_policy_that_never_ends_has_no_value_at_gamma_one():
    """Of two states, 0 can be left for the end and 1 cannot be left."""
    transitions = np.zeros((3, 1, 3))
    transitions[0, 0] = [0.5, 0.0, 0.5]
    transitions[1, 0, 1] = 1.0
    model = mdp.from_arrays(transitions, [-1.0, -1.0, 0.0], 1.0, terminal=[2])
    with pytest.raises(ValueError, match=r"must end the episode .* from state 1$"):
        mdp.evaluate(model, np.ones((3, 1)))
    # Below gamma = 1 it has one, and so has every state from which the end is reached.
    below = mdp.evaluate(model.with_discount(0.5), np.ones((3, 1)))
    assert_allclose(below, [-1 / 0.75, -2.0, 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda policy: policy[:4], r"policy must have shape \(5, 3\), got \(4, 3\)"),
        (lambda policy: policy * 0.5, r"policy\[s=0\] must sum to 1, got 0\.5"),
        (lambda policy: -policy, r"policy\[s=0, a=0\] must be at least 0, got -"),
        (
            lambda policy: policy * np.nan,
            r"policy\[s=0, a=0\] must be at least 0, got n",
        ),
        (lambda policy: np.full((5, 3), 1 / 3), r"policy\[s=1, a=2\] must be 0"),
    ],
)
def test_what_is_not_a_policy_is_refused(dense, policy, change, message):
    with pytest.raises(ValueError, match=message):
        mdp.evaluate(dense.mdp, change(policy))
