"""Tables of outcomes, against the numbers they were made from; errors are one line."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs, oracles

# Two states and an end. In 0: stay or go, by chance; in 1: only action 0, to the end.
TABLE = {
    0: {
        0: [(0.25, 0, -1.0, False), (0.75, 1, 2.0, False)],
        1: [(0.5, 1, -3.0, False), (0.25, 1, 5.0, False), (0.25, 2, -7.0, True)],
    },
    1: {0: [(1.0, 2, 4.0, True)]},
    2: {},
}


def table_with(s, a, outcomes):
    return {**TABLE, s: {**TABLE[s], a: outcomes}}


def test_expected_rewards_sum_over_outcomes():
    """r(s, a) = sum_{s', r} p(s', r | s, a) r.  Sutton & Barto (2018), eq. 3.5."""
    world = mdp.from_outcomes(TABLE, 0.9, terminal=[2])
    assert (world.num_states, world.num_actions) == (3, 2)
    assert_allclose(world.expected_rewards, [[1.25, -2.0], [4.0, 0.0], [0.0, 0.0]])
    assert_array_equal(world.available, [[True, True], [True, False], [True, True]])


@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 2, 5), (6, 4, 3), (4, 4, 4)])
def test_the_probabilities_of_outcomes_with_the_same_next_state_add_up(rng, shape):
    world = inputs.world(rng, *shape) if shape[2] > 1 else inputs.loop(1.0, 0.5)
    dense = world.transitions
    assert_allclose(dense, oracles.transitions(world), atol=1e-12)
    assert dense.dtype == float


def test_dense_arrays_come_back_as_they_went_in(dense):
    transitions = dense.transitions * dense.available[:, :, None]
    transitions[dense.terminal] = np.eye(5)[dense.terminal]
    expected = np.einsum("sat,sat->sa", transitions, dense.rewards)
    expected[dense.terminal] = 0.0
    assert_allclose(dense.mdp.transitions, transitions)
    assert_allclose(dense.mdp.expected_rewards, expected)
    assert_allclose(dense.mdp.start, [0.25, 0.25, 0.25, 0.25, 0.0])
    assert_array_equal(dense.mdp.available[:4], dense.available[:4])


def test_a_terminal_state_is_a_row_that_leads_back_earns_nothing_and_has_discount_0(
    dense,
):
    """And entering it is the only thing that has discount 0, padding apart."""
    world, end = dense.mdp, dense.terminal
    possible = world.probs > 0
    assert_array_equal(world.probs[end].sum(-1), 1.0)
    assert_array_equal(world.next_states[end], end)
    assert_array_equal(world.rewards[end], 0.0)
    enters = world.next_states == end
    assert_array_equal(world.discounts[possible & enters], 0.0)
    assert_array_equal(world.discounts[possible & ~enters], dense.gamma)


def test_rewards_of_s_of_s_and_a_and_of_the_whole_step_agree_where_they_can():
    rng = np.random.default_rng(0)
    transitions = rng.dirichlet(np.ones(3), size=(3, 3))  # S = A = 3: axes, not sizes
    of_s = np.array([-1.0, 2.0, 0.0])
    of_s_and_a = np.repeat(of_s[:, None], 3, axis=1)
    of_step = np.repeat(of_s_and_a[:, :, None], 3, axis=2)
    worlds = [
        mdp.from_arrays(transitions, rewards, 0.9, terminal=[2])
        for rewards in (of_s, of_s_and_a, of_step)
    ]
    for world in worlds:
        assert_array_equal(world.rewards, worlds[0].rewards)
        assert_allclose(world.expected_rewards, of_s_and_a)


def test_another_gamma_leaves_the_endings_where_they_are(dense):
    world = dense.mdp.with_discount(0.5)
    assert_array_equal(world.discounts == 0, dense.mdp.discounts == 0)
    assert set(np.unique(world.discounts)) == {0.0, 0.5}
    with pytest.raises(ValueError, match=r"discount must be in \[0, 1\], got -0\.1"):
        dense.mdp.with_discount(-0.1)


def test_an_outcome_that_terminates_ends_the_episode_wherever_it_leads():
    """Gymnasium marks the step, not the state: the same state may also be passed."""
    table = [[[(0.5, 1, 1.0, True), (0.5, 1, 1.0, False)]], [[(1.0, 0, 0.0, False)]]]
    world = mdp.from_outcomes(table, 0.9)
    assert_array_equal(world.discounts[:, 0], [[0.0, 0.9], [0.9, 0.0]])


@pytest.mark.parametrize(
    ("start", "expected"),
    [(None, [0.5, 0.5, 0]), (1, [0, 1, 0]), ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5])],
)
def test_a_start_is_a_state_or_a_distribution(start, expected):
    world = mdp.from_outcomes(TABLE, 0.9, terminal=[2], start=start)
    assert_array_equal(world.start, expected)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ([], {}, "table must hold all states from 0 on, got none"),
        ({0: {}, 2: {}}, {}, "got 2 of them, the last 2"),
        ({"a": {}}, {}, "table must be numbered 0, 1, 2, ..., got 'a'"),
        ({0: {-1: []}}, {}, r"table\[0\] must be numbered 0, 1, 2, ..., got -1"),
        (TABLE, {"terminal": []}, r"available\[s=2\] must hold an action, got 0"),
        (TABLE, {"terminal": [7]}, r"terminal must be in 0\.\.2, got 7"),
        (
            TABLE,
            {"terminal": ["G"]},
            r"terminal must list states by number, got \['G'\]",
        ),
        (TABLE, {"start": 3}, r"start must be in 0\.\.2, got 3"),
        (TABLE, {"start": [1, 1, 0]}, "start must sum to 1, got 2"),
        (TABLE, {"start": [2, -1, 0]}, r"start\[s=1\] must be at least 0, got -1"),
        (TABLE, {"start": [1, 0]}, r"start must have shape \(3,\), got \(2,\)"),
        (TABLE, {"discount": 1.5}, r"discount must be in \[0, 1\], got 1\.5"),
        (TABLE, {"discount": np.nan}, r"discount must be in \[0, 1\], got nan"),
        (
            table_with(0, 1, [(0.5, 1, 0.0, False), (0.4, 0, 0.0, False)]),
            {},
            r"probs\[s=0, a=1\] must sum to 1, got 0\.9",
        ),
        (
            table_with(0, 1, [(1.5, 1, 0.0, False), (-0.5, 0, 0.0, False)]),
            {},
            r"probs\[s=0, a=1, b=1\] must be at least 0, got -0\.5",
        ),
        (
            table_with(0, 1, [(np.nan, 1, 0.0, False)]),
            {},
            r"probs\[s=0, a=1, b=0\] must be finite, got nan",
        ),
        (
            table_with(0, 1, [(1.0, 3, 0.0, False)]),
            {},
            r"next_states\[s=0, a=1, b=0\] must be in 0\.\.2, got 3",
        ),
        (
            table_with(0, 1, [(1.0, 1, np.inf, False)]),
            {},
            r"rewards\[s=0, a=1, b=0\] must be finite, got inf",
        ),
        (
            table_with(0, 1, [(1.0, 1, 0.0)]),
            {},
            r"table\[0\]\[1\]\[0\] must be \(probability, next_state, reward, term",
        ),
    ],
)
def test_an_impossible_table_is_refused(table, options, message):
    options = {"discount": 0.9, "terminal": [2], **options}
    with pytest.raises(ValueError, match=message) as refusal:
        mdp.from_outcomes(table, **options)
    assert "\n" not in str(refusal.value)


def two_states(**changes):
    arrays = {"transitions": np.full((2, 3, 2), 0.5), "rewards": np.zeros((2, 3))}
    return {**arrays, "discount": 0.9, **changes}


def with_entry(index, value):
    transitions = np.full((2, 3, 2), 0.5)
    transitions[index] = value
    return transitions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"transitions": with_entry((1, 2), 0.6)},
            r"transitions\[s=1, a=2\] must sum to 1, got 1\.2",
        ),
        (
            {"transitions": with_entry((1, 2), [1.5, -0.5])},
            r"transitions\[s=1, a=2, s'=1\] must be at least 0, got -0\.5",
        ),
        (
            {"transitions": with_entry((1, 2, 0), np.inf)},
            r"transitions\[s=1, a=2, s'=0\] must be finite, got inf",
        ),
        (
            {"transitions": np.full((3, 2, 2), 0.5)},
            r"transitions must have shape \[S, A, S\], got \(3, 2, 2\)",
        ),
        ({"transitions": np.zeros((0, 0, 0))}, "transitions must have shape"),
        ({"transitions": [["x"]]}, "transitions must be an array of numbers"),
        (
            {"rewards": np.zeros((3, 2))},
            r"rewards must have shape \(2,\), \(2, 3\) or \(2, 3, 2\), got \(3, 2\)",
        ),
        (
            {"rewards": [0.0, np.nan]},
            r"rewards\[s=1, a=0, b=0\] must be finite, got nan",
        ),
        (
            {"rewards": [0.0, 1.0], "terminal": [1]},
            r"rewards\[s=1\] must be 0, as s is terminal, got 1",
        ),
        (
            {"available": [[True] * 3, [False] * 3]},
            r"available\[s=1\] must hold an action, got 0",
        ),
        (
            {"available": [True, True]},
            r"available must be bool \(2, 3\), got bool \(2,\)",
        ),
        ({"discount": -0.5}, r"discount must be in \[0, 1\], got -0\.5"),
    ],
)
def test_impossible_arrays_are_refused(changes, message):
    with pytest.raises(ValueError, match=message) as refusal:
        mdp.from_arrays(**two_states(**changes))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("discounts", 1.1, r"discounts\[s=0, a=0, b=0\] must be in \[0, 1\], got 1\.1"),
        ("next_states", -1, r"next_states\[s=0, a=0, b=0\] must be in 0\.\.4, got -1"),
        ("available", False, r"probs\[s=0, a=0\] must sum to 0, got 1"),
    ],
)
def test_a_table_filled_in_by_hand_can_be_validated(dense, field, value, message):
    wrong = np.array(getattr(dense.mdp, field))
    wrong[(0,) * wrong.ndim] = value
    with pytest.raises(ValueError, match=message):
        mdp.validate(dense.mdp._replace(**{field: wrong}))
    with pytest.raises(ValueError, match=f"{field} must have shape"):
        mdp.validate(dense.mdp._replace(**{field: wrong[:2]}))
    assert mdp.validate(dense.mdp) is dense.mdp
