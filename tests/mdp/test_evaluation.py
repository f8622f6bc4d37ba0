"""Exact evaluation, dense and sparse, and the states from which an end is in reach."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import evaluation


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
