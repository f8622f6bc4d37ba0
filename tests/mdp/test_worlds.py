"""The worlds, against the answers in print and against Gymnasium's own tables."""

import doctest
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.worlds import cliff_walking, five_by_five, frozen_lake


def test_the_example_that_opens_the_package_is_true():
    outcome = doctest.testmod(mdp)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_five_by_five_has_the_values_printed_in_the_book():
    """S&B figure 3.5 (optimal) and figure 3.2 (random), to the one decimal in print."""
    world = five_by_five()
    optimal = mdp.value_iteration(world).values
    random = mdp.evaluate(world, mdp.uniform_policy(world))
    printed_optimal = [
        *[22.0, 24.4, 22.0, 19.4, 17.5],
        *[19.8, 22.0, 19.8, 17.8, 16.0],
        *[17.8, 19.8, 17.8, 16.0, 14.4],
        *[16.0, 17.8, 16.0, 14.4, 13.0],
        *[14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    printed_random = [
        *[3.3, 8.8, 4.4, 5.3, 1.5],
        *[1.5, 3.0, 2.3, 1.9, 0.5],
        *[0.1, 0.7, 0.7, 0.4, -0.4],
        *[-1.0, -0.4, -0.4, -0.6, -1.2],
        *[-1.9, -1.3, -1.2, -1.4, -2.0],
    ]
    assert_allclose(optimal, printed_optimal, atol=0.05)
    assert_allclose(random, printed_random, atol=0.05)
    assert optimal[1] == pytest.approx(10 / (1 - 0.9**5), abs=1e-9)
    assert random[1] == pytest.approx(8.789, abs=5e-4)


def test_the_best_way_along_the_cliff_takes_thirteen_steps():
    world = cliff_walking()
    solution = mdp.value_iteration(world)
    assert solution.converged
    assert solution.values @ world.start == -13
    assert mdp.evaluate(world, solution.policy)[36] == pytest.approx(-13, abs=1e-9)
    up, right, down = 0, 1, 2
    along_the_edge = [36, *range(24, 36)]
    actions = mdp.greedy_actions(world, solution.action_values)[along_the_edge]
    assert_array_equal(actions, [up] + [right] * 11 + [down])


def test_frozen_lake_is_crossed_fourteen_times_in_seventeen():
    world = frozen_lake()
    solution = mdp.value_iteration(world)
    assert solution.converged
    assert solution.values[0] == pytest.approx(14 / 17, abs=1e-7)
    # Exactly so by the linear solve, since splitting every tie is sure to arrive.
    assert mdp.evaluate(world, solution.policy)[0] == pytest.approx(14 / 17, abs=1e-12)


def test_a_greedy_policy_may_stay_on_the_ice_for_ever():
    """In the start all four actions tie; the last of them leads nowhere, endlessly."""
    world = frozen_lake()
    solution = mdp.value_iteration(world)
    assert_allclose(solution.policy[0], 0.25)
    last_of_the_best = 3 - (solution.policy[:, ::-1] > 0).argmax(-1)
    improper = np.eye(4)[last_of_the_best]
    with pytest.raises(ValueError, match="never does from state 0"):
        mdp.evaluate(world, improper)
    nearly_undiscounted = mdp.evaluate(world.with_discount(0.999999), improper)
    assert abs(nearly_undiscounted[0]) < 1e-12, "it never reaches the goal"


@pytest.mark.parametrize(
    ("world", "name", "terminal"),
    [
        (cliff_walking(0.9), "CliffWalking-v1", {47}),
        (frozen_lake(0.9), "FrozenLake-v1", {5, 7, 11, 12, 15}),
    ],
)
def test_the_world_has_the_same_outcomes_as_gymnasium(world, name, terminal):
    gymnasium = pytest.importorskip("gymnasium")
    theirs = gymnasium.make(name).unwrapped
    assert_allclose(world.start, theirs.initial_state_distrib)
    assert world.available.all()
    assert world.num_states == theirs.observation_space.n
    assert world.num_actions == theirs.action_space.n
    for s in range(world.num_states):
        for a in range(world.num_actions):
            expected, got = Counter(), Counter()
            for prob, next_state, reward, terminated in theirs.P[s][a]:
                expected[next_state, reward, terminated] += prob
            for prob, *outcome, discount in zip(
                *(field[s, a] for field in world[:4]), strict=True
            ):
                got[(*outcome, discount == 0)] += prob
            if s in terminal:  # Gymnasium lets the cliff's goal be walked out of
                expected = {(s, 0.0, True): 1.0}
            got = {outcome: prob for outcome, prob in got.items() if prob > 0}
            assert got == pytest.approx(dict(expected)), f"state {s}, action {a}"


def test_gymnasiums_own_tables_solve_as_they_come():
    gymnasium = pytest.importorskip("gymnasium")
    cliff = gymnasium.make("CliffWalking-v1").unwrapped
    world = mdp.from_outcomes(cliff.P, 1.0, terminal=[47], start=36)
    for ours, theirs in zip(cliff_walking(), world, strict=True):
        assert_array_equal(ours, theirs)
