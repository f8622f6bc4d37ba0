"""Routes: grids on which the agent must find a way, with dangers beside it.

Cells are states, row by row from the top left, and actions are moves, numbered as in
the source. A move off the grid, or into a wall, leaves the agent where it is.
"""

from itertools import product

from mdp.model import MDP, Outcome, from_outcomes
from mdp.worlds.world import MOVES, Cell, Drawing, World, from_drawing, neighbour

CLIFF = ("............", "............", "............", "SCCCCCCCCCCG")
DYNA_MAZE = (
    ".......#G",
    "..#....#.",
    "S.#....#.",
    "..#......",
    ".....#...",
    ".........",
)
WINDY = ("..........",) * 3 + ("S......G..",) + ("..........",) * 3
WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)  # cells upward, by column
TAXI_MAP = ("R: | : :G", " : | : : ", " : : : : ", " | : | : ", "Y| : |B: ")
TAXI_ACTIONS = ("↓", "↑", "→", "←", "pick up", "drop off")
TAXI_STOPS = ((0, 0), (0, 4), (4, 0), (4, 3))  # R, G, Y, B


def cliff_walking(discount: float = 1.0) -> MDP:
    """A cliff beside the shortest way: careful agents keep away, optimal ones do not.

         0   1   2   3   4   5   6   7   8   9  10  11
        12  13  14  15  16  17  18  19  20  21  22  23      -1 a step
        24  25  26  27  28  29  30  31  32  33  34  35      -100 into the cliff C,
         S   C   C   C   C   C   C   C   C   C   C   G       and back to S

    S is 36, the start, and G is 47, terminal. The ten cells of the cliff are states
    that no step ever enters. Actions: up, right, down, left.

    Source: Sutton & Barto (2018), example 6.6; Gymnasium's CliffWalking-v1.
    Exact, at gamma 1: v*(S) = -13, one step up, eleven along the edge, one down.
    """

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        row, column = neighbour(CLIFF, cell, move)
        if CLIFF[row][column] == "C":
            return [(1.0, (3, 0), -100.0)]
        return [(1.0, (row, column), -1.0)]

    return from_drawing(CLIFF, "↑→↓←", outcomes, discount, terminal="G")


def windy_grid(discount: float = 1.0, actions: str = "↑↓→←") -> MDP:
    """A grid with a crosswind: to arrive, the agent must aim beside the goal.

         0   1   2   3   4   5   6   7   8   9        -1 a step
        10  11  12  13  14  15  16  17  18  19
        20  21  22  23  24  25  26  27  28  29        S is 30, the start
         S  31  32  33  34  35  36   G  38  39        G is 37, terminal
        40  41  42  43  44  45  46  47  48  49
        50  51  52  53  54  55  56  57  58  59
        60  61  62  63  64  65  66  67  68  69
         .   .   .   1   1   1   2   2   1   .        wind: cells up, on leaving

    Actions: up, down, right, left, or whichever arrows are given. Move and wind act at
    once: in the bottom row, a step down against a wind of 1 stays there.

    Source: Sutton & Barto (2018), example 6.5.
    Exact, at gamma 1: v*(S) = -15, nine to the right over the top, four down, two back.
    """

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        row = cell[0] + move[0] - WIND[cell[1]]
        column = cell[1] + move[1]
        return [(1.0, (min(max(row, 0), 6), min(max(column, 0), 9)), -1.0)]

    return from_drawing(WINDY, actions, outcomes, discount, terminal="G")


def windy_grid_kings_moves(discount: float = 1.0) -> MDP:
    """The windy grid for a king: with diagonal steps the wind hardly costs anything.

    It is `windy_grid` with eight actions: up, down, right, left, and the diagonals up
    right, down right, down left, up left. The king must move; a ninth action that waits
    for the wind would not help.

    Source: Sutton & Barto (2018), exercise 6.9.
    Exact, at gamma 1: v*(S) = -7, the same as without any wind.
    """
    return windy_grid(discount, "↑↓→←↗↘↙↖")


def maze(discount: float = 0.95, drawing: Drawing = DYNA_MAZE) -> MDP:
    """A maze with one distant reward: its value must travel back to the start.

         .   .   .   .   .   .   .   #   G        G: terminal; entering it earns +1,
         .   .   #   .   .   .   .   #   .           all else 0
         S   .   #   .   .   .   .   #   .        #: a wall, no state
         .   .   #   .   .   .   .   .   .        S: the start
         .   .   .   .   .   #   .   .   .        47 states, numbered in reading order
         .   .   .   .   .   .   .   .   .        actions: up, right, down, left

    Any other drawing works as well.

    Source: Sutton & Barto (2018), example 8.1 (the Dyna maze).
    Exact: the shortest way takes 14 steps, so v*(S) = gamma^13 = 0.5133 at gamma 0.95.
    """

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        row, column = neighbour(drawing, cell, move)
        return [(1.0, (row, column), float(drawing[row][column] == "G"))]

    return from_drawing(drawing, "↑→↓←", outcomes, discount, terminal="G")


def taxi(discount: float = 1.0) -> MDP:
    """A taxi that fetches a passenger and brings her to her destination: 500 states.

        R: | : :G        state   ((row * 5 + column) * 5 + passenger) * 4 + destination
         : | : :         stops   R, G, Y, B are 0 to 3; 4: the passenger is in the taxi
         : : : :         |       a wall: a taxi that runs into it stays
         | : | :         action  down, up, right, left, pick up, drop off
        Y| : |B:         reward  +20 for dropping her off at her destination, which ends
                                 the episode; -10 for picking up or dropping off in
                                 vain; -1 for all else, also for another stop

    The start is one of the 300 states in which she waits at a stop and wants to go to
    another. In 100 states she waits at her destination. Only the last step of an
    episode leads to such a state (to 4 of them), and nothing counts after it.

    Source: Dietterich (2000), "Hierarchical reinforcement learning with the MAXQ value
    function decomposition"; Gymnasium's Taxi.
    Exact, at gamma 1: 7.93 on average over the starts, from 3 to 15.
    """

    def drive(row: int, column: int, move: str) -> tuple[int, int]:
        if move in "↓↑":
            return min(max(row + (1 if move == "↓" else -1), 0), 4), column
        side = 2 * column + (1 if move == "→" else -1)
        inside = 0 <= side < 9 and TAXI_MAP[row][side] == ":"
        return row, column + inside * (1 if move == "→" else -1)

    def outcome(
        row: int, column: int, passenger: int, destination: int, action: str
    ) -> Outcome:
        reward, ended = -1.0, False
        here = TAXI_STOPS.index((row, column)) if (row, column) in TAXI_STOPS else None
        if action in MOVES:
            row, column = drive(row, column, action)
        elif action == "pick up" and passenger == here:
            passenger = 4
        elif action == "drop off" and passenger == 4 and here is not None:
            passenger, ended = here, here == destination
            reward = 20.0 if ended else -1.0
        else:
            reward = -10.0
        state = ((row * 5 + column) * 5 + passenger) * 4 + destination
        return (1.0, state, reward, ended)

    states = list(product(range(5), range(5), range(5), range(4)))
    table = [[[outcome(*state, action)] for action in TAXI_ACTIONS] for state in states]
    starts = [(p < 4 and p != destination) / 300 for _, _, p, destination in states]
    return from_outcomes(table, discount, start=starts)


WORLDS = (
    World(cliff_walking, "↑→↓←", CLIFF),
    World(windy_grid, "↑↓→←", WINDY),
    World(windy_grid_kings_moves, "↑↓→←↗↘↙↖", WINDY),
    World(maze, "↑→↓←", DYNA_MAZE),
    World(
        taxi,
        TAXI_ACTIONS,
        states=[
            f"taxi ({row}, {column}), passenger {'RGYB'[p] if p < 4 else 'in'}, to {to}"
            for row, column, p, to in product(range(5), range(5), range(5), "RGYB")
        ],
    ),
)
