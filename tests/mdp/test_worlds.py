"""The worlds, against their names and against Gymnasium's tables."""

from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import worlds
from mdp.worlds.world import cells, slips

LAKE_8X8_ENDS = [19, 29, 35, 41, 42, 46, 49, 52, 54, 59, 63]


@pytest.mark.parametrize("name", worlds.WORLDS)
def test_a_world_fits_its_names_its_page_and_its_discount(name):
    world = worlds.WORLDS[name]
    made = mdp.validate(world.make(discount=0.5))
    assert len(world.actions) == made.num_actions
    assert len(world.states) in (0, made.num_states)
    if world.drawing:
        assert len(cells(world.drawing)) == made.num_states
    assert set(np.unique(made.discounts)) <= {0.0, 0.5}
    assert "Source: " in world.make.__doc__
    assert "Exact" in world.make.__doc__
    assert getattr(mdp.worlds, name) is world.make
    if name != "jacks_cars":  # slow to make
        for default, changed in zip(world.make().with_discount(0.5), made, strict=True):
            assert_array_equal(default, changed)


def test_an_unknown_world_is_answered_with_the_nearest_names():
    with pytest.raises(ValueError, match=r"'frozen_lak' \(did you mean frozen_lake "):
        worlds.find("frozen_lak")
    with pytest.raises(ValueError, match=r"one of five_by_five, .* got 'xyzzy'$"):
        worlds.find("xyzzy")


def test_cells_are_numbered_in_reading_order_without_walls():
    assert cells(("S.#", "#.G")) == {(0, 0): 0, (0, 1): 1, (1, 1): 2, (1, 2): 3}


def test_a_slip_goes_to_either_side_of_the_move():
    drawing = ("...", "...", "...")
    chances = slips(drawing, (1, 1), (-1, 0), aim=0.6)
    assert {cell: p for p, cell in chances} == pytest.approx(
        {(0, 1): 0.6, (1, 0): 0.2, (1, 2): 0.2}
    )


def test_a_drawing_needs_rows_of_one_length():
    with pytest.raises(ValueError, match=r"rows of one length, got \[2, 3\]"):
        worlds.from_drawing(
            ("..", "..."), "↑", lambda cell, move: [(1.0, cell, 0.0)], 0.9
        )


def test_a_drawing_with_several_starts_begins_in_each_equally_often():
    stay = worlds.from_drawing(
        ("SS", ".S"), "↑", lambda cell, move: [(1.0, cell, 0.0)], 0.9
    )
    assert_allclose(stay.start, [1 / 3, 1 / 3, 0, 1 / 3])


def test_no_agent_acts_in_terminal_or_unreachable_states():
    assert_array_equal(
        np.flatnonzero(~worlds.acted_in(worlds.cliff_walking())), range(37, 48)
    )
    assert_array_equal(
        np.flatnonzero(~worlds.acted_in(worlds.frozen_lake())), [5, 7, 11, 12, 15]
    )
    assert (
        worlds.acted_in(worlds.taxi()).sum() == 400
    )  # 404 in Gymnasium's count: with 4 ends


@pytest.mark.parametrize(
    ("world", "name", "terminal"),
    [
        (worlds.cliff_walking(0.9), "CliffWalking", {47}),
        (worlds.frozen_lake(0.9), "FrozenLake", {5, 7, 11, 12, 15}),
        (worlds.frozen_lake_8x8(0.9), "FrozenLake8x8", set(LAKE_8X8_ENDS)),
        (worlds.taxi(0.9), "Taxi", set()),
    ],
)
def test_the_world_has_the_same_outcomes_as_gymnasium(world, name, terminal):
    gymnasium = pytest.importorskip("gymnasium")
    newest = gymnasium.envs.registration.find_highest_version(None, name)
    theirs = gymnasium.make(f"{name}-v{newest}").unwrapped
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
            if s in terminal:  # in Gymnasium one can walk out of the cliff's goal
                expected = {(s, 0.0, True): 1.0}
            got = {outcome: prob for outcome, prob in got.items() if prob > 0}
            assert got == pytest.approx(dict(expected)), f"state {s}, action {a}"
