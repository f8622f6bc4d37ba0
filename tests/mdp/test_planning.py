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


def max_over_policies(model):
    policies = every_deterministic_policy(model.available)
    return np.max([mdp.evaluate(model, policy) for policy in policies], axis=0)


SOLVERS = [
    mdp.value_iteration,
    mdp.value_iteration_in_place,
    mdp.policy_iteration,
    mdp.modified_policy_iteration,
]


def every_solver(test):
    return pytest.mark.parametrize("solver", SOLVERS, ids=lambda f: f.__name__)(test)


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


@every_solver
def test_no_policy_is_better_than_the_one_a_solver_finds(solver, dense):
    solution = solver(dense.mdp)
    best = max_over_policies(dense.mdp)
    assert solution.converged
    assert_allclose(solution.values, best, atol=1e-9)
    assert_allclose(mdp.evaluate(dense.mdp, solution.policy), best, atol=1e-12)
    assert_array_equal(solution.policy[~dense.mdp.available], 0.0)
    # Unavailable pairs are 0 in both; elsewhere one more backup of v* is q*.
    assert_allclose(
        solution.action_values, mdp.action_values(dense.mdp, best), atol=1e-9
    )


@every_solver
@pytest.mark.parametrize("epsilon", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("gamma", [0.8, 0.995])
def test_a_solver_keeps_its_promise_about_the_error(solver, gamma, epsilon, dense):
    model = dense.mdp.with_discount(gamma)
    exact = max_over_policies(model)
    solution = solver(model, epsilon)
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


@every_solver
def test_without_a_future_the_best_reward_is_the_value(solver, dense):
    solution = solver(dense.mdp.with_discount(0.0))
    best = np.where(dense.mdp.available, dense.mdp.expected_rewards, -np.inf).max(-1)
    assert solution.converged
    assert_allclose(solution.values, best)
    if solver is not mdp.policy_iteration:
        assert len(solution.residuals) == 1, "one sweep is exact"


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


@every_solver
@pytest.mark.parametrize("world", ["cliff_walking", "frozen_lake", "four_by_three"])
def test_all_solvers_agree_where_gamma_is_one_and_episodes_end(solver, world):
    """The values are what the policy of one evaluation-free solver really earns."""
    model = getattr(mdp.worlds, world)()
    exact = mdp.evaluate(model, mdp.value_iteration(model, 1e-12).policy)
    solution = solver(model, 1e-12)
    assert model.discounts.max() == 1
    assert solution.converged
    assert_allclose(solution.values, exact, atol=1e-9)
    assert_allclose(mdp.evaluate(model, solution.policy), exact, atol=1e-9)


@pytest.mark.parametrize("reward", [1.0, -1.0])
@pytest.mark.parametrize("solver", SOLVERS[:2], ids=lambda f: f.__name__)
def test_a_problem_without_an_end_uses_up_its_sweeps_when_gamma_is_one(solver, reward):
    solution = solver(loop(reward, 1.0), max_sweeps=50)
    assert not solution.converged
    assert len(solution.residuals) == 50


@pytest.mark.parametrize("solver", SOLVERS[2:], ids=lambda f: f.__name__)
def test_a_problem_without_an_end_is_refused_when_gamma_is_one(solver):
    with pytest.raises(ValueError, match=r"no way to do so from state 0$"):
        solver(loop(-1.0, 1.0))


def where_staying_pays(reward):
    """Of two states, 0 may stay (action 0) or end for -3 (action 1)."""
    transitions = np.zeros((2, 2, 2))
    transitions[0, 0, 0] = transitions[0, 1, 1] = 1.0
    return mdp.from_arrays(transitions, [[reward, -3.0], [0.0, 0.0]], 1.0, terminal=[1])


def test_earning_for_ever_is_reported_when_gamma_is_one():
    model = where_staying_pays(1.0)
    with pytest.raises(ValueError, match=r"earn for ever .* from state 0$"):
        mdp.policy_iteration(model)
    for solver in (mdp.value_iteration, mdp.modified_policy_iteration):
        solution = solver(model, max_sweeps=50)
        assert not solution.converged
        assert len(solution.residuals) == 50


@every_solver
def test_ending_for_a_price_beats_losing_for_ever(solver):
    assert_allclose(solver(where_staying_pays(-1.0)).values, [-3.0, 0.0])


@every_solver
def test_running_out_of_sweeps_is_not_called_convergence(solver):
    solution = solver(mdp.worlds.frozen_lake(0.99), 1e-9, 2)
    assert not solution.converged
    assert len(solution.residuals) == 2


def test_the_first_residual_is_the_best_reward_since_values_start_at_zero(dense):
    solution = mdp.value_iteration(dense.mdp, max_sweeps=3)
    assert not solution.converged
    assert len(solution.residuals) == 3
    best_rewards = np.where(dense.mdp.available, dense.mdp.expected_rewards, -np.inf)
    first_change = np.abs(best_rewards.max(-1)).max()
    assert solution.residuals[0] == pytest.approx(first_change), "values start at 0"


def test_in_place_news_travels_through_the_states_in_one_sweep():
    """Each state of a corridor leads to the one before it, and state 0 is the end."""
    steps = 20
    transitions = np.eye(steps + 1)[[[0], *([s] for s in range(steps))]]
    rewards = np.full((steps + 1, 1), -1.0)
    rewards[0] = 0.0
    corridor = mdp.from_arrays(transitions, rewards, 1.0, terminal=[0])
    in_place = mdp.value_iteration_in_place(corridor)
    assert_array_equal(in_place.values, -np.arange(steps + 1.0))
    assert len(in_place.residuals) == 2, "one sweep to find the values, one to see it"
    assert len(mdp.value_iteration(corridor).residuals) == steps + 1


def test_policy_iteration_ends_although_every_action_ties():
    """Equal outcomes listed in another order round differently; ties must not flip."""
    rng = np.random.default_rng(3)
    one = mdp.from_arrays(
        rng.dirichlet(np.ones(30), (30, 1)), rng.normal(size=30), 0.999
    )
    order = np.array([rng.permutation(30) for _ in range(6)])
    fields = [field[:, 0][:, order] for field in one[:4]]
    tied = mdp.validate(mdp.MDP(*fields, np.ones((30, 6), bool), one.start))
    solution = mdp.policy_iteration(tied, epsilon=0.0, max_iterations=50)
    assert solution.converged
    assert_allclose(solution.values, mdp.evaluate(one, np.ones((30, 1))), rtol=1e-12)


def test_policy_iteration_visits_better_and_better_policies_and_few_of_them():
    """The residual is what the best action would gain; the last one is 0."""
    solution = mdp.policy_iteration(mdp.worlds.five_by_five())
    assert solution.residuals[0] > 1
    assert solution.residuals[-1] == pytest.approx(0.0, abs=1e-12)
    assert len(solution.residuals) < 10


def test_modified_policy_iteration_is_value_iteration_when_it_never_evaluates(dense):
    ours = mdp.modified_policy_iteration(dense.mdp, num_sweeps=0)
    for field, expected in zip(ours, mdp.value_iteration(dense.mdp), strict=True):
        assert_array_equal(field, expected)


def test_sweeping_one_policy_saves_looking_at_all_actions():
    model = mdp.worlds.five_by_five(0.99)
    few = mdp.modified_policy_iteration(model, num_sweeps=50).residuals
    assert len(few) < len(mdp.value_iteration(model).residuals) / 20


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
