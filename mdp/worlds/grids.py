"""Grid worlds: cells are states, row by row from the top left, and actions are moves.

A move off the grid, or into a wall, leaves the agent where it is. Every world numbers
its actions as its source does, so that results can be compared.
"""

from mdp.model import MDP
from mdp.worlds.world import Cell, Drawing, World, from_drawing, neighbour, slips

FIVE_BY_FIVE = (".A.B.", ".....", "...b.", ".....", ".a...")
FOUR_BY_FOUR = ("T...", "....", "....", "...T")
FOUR_BY_THREE = ("...+", ".#.-", "S...")
FROZEN_LAKE = ("S...", ".H.H", "...H", "H..G")
FROZEN_LAKE_8X8 = (
    "S.......",
    "........",
    "...H....",
    ".....H..",
    "...H....",
    ".HH...H.",
    ".H..H.H.",
    "...H...G",
)


def five_by_five(discount: float = 0.9) -> MDP:
    """Gridworld with two jumps: a continuing task, and the value of looking ahead.

         0   A   2   B   4        A: every action earns +10 and leads to a (state 21)
         5   6   7   8   9        B: every action earns  +5 and leads to b (state 13)
        10  11  12   b  14        elsewhere: 0, or -1 for a move off the grid
        15  16  17  18  19
        20   a  22  23  24        actions: up, right, down, left

    Source: Sutton & Barto (2018), examples 3.5 and 3.8 (figures 3.2 and 3.5).
    Exact, at gamma 0.9: v*(A) = 10 / (1 - 0.9^5) = 24.419, because the best plan
    returns to A every five steps. For the uniformly random policy v(A) = 8.789, less
    than the 10 it earns at once, because from a it soon runs into the edge.
    """
    jumps = {(0, 1): ((4, 1), 10.0), (0, 3): ((2, 3), 5.0)}

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        after = neighbour(FIVE_BY_FIVE, cell, move)
        after, reward = jumps.get(cell, (after, -1.0 if after == cell else 0.0))
        return [(1.0, after, reward)]

    return from_drawing(FIVE_BY_FIVE, "↑→↓←", outcomes, discount)


def four_by_four(discount: float = 1.0) -> MDP:
    """Every step costs 1 until a corner is reached: values are distances.

        T   1   2   3        T: 0 and 15, terminal (the book counts them as one state)
        4   5   6   7        -1 a step, everywhere
        8   9  10  11
       12  13  14   T        actions: up, down, right, left

    Source: Sutton & Barto (2018), example 4.1 (figure 4.1).
    Exact, at gamma 1: v* = minus the distance to the nearer T. The values of the
    uniformly random policy are -14, -18, -20 and -22.
    """

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        return [(1.0, neighbour(FOUR_BY_FOUR, cell, move), -1.0)]

    return from_drawing(FOUR_BY_FOUR, "↑↓→←", outcomes, discount, terminal="T")


def four_by_three(discount: float = 1.0) -> MDP:
    """Moves that slip, and a pit beside the goal: the short way is dangerous.

        0   1   2   +        +: 3, terminal, earns +1     -: 6, terminal, earns -1
        4   #   5   -        -0.04 for every step; #: a wall, no state
        S   8   9  10        a move goes as intended with probability 0.8, and with
                             0.1 each to either side of that direction
        actions: up, right, down, left

    Source: Russell & Norvig, *Artificial Intelligence: A Modern Approach*, 3rd edition,
    figures 17.1 to 17.3.
    Exact, at gamma 1: v*(S) = 0.7053, S being state 7. The 3rd edition gives each state
    its reward, so that the last step costs 0.04 as well; the 4th edition pays +1 or -1
    *instead* of it, and prints a start value higher by just 0.04: 0.7453.
    """
    last = {(0, 3): 1.0, (1, 3): -1.0}

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        chances = slips(FOUR_BY_THREE, cell, move, aim=0.8)
        return [(p, after, last.get(after, 0.0) - 0.04) for p, after in chances]

    return from_drawing(FOUR_BY_THREE, "↑→↓←", outcomes, discount, terminal="+-")


def frozen_lake(discount: float = 1.0, drawing: Drawing = FROZEN_LAKE) -> MDP:
    """A frozen lake: a move goes in the intended direction only one time in three.

        S   1   2   3        S: the start, 0        H: a hole, terminal
        4   H   6   H        G: 15, terminal; entering it earns +1, all else 0
        8   9  10   H        with probability 1/3 each the agent moves as intended, or
        H  13  14   G        slips to one side or to the other of that direction

    Actions: left, down, right, up. Any other drawing works as well.

    Source: Gymnasium's FrozenLake-v1 (map "4x4", slippery).
    Exact, at gamma 1: v*(S) = 14/17, the best probability of ever reaching the goal. In
    S all four actions tie. A policy that always takes up there stays in the top row for
    ever: it is greedy for v* in every step, and succeeds with probability 0.
    """

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        chances = slips(drawing, cell, move, aim=1 / 3)
        return [(p, (r, c), float(drawing[r][c] == "G")) for p, (r, c) in chances]

    return from_drawing(drawing, "←↓→↑", outcomes, discount, terminal="HG")


def frozen_lake_8x8(discount: float = 1.0) -> MDP:
    """A larger frozen lake, which a patient agent crosses for sure.

        S   1   2   3   4   5   6   7        the rules of `frozen_lake`
        8   9  10  11  12  13  14  15
       16  17  18   H  20  21  22  23        S: the start, 0
       24  25  26  27  28   H  30  31        H: a hole, terminal
       32  33  34   H  36  37  38  39        G: 63, terminal
       40   H   H  43  44  45   H  47
       48   H  50  51   H  53   H  55
       56  57  58   H  60  61  62   G

    Source: Gymnasium's FrozenLake8x8-v1 (map "8x8", slippery).
    Exact, at gamma 1: v*(S) = 1. An agent that always aims at the edge, along the top
    and then down the right side, never slips into a hole: it only takes long. At gamma
    0.99, v*(S) = 0.414.
    """
    return frozen_lake(discount, FROZEN_LAKE_8X8)


WORLDS = (
    World(five_by_five, "↑→↓←", FIVE_BY_FIVE),
    World(four_by_four, "↑↓→←", FOUR_BY_FOUR),
    World(four_by_three, "↑→↓←", FOUR_BY_THREE),
    World(frozen_lake, "←↓→↑", FROZEN_LAKE),
    World(frozen_lake_8x8, "←↓→↑", FROZEN_LAKE_8X8),
)
