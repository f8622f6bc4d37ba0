"""The equations, against sums written out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs, oracles


@pytest.mark.parametrize("length", [0, 1, 2, 30])
def test_the_return_is_the_discounted_sum_of_the_rewards_that_follow(rng, length):
    """The first reward is not discounted, and nothing counts after a discount of 0."""
    rewards, discounts = inputs.recording(rng, length)
    returns = mdp.discounted_returns(rewards, discounts)
    for t in range(length):
        expected = oracles.discounted_sum(rewards, discounts, t)
        assert returns[t] == pytest.approx(expected, rel=1e-10, abs=1e-10)
    shape = f"of {length} steps there are {length} returns, not shape {returns.shape}"
    assert returns.shape == (length,), shape
    assert returns.dtype == float


SHAPES = [(3, 2, 2), (6, 3, 4), (4, 4, 4), (5, 2, 7)]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_action_value_is_the_mean_of_reward_and_discounted_next_value(rng, shape):
    world = inputs.world(rng, *shape)
    values = inputs.values(rng, world)
    q = mdp.action_values(world, values)
    assert_allclose(q, oracles.action_values(world, values), rtol=1e-10, atol=1e-10)
    assert q.shape == world.available.shape


def test_the_value_of_a_terminal_state_is_never_used(rng):
    world = inputs.world(rng)
    values = inputs.values(rng, world)
    q = mdp.action_values(world, values)
    values[-1] = -1e6
    assert_array_equal(mdp.action_values(world, values), q)
    assert_array_equal(q[-1], 0.0)


def test_a_state_value_is_the_mean_of_its_action_values_under_the_policy(policy):
    q = np.arange(15.0).reshape(5, 3) - 7
    written_out = [sum(policy[s, a] * q[s, a] for a in range(3)) for s in range(5)]
    assert_allclose(mdp.state_values(policy, q), written_out)


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_the_expectation_backup_weighs_actions_with_the_policy(rng, shape):
    world = inputs.world(rng, *shape)
    policy, values = inputs.policy(rng, world), inputs.values(rng, world)
    backup = mdp.expectation_backup(world, policy, values)
    expected = oracles.expectation(world, policy, values)
    assert_allclose(backup, expected, rtol=1e-10, atol=1e-10)
    assert backup.shape == values.shape


@pytest.mark.parametrize("shape", SHAPES[:3])
@pytest.mark.parametrize("shift", [-1e4, -30.0, 0.0, 30.0])
def test_the_optimality_backup_takes_the_best_available_action(rng, shape, shift):
    """Also where all values are negative: the maximum does not start at 0."""
    world = inputs.world(rng, *shape)
    values = inputs.values(rng, world) + shift
    backup = mdp.optimality_backup(world, values)
    assert_allclose(backup, oracles.best(world, values), rtol=1e-10, atol=1e-10)
    assert backup.shape == values.shape


def test_the_soft_backup_is_the_maximum_of_reward_less_kl(dense, policy, values):
    """No pi beats it, and ref exp(q / beta), normalised, attains it."""
    beta, q = 0.7, oracles.action_values(dense.mdp, values)
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
    """The distance of two guesses shrinks at least by the factor gamma."""
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


def test_the_greedy_policy_splits_ties_equally(rng):
    for num_states in (2, 6, 12):
        world = inputs.world(rng, num_states)
        q = inputs.action_values_with_ties(rng, world)
        policy = mdp.greedy_policy(world, q)
        for s, row in enumerate(policy):
            possible = np.flatnonzero(world.available[s])
            best = [a for a in possible if q[s, a] == max(q[s, possible])]
            expected = [(a in best) / len(best) for a in range(len(row))]
            assert_allclose(row, expected, err_msg=f"q = {q[s]}, best: {best}")


def test_a_small_difference_is_no_tie(rng):
    world = inputs.world(rng, num_actions=4)
    q = np.full(world.available.shape, -5.0)
    best = world.available.argmax(-1)
    q[np.arange(len(q)), best] += 1e-4
    assert_array_equal(mdp.greedy_policy(world, q).argmax(-1), best)
    assert_array_equal(mdp.greedy_policy(world, q).max(-1), 1.0)


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
