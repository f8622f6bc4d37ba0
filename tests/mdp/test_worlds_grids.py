"""The grids and routes, against the answers in print and against closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import worlds


def test_five_by_five_has_the_values_printed_in_the_book():
    """S&B figure 3.5 (optimal) and figure 3.2 (random), to the one decimal in print."""
    world = worlds.five_by_five()
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
    world = worlds.cliff_walking()
    solution = mdp.value_iteration(world)
    assert solution.converged
    assert solution.values @ world.start == -13
    assert mdp.evaluate(world, solution.policy)[36] == pytest.approx(-13, abs=1e-9)
    up, right, down = 0, 1, 2
    along_the_edge = [36, *range(24, 36)]
    actions = mdp.greedy_actions(world, solution.action_values)[along_the_edge]
    assert_array_equal(actions, [up] + [right] * 11 + [down])


def test_frozen_lake_is_crossed_fourteen_times_in_seventeen():
    world = worlds.frozen_lake()
    solution = mdp.value_iteration(world)
    assert solution.converged
    assert solution.values[0] == pytest.approx(14 / 17, abs=1e-7)
    # Exactly so by the linear solve, since splitting every tie is sure to arrive.
    assert mdp.evaluate(world, solution.policy)[0] == pytest.approx(14 / 17, abs=1e-12)


def test_a_greedy_policy_may_stay_on_the_ice_for_ever():
    """In the start all four actions tie; the last of them leads nowhere, endlessly."""
    world = worlds.frozen_lake()
    solution = mdp.value_iteration(world)
    assert_allclose(solution.policy[0], 0.25)
    last_of_the_best = 3 - (solution.policy[:, ::-1] > 0).argmax(-1)
    improper = np.eye(4)[last_of_the_best]
    with pytest.raises(ValueError, match="never does from state 0"):
        mdp.evaluate(world, improper)
    nearly_undiscounted = mdp.evaluate(world.with_discount(0.999999), improper)
    assert abs(nearly_undiscounted[0]) < 1e-12, "it never reaches the goal"


def test_four_by_four_counts_the_steps_to_the_nearer_corner():
    """At best; what the random policy is worth is printed in S&B figure 4.1."""
    world = worlds.four_by_four()
    row, column = np.divmod(np.arange(16), 4)
    distance = np.minimum(row + column, 6 - row - column)
    assert_array_equal(mdp.value_iteration(world).values, -distance)
    upper_half = [0, -14, -20, -22, -14, -18, -20, -20]
    printed = upper_half + upper_half[::-1]
    random = mdp.evaluate(world, mdp.uniform_policy(world))
    assert_allclose(random, printed, atol=1e-9)


def test_four_by_three_has_the_utilities_printed_in_the_book():
    """Russell & Norvig, 3rd edition, figure 17.3; the start is in the bottom left."""
    world = worlds.four_by_three()
    printed = [0.812, 0.868, 0.918, 0, 0.762, 0.660, 0, 0.705, 0.655, 0.611, 0.388]
    solution = mdp.value_iteration(world)
    assert_allclose(solution.values, printed, atol=5e-4)
    assert solution.values @ world.start == pytest.approx(0.7053, abs=5e-5)
    up, right, left = 0, 1, 3
    actions = mdp.greedy_actions(world, solution.action_values)[[0, 1, 2, 4, 5, 7, 8]]
    assert_array_equal(actions, [right, right, right, up, up, up, left])


def test_the_fourth_edition_lives_four_hundredths_longer():
    """It pays +1 or -1 instead of the last -0.04: the same policy, 0.7453."""
    world = worlds.four_by_three()
    ends = world.discounts == 0
    fourth = world._replace(
        rewards=world.rewards + 0.04 * (ends & (world.rewards != 0))
    )
    solution = mdp.value_iteration(fourth)
    assert solution.values @ world.start == pytest.approx(0.7453, abs=5e-5)
    assert_array_equal(solution.policy, mdp.value_iteration(world).policy)


def test_the_larger_lake_is_crossed_for_sure_by_those_who_wait():
    world = worlds.frozen_lake_8x8()
    patient = mdp.value_iteration(world).policy
    assert mdp.evaluate(world, patient)[0] == pytest.approx(1, abs=1e-9)
    impatient = mdp.value_iteration(world.with_discount(0.99))
    assert impatient.values[0] == pytest.approx(0.4146, abs=5e-5)


def test_any_drawing_makes_a_lake():
    """One step of ice: it is left on either side, or along it, a third of the time."""
    narrow = worlds.frozen_lake(drawing=("HHH", "HSG", "HHH"))
    assert mdp.value_iteration(narrow).values[4] == pytest.approx(1 / 3)


def test_the_wind_costs_eight_steps_and_a_king_none():
    assert mdp.value_iteration(worlds.windy_grid()).values[30] == -15
    assert mdp.value_iteration(worlds.windy_grid_kings_moves()).values[30] == -7


def test_the_wind_blows_by_the_column_that_is_left():
    world = worlds.windy_grid()
    up, down, right = 0, 1, 2
    assert world.next_states[30, right, 0] == 31, "no wind in column 0"
    assert world.next_states[33, right, 0] == 24, "up by 1, from column 3"
    assert world.next_states[36, up, 0] == 6, "up by 1 + 2, held by the edge"
    assert world.next_states[63, down, 0] == 63, "down against the wind at the edge"


def test_the_maze_is_left_in_fourteen_steps():
    world = worlds.maze()
    assert world.num_states == 47
    assert mdp.value_iteration(world).values @ world.start == pytest.approx(0.95**13)


def test_the_taxi_earns_as_much_as_its_distances_allow():
    """-1 for each step but the last, which earns 20: R to G and back, as one counts."""
    world = worlds.taxi()
    values = mdp.value_iteration(world).values
    assert values @ world.start == pytest.approx(7.93)
    assert (values[world.start > 0].min(), values[world.start > 0].max()) == (3, 15)
    at_red, waits_there, to_yellow = 0, 0, 2
    state = (at_red * 5 + waits_there) * 4 + to_yellow
    assert values[state] == -1 - 4 + 20, "pick up, four steps down, drop off"
