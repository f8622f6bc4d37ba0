"""Grid worlds: cells are states, row by row from the top left, and actions are moves.

A move off the grid leaves the agent where it is. Every world numbers its actions as its
source does, so that results can be laid side by side: `frozen_lake` is unlike the rest.
"""

from mdp.model import MDP, from_outcomes

# As (rows down, columns to the right).
UP, RIGHT, DOWN, LEFT = (-1, 0), (0, 1), (1, 0), (0, -1)


def five_by_five(discount: float = 0.9) -> MDP:
    """Gridworld with two jumps: a continuing task, and the value of looking ahead.

         0   A   2   B   4        A: every action earns +10 and leads to a (state 21)
         5   6   7   8   9        B: every action earns  +5 and leads to b (state 13)
        10  11  12   b  14        elsewhere: 0, or -1 for a move off the grid
        15  16  17  18  19
        20   a  22  23  24        actions: up, right, down, left

    Source: Sutton & Barto (2018), examples 3.5 and 3.8 (figures 3.2 and 3.5).
    Exact, at gamma 0.9: v*(A) = 10 / (1 - 0.9^5) = 24.419, since the best plan returns
    to A every five steps; for the uniformly random policy v(A) = 8.789, below the 10 it
    earns at once, since from a it soon runs into the edge.
    """
    shape = (5, 5)
    jumps = {1: (21, 10.0), 3: (13, 5.0)}

    def outcome(state, move):
        after = _neighbour(state, move, shape)
        next_state, reward = jumps.get(state, (after, -1.0 if after == state else 0.0))
        return (1.0, next_state, reward, False)

    moves = (UP, RIGHT, DOWN, LEFT)
    return from_outcomes(
        [[[outcome(state, move)] for move in moves] for state in range(25)], discount
    )


def cliff_walking(discount: float = 1.0) -> MDP:
    """The shortest way runs along a cliff: what the careful learn, and the optimal.

         0   1   2   3   4   5   6   7   8   9  10  11
        12  13  14  15  16  17  18  19  20  21  22  23      -1 a step
        24  25  26  27  28  29  30  31  32  33  34  35      -100 into the cliff C,
         S   C   C   C   C   C   C   C   C   C   C   G       and back to S

    S is 36, the start, and G is 47, terminal. The ten cells of the cliff are states
    that no step ever enters. Actions: up, right, down, left.

    Source: Sutton & Barto (2018), example 6.6; Gymnasium's CliffWalking-v1.
    Exact, at gamma 1: v*(S) = -13, one step up, eleven along the edge, one down.
    """
    shape, start, goal = (4, 12), 36, 47
    cliff = range(37, 47)

    def outcome(state, move):
        after = _neighbour(state, move, shape)
        if after in cliff:
            return (1.0, start, -100.0, False)
        return (1.0, after, -1.0, after == goal)

    moves = (UP, RIGHT, DOWN, LEFT)
    return from_outcomes(
        [[[outcome(state, move)] for move in moves] for state in range(48)],
        discount,
        terminal=[goal],
        start=start,
    )


def frozen_lake(discount: float = 1.0) -> MDP:
    """Cross the ice: a move goes where it is meant to only one time in three.

        S   1   2   3        S: the start, 0        H: a hole, terminal
        4   H   6   H        G: 15, terminal; entering it earns +1, all else 0
        8   9  10   H        with probability 1/3 each the agent moves as it meant to,
        H  13  14   G        or slips to the one or the other side of that direction

    Actions: left, down, right, up.

    Source: Gymnasium's FrozenLake-v1 (map "4x4", slippery).
    Exact, at gamma 1: v*(S) = 14/17, the best chance of ever reaching the goal. In S
    all four actions tie. Whoever picks up there wanders along the top row for ever, is
    greedy for v* in every step, and succeeds with probability 0.
    """
    shape, drawing = (4, 4), "SFFF" + "FHFH" + "FFFH" + "HFFG"
    moves = (LEFT, DOWN, RIGHT, UP)

    def outcome(state, direction):
        after = _neighbour(state, moves[direction % 4], shape)
        return (1 / 3, after, float(drawing[after] == "G"), drawing[after] in "HG")

    # Before and after a direction in `moves` stand the two at right angles to it.
    table = [
        [[outcome(s, a + slip) for slip in (-1, 0, 1)] for a in range(4)]
        for s in range(16)
    ]
    terminal = [s for s in range(16) if drawing[s] in "HG"]
    return from_outcomes(table, discount, terminal=terminal, start=0)


def _neighbour(state: int, move: tuple[int, int], shape: tuple[int, int]) -> int:
    """The state one move away, or the same state where the grid ends."""
    row, column = divmod(state, shape[1])
    row, column = row + move[0], column + move[1]
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        return row * shape[1] + column
    return state
