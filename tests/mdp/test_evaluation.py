"""Exact evaluation, dense and sparse, and the states from which an end can be met."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import evaluation


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
    for_ever = mdp.from_arrays([[[1.0]]], [1.0], 0.9)
    assert_allclose(mdp.evaluate(for_ever, np.ones((1, 1))), [10.0])


def test_dense_and_sparse_solve_the_same_equations(dense, policy, monkeypatch):
    expected = mdp.evaluate(dense.mdp, policy)
    monkeypatch.setattr(evaluation, "DENSE_STATES", 0)
    assert_allclose(mdp.evaluate(dense.mdp, policy), expected, rtol=1e-12)


def test_outcomes_that_lead_to_the_same_state_add_up(monkeypatch):
    """Half the time +1 and stay, half the time -3 and stay: -1 a step for ever."""
    twice = mdp.from_outcomes([[[(0.5, 0, 1.0, False), (0.5, 0, -3.0, False)]]], 0.9)
    for limit in (0, 2000):
        monkeypatch.setattr(evaluation, "DENSE_STATES", limit)
        assert_allclose(mdp.evaluate(twice, np.ones((1, 1))), [-10.0])


def test_a_long_random_walk_is_solved_as_a_sparse_system():
    """With gamma 1 and +1 at the right end, v(s) is the chance to end there."""
    n = 20_000
    state = np.arange(n)
    next_states = np.clip(np.stack([state - 1, state + 1], -1), 0, n - 1)[:, None]
    ends = np.zeros((n, 1, 2), bool)
    ends[0, 0, 0] = ends[-1, 0, 1] = True
    rewards = np.zeros((n, 1, 2))
    rewards[-1, 0, 1] = 1.0
    walk = mdp.MDP(
        probs=np.full((n, 1, 2), 0.5),
        next_states=next_states,
        rewards=rewards,
        # A little below 1 inside, so that one look shows that the walk comes to an end.
        discounts=np.where(ends, 0.0, 1.0 - 1e-15),
        available=np.ones((n, 1), bool),
        start=np.full(n, 1 / n),
    )
    values = mdp.evaluate(walk, np.ones((n, 1)))
    assert_allclose(values, (state + 1) / (n + 1), atol=1e-6)


def test_the_way_to_the_end_is_grown_backwards_from_it():
    """0 -> 1 -> 2 (terminal) by action 1; action 0 stays; nothing leaves 3."""
    transitions = np.zeros((4, 2, 4))
    transitions[np.arange(4), 0, np.arange(4)] = 1.0
    transitions[[0, 1, 2, 3], 1, [1, 2, 2, 3]] = 1.0
    model = mdp.from_arrays(transitions, np.zeros((4, 2)), 1.0, terminal=[2])
    ends, actions = evaluation.ways_to_end(model)
    assert_array_equal(ends, [True, True, True, False])
    assert_array_equal(actions[:2], [1, 1])
    stay = np.eye(2)[[0, 1, 0, 0]]
    assert_array_equal(
        evaluation.ways_to_end(model, stay)[0], [False, True, True, False]
    )
    assert evaluation.ways_to_end(model.with_discount(0.9))[0].all()


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
