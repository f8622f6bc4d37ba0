"""The equations, against sums written out by hand."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp


def brute_force_action_values(dense, values):
    """sum_{s'} T(s' | s, a) [r + gamma v(s')], one term at a time."""
    q = np.zeros(dense.available.shape)
    for s, a in np.argwhere(dense.available):
        for next_state, prob in enumerate(dense.transitions[s, a]):
            following = 0.0 if next_state == dense.terminal else values[next_state]
            q[s, a] += prob * (
                dense.rewards[s, a, next_state] + dense.gamma * following
            )
    q[dense.terminal] = 0.0
    return q


def test_the_return_is_the_discounted_sum_of_the_rewards_that_follow():
    rewards, gamma = np.array([1.0, -2.0, 0.5, -4.0]), 0.9
    returns = mdp.discounted_returns(rewards, np.full(4, gamma))
    for t in range(4):
        written_out = sum(gamma**k * rewards[t + k] for k in range(4 - t))
        assert returns[t] == pytest.approx(written_out), (
            f"G_{t} = R_{t + 1} + gamma R_{t + 2} + ...: the first reward is not "
            "discounted, the k-th after it is by gamma^k"
        )


def test_with_discounts_of_one_the_return_is_the_plain_sum():
    returns = mdp.discounted_returns(np.array([1.0, -2.0, 0.5]), np.ones(3))
    assert_allclose(returns, [-0.5, -1.5, 0.5])


def test_a_return_does_not_see_past_the_end_of_its_episode():
    rewards = np.array([-1.0, 2.0, 30.0, -7.0])
    both = mdp.discounted_returns(rewards, np.array([0.9, 0.0, 0.9, 0.0]))
    first = mdp.discounted_returns(rewards[:2], np.array([0.9, 0.9]))
    assert_allclose(both[:2], first, err_msg="the second episode leaked into the first")
    assert_allclose(both[2:], [30 - 0.9 * 7, -7])


def test_an_action_is_worth_its_expected_reward_and_discounted_next_value(
    dense, values
):
    q = mdp.action_values(dense.mdp, values)
    expected = brute_force_action_values(dense, values)
    assert_allclose(q, expected, err_msg="q = sum p (r + gamma v(s'))")


def test_nothing_is_bootstrapped_from_a_terminal_state(dense, values):
    """v(terminal) is stored like any other number, and must not be looked at."""
    changed = np.where(np.arange(5) == dense.terminal, -1e6, values)
    before, after = (mdp.action_values(dense.mdp, v) for v in (values, changed))
    assert_array_equal(before, after)
    assert_array_equal(after[dense.terminal], 0.0)


def test_a_state_is_worth_the_average_of_its_actions_under_the_policy(policy):
    q = np.arange(15.0).reshape(5, 3) - 7
    written_out = [sum(policy[s, a] * q[s, a] for a in range(3)) for s in range(5)]
    assert_allclose(mdp.state_values(policy, q), written_out)


def test_the_expectation_backup_averages_over_actions(dense, policy, values):
    q = brute_force_action_values(dense, values)
    expected = [sum(policy[s, a] * q[s, a] for a in range(3)) for s in range(5)]
    assert_allclose(mdp.expectation_backup(dense.mdp, policy, values), expected)


def test_the_optimality_backup_takes_the_best_available_action(dense, values):
    values = values - 30
    q = brute_force_action_values(dense, values)
    expected = [max(q[s, dense.available[s]], default=0.0) for s in range(5)]
    expected[dense.terminal] = 0.0
    # Where an action is not available all others are worth less than the 0 it holds.
    assert max(expected[1], expected[3]) < 0
    backup = mdp.optimality_backup(dense.mdp, values)
    assert_allclose(backup, expected, err_msg="the maximum starts at -inf, not at 0")


def test_the_soft_backup_is_the_best_that_can_be_had_for_its_price(
    dense, policy, values
):
    """No pi beats it, and ref exp(q / beta), normalised, attains it."""
    beta, q = 0.7, brute_force_action_values(dense, values)
    soft = mdp.soft_backup(dense.mdp, values, policy, beta)
    rng = np.random.default_rng(2)
    for s in range(4):
        can = policy[s] > 0
        tilted = policy[s, can] * np.exp(q[s, can] / beta)
        tries = [tilted / tilted.sum(), *rng.dirichlet(np.ones(can.sum()), 50)]
        worth = [p @ (q[s, can] - beta * np.log(p / policy[s, can])) for p in tries]
        assert worth[0] == pytest.approx(soft[s], abs=1e-12)
        assert max(worth[1:]) < soft[s]


def test_the_soft_backup_lies_between_the_two_others(dense, policy, values):
    def soft(beta):
        return mdp.soft_backup(dense.mdp, values, policy, beta)

    best = mdp.optimality_backup(dense.mdp, values)
    assert_allclose(soft(1e-6), best, atol=1e-4)
    mean = mdp.expectation_backup(dense.mdp, policy, values)
    assert_allclose(soft(1e7), mean, atol=1e-4)


def test_both_backups_are_contractions(dense, policy, values):
    """Two guesses come closer to one another by gamma at least."""
    other = values[::-1] * 2
    apart = np.abs(values - other).max()
    for backup in (
        lambda v: mdp.optimality_backup(dense.mdp, v),
        lambda v: mdp.expectation_backup(dense.mdp, policy, v),
    ):
        assert np.abs(backup(values) - backup(other)).max() <= dense.gamma * apart


def test_the_bellman_residual_bounds_the_error(dense, values):
    best = mdp.value_iteration(dense.mdp, 1e-12).values
    assert mdp.bellman_residual(dense.mdp, best) < 1e-12
    for guess in (values, -values, best - 0.1):
        residual = mdp.bellman_residual(dense.mdp, guess)
        change = mdp.optimality_backup(dense.mdp, guess) - guess
        assert residual == max(abs(change)), "the largest change, of either sign"
        assert np.abs(guess - best).max() <= residual / (1 - dense.gamma)


def test_greedy_takes_the_first_best_action_that_is_available(dense):
    q = np.array(
        [[-3, -1, -2], [-5, -4, 9], [-1, -1, -1], [9, -2, -2], [0, 0, 0]], float
    )
    assert_array_equal(mdp.greedy_actions(dense.mdp, q), [1, 1, 0, 1, 0])


def test_the_greedy_policy_splits_ties_equally(dense):
    q = np.array(
        [[-3, -1, -1], [-4, -4, 9], [-1, -1, -1], [9, -3, -2], [0, 0, 0]], float
    )
    third = 1 / 3
    split = [[0, 0.5, 0.5], [0.5, 0.5, 0], [third] * 3, [0, 0, 1], [third] * 3]
    assert_allclose(mdp.greedy_policy(dense.mdp, q), split)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_rounding_does_not_break_a_tie_and_a_real_difference_does(dense, scale):
    q = np.full((5, 3), -scale)
    q[0, 1] += 1e-10 * scale
    q[2, 1] += 1e-6 * scale
    assert_array_equal(mdp.greedy_actions(dense.mdp, q)[[0, 2]], [0, 1])


def test_the_uniform_policy_is_uniform_over_the_available_actions(dense):
    assert_allclose(
        mdp.uniform_policy(dense.mdp)[[0, 1, 3]],
        [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [0, 0.5, 0.5]],
    )


def test_the_same_equations_run_and_differentiate_in_jax(dense, policy, values):
    """By calculus, d v(s) / d pi(a | s) = q(s, a), and d v / d v' = gamma T_pi."""
    jax = pytest.importorskip("jax")
    equations = (mdp.action_values, mdp.optimality_backup, mdp.bellman_residual)
    differentiate = jax.jacrev(mdp.expectation_backup, argnums=(1, 2))

    @jax.jit
    def in_jax(model, policy, values):
        q, *results = (equation(model, values) for equation in equations)
        greedy = mdp.greedy_actions(model, q), mdp.greedy_policy(model, q)
        slope = jax.grad(lambda v: mdp.optimality_backup(model, v).sum())(values)
        return (q, *results, *greedy), differentiate(model, policy, values), slope

    model = dense.mdp
    with jax.enable_x64(True):
        results, (by_policy, by_values), slope = in_jax(model, policy, values)
    q, *in_numpy = (equation(model, values) for equation in equations)
    greedy = mdp.greedy_actions(model, q), mdp.greedy_policy(model, q)
    for ours, exact in zip(results, (q, *in_numpy, *greedy), strict=True):
        assert_allclose(ours, exact, rtol=1e-12)

    discounted = model.transitions * dense.gamma
    discounted[:, :, dense.terminal] = 0.0
    assert_allclose(np.einsum("ssa->sa", by_policy), q, rtol=1e-12)
    assert_allclose(by_values, np.einsum("sa,sat->st", policy, discounted), rtol=1e-12)
    # Without the terminal state, whose three actions tie at the constant 0.
    chosen = discounted[np.arange(4), greedy[0][:4]]
    assert_allclose(slope, chosen.sum(0), rtol=1e-12)


def test_importing_mdp_does_not_import_jax():
    """The first floor opens at once, and stands without the others."""
    program = "import sys, mdp; sys.exit('jax' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program])
    assert finished.returncode == 0, "import mdp imported jax"
