"""Walks, games, tasks and random worlds, against closed forms and the books."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import worlds
from mdp.worlds.games import HANDS


def test_a_walk_is_worth_its_chance_of_leaving_on_the_right():
    values = mdp.evaluate(worlds.five_state_walk(), np.ones((7, 1)))
    assert_allclose(values, [0, *(np.arange(1, 6) / 6), 0], atol=1e-12)
    values = mdp.evaluate(worlds.nineteen_state_walk(), np.ones((21, 1)))
    assert_allclose(values, [0, *((np.arange(1, 20) - 10) / 10), 0], atol=1e-12)


def test_in_the_corridor_chance_is_the_best_that_a_blind_policy_can_do():
    """S&B exercise 13.1: 2 (2 - p) / (p (p - 1)), best at p = 2 - sqrt 2."""
    world = worlds.short_corridor()

    def blind(p):
        return mdp.evaluate(world, np.tile([1 - p, p], (4, 1)))[0]

    for p in (0.05, 0.3, 0.59, 0.95):
        assert blind(p) == pytest.approx(2 * (2 - p) / (p * (p - 1)))
    best = 2 - math.sqrt(2)
    assert blind(best) == pytest.approx(-(6 + 4 * math.sqrt(2)))
    assert blind(best) > max(blind(best - 0.01), blind(best + 0.01))
    assert mdp.value_iteration(world).values[0] == -3, "for one who sees"


@pytest.mark.parametrize("size", [1, 2, 10])
def test_the_treasure_of_the_deep_sea_costs_a_hundredth(size):
    world = worlds.deep_sea(size=size)
    assert mdp.value_iteration(world).values[0] == pytest.approx(0.99)
    random = mdp.evaluate(world, mdp.uniform_policy(world))[0]
    # Half of the N steps go right, and all of them do with probability 2^-N.
    assert random == pytest.approx(0.5**size - 0.005)


def test_bold_play_is_optimal_for_the_gambler():
    """Dubins & Savage: F(x) = p F(2x), or p + (1 - p) F(2x - 1) beyond one half."""

    def bold(capital, tosses=100):
        if capital in (0, 100) or tosses == 0:
            return capital / 100
        if capital < 50:
            return 0.4 * bold(2 * capital, tosses - 1)
        return 0.4 + 0.6 * bold(2 * capital - 100, tosses - 1)

    world = worlds.gambler()
    solution = mdp.value_iteration(world, epsilon=1e-14)
    expected = [bold(s) for s in range(1, 100)]
    assert_allclose(solution.values[1:-1], expected, atol=1e-12)
    assert_allclose(solution.values[[25, 50, 75]], [0.16, 0.4, 0.64])
    worth = dict(enumerate([0.0, *expected, 1.0]))
    for s in range(1, 100):
        best = {
            stake
            for stake in range(1, min(s, 100 - s) + 1)
            if worth[s] - 0.4 * worth[s + stake] - 0.6 * worth[s - stake] < 1e-10
        }
        assert set(np.flatnonzero(solution.policy[s])) == best, f"stakes at {s}"


def test_with_a_fair_coin_every_stake_is_as_good():
    world = worlds.gambler(heads=0.5)
    values = mdp.evaluate(world, mdp.uniform_policy(world))
    assert_allclose(values[1:-1], np.arange(1, 100) / 100, atol=1e-12)
    assert_allclose(mdp.value_iteration(world, 1e-13).values, values, atol=1e-9)


def test_blackjack_is_lost_slowly():
    world = worlds.blackjack()
    solution = mdp.value_iteration(world)
    assert solution.values @ world.start == pytest.approx(-0.0431, abs=5e-5)
    plain = worlds.blackjack(naturals=False)
    assert mdp.value_iteration(plain).values @ plain.start == pytest.approx(
        -0.0466, abs=5e-5
    )
    natural = 4 / 13 / 13 * 2
    of_naturals = [10 * HANDS.index(("natural", 21)) + shown for shown in range(10)]
    assert world.start[of_naturals].sum() == pytest.approx(natural)


def test_blackjack_is_played_as_in_the_book():
    """S&B figure 5.2: the least sum on which to stick, by the dealer's open card."""
    solution = mdp.value_iteration(worlds.blackjack())
    sticks = solution.policy[:290, 0].reshape(29, 10) == 1

    def least(kind, shown):
        totals = [n for i, (k, n) in enumerate(HANDS) if k == kind and sticks[i, shown]]
        return min(totals)

    ace = 0
    assert [least("hard", shown) for shown in range(1, 10)] == [13] * 2 + [12] * 3 + [
        17
    ] * 4
    assert least("hard", ace) == 17
    assert [least("soft", shown) for shown in range(1, 10)] == [18] * 7 + [19] * 2


def test_the_student_has_the_values_on_the_slides():
    world = worlds.student()
    solution = mdp.value_iteration(world)
    assert_allclose(solution.values, [6, 6, 8, 10, 0], atol=1e-12)
    assert solution.action_values[3, 4] == pytest.approx(9.4), "not 8.4, as printed"
    random = mdp.evaluate(world, mdp.uniform_policy(world))
    assert_allclose(random, [-2.3, -1.3, 2.7, 7.4, 0], atol=0.05)


def test_the_robot_searches_while_it_can_and_recharges_when_it_must():
    world = worlds.recycling_robot()
    high = 2 / (1 - 0.7 * 0.9 - 0.3 * 0.9**2)
    solution = mdp.value_iteration(world)
    assert_allclose(solution.values, [high, 0.9 * high], atol=1e-8)
    assert_array_equal(solution.policy, [[1, 0, 0], [0, 0, 1]])
    assert not world.available[0, 2], "a full battery is not recharged"


def test_the_forest_is_left_to_grow():
    """v_2 = v_1 + 4, and two linear equations for the others."""
    solution = mdp.value_iteration(worlds.forest())
    old = 0.096  # the discounted chance of a fire
    grown = 0.864 * 4 / (1 - 0.864 - old * 0.864 / (1 - old))
    young = 0.864 * grown / (1 - old)
    assert_allclose(solution.values, [young, grown, grown + 4], atol=1e-7)
    assert_allclose(solution.values, [74.65, 78.11, 82.11], atol=5e-3)
    assert_array_equal(solution.policy, [[1, 0]] * 3)


@pytest.fixture(scope="module")
def cars():
    return worlds.jacks_cars()


def test_jack_earns_between_421_and_637(cars):
    values = mdp.policy_iteration(cars).values
    assert_allclose(values[[0, 440]], [421.41, 636.99], atol=5e-3)


def test_jacks_day_is_that_of_four_poisson_distributions(cars):
    """By enumeration, for 10 and 12 cars in the evening of which 2 are moved."""

    def poisson(mean):
        counts = range(60)
        return [math.exp(-mean) * mean**k / math.factorial(k) for k in counts]

    def day(cars, requests, returns):
        evening, rented = np.zeros(21), 0.0
        for wanted, p in enumerate(poisson(requests)):
            rented += p * min(wanted, cars)
            for back, q in enumerate(poisson(returns)):
                evening[min(cars - min(wanted, cars) + back, 20)] += p * q
        return evening, rented

    (first, rented_1), (second, rented_2) = day(8, 3, 3), day(14, 4, 2)
    state, action = 21 * 10 + 12, 5 + 2
    got = np.zeros(441)
    np.add.at(got, cars.next_states[state, action], cars.probs[state, action])
    assert_allclose(got, np.outer(first, second).ravel(), atol=1e-12)
    earned = cars.expected_rewards[state, action]
    assert earned == pytest.approx(10 * (rented_1 + rented_2) - 2 * 2)
    assert not cars.available[21 * 1 + 12, 5 + 2], "there is one car to move, not two"
    assert worlds.WORLDS["jacks_cars"].actions[action] == "+2"


def test_garnets_branch_into_different_states_and_are_named_by_their_seed():
    world = worlds.garnet(
        num_states=7, num_actions=3, branching=4, seed=5, discount=0.8
    )
    assert world.probs.shape == (7, 3, 4)
    assert (np.diff(np.sort(world.next_states, -1)) > 0).all()
    assert (world.probs > 0).all()
    again, other = (worlds.garnet(7, 3, 4, seed=s, discount=0.8) for s in (5, 6))
    for ours, theirs in zip(world, again, strict=True):
        assert_array_equal(ours, theirs)
    assert (other.rewards != world.rewards).all()
    solution = mdp.value_iteration(world)
    assert_allclose(mdp.evaluate(world, solution.policy), solution.values, atol=1e-8)


def test_a_garnet_cannot_branch_into_more_states_than_there_are():
    with pytest.raises(ValueError, match=r"branching must be in 1\.\.3, got 4"):
        worlds.garnet(num_states=3, branching=4)
