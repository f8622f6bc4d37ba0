"""Walks: worlds in which the agent goes left or right, or only a coin decides.

The two random walks have a single action: they are for prediction. The corridor and the
deep sea are for control.
"""

from mdp.model import MDP, Outcome, from_outcomes
from mdp.worlds.world import World


def five_state_walk(discount: float = 1.0) -> MDP:
    """A random walk on five states: a coin toss decides every step.

        0 <-- A <--> B <--> C <--> D <--> E --> 6     left or right with probability 1/2
        ends         the start, 3           ends, +1  all other steps earn 0

    A to E are states 1 to 5; the only action is to walk.

    Source: Sutton & Barto (2018), example 6.2.
    Exact, at gamma 1: v(k) = k/6, the probability of leaving on the right.
    """
    return _random_walk(5, 0.0, 1.0, discount)


def nineteen_state_walk(discount: float = 1.0) -> MDP:
    """A random walk on nineteen states, to compare n-step methods and traces.

        0 <-- 1 <--> 2 <--> ... <--> 10 <--> ... <--> 19 --> 20
        ends, -1                  the start             ends, +1

    Left or right with probability 1/2; all other steps earn 0. The only action is to
    walk.

    Source: Sutton & Barto (2018), example 7.1.
    Exact, at gamma 1: v(k) = (k - 10) / 10, from -0.9 to 0.9.
    """
    return _random_walk(19, -1.0, 1.0, discount)


def short_corridor(discount: float = 1.0) -> MDP:
    """Three states that look alike, and in the middle one the moves are swapped.

        S = 0       1       2       G = 3          -1 a step; G is terminal
                 swapped                           actions: left, right
                                                   left of S: stay

    The MDP tells its states apart. A learner whose features make the three look alike
    cannot, and must choose at random: with a fixed choice it never reaches G.

    Source: Sutton & Barto (2018), example 13.1.
    Exact, at gamma 1: v*(S) = -3. Going right with probability p everywhere has
    the value 2 (2 - p) / (p (p - 1)) (exercise 13.1). It is best at p = 2 - sqrt 2 =
    0.586, with value -(6 + 4 sqrt 2) = -11.657.
    """
    goes_to = [(0, 1), (2, 0), (1, 3)]
    table = [[[(1.0, s, -1.0, False)] for s in row] for row in goes_to] + [[[]]]
    return from_outcomes(table, discount, terminal=[3], start=0)


def deep_sea(discount: float = 1.0, size: int = 10) -> MDP:
    """One treasure, N steps away: every step towards it costs a little.

        S  .  .  .        N x N cells, numbered in reading order; here N = 4
        .  .  .  .        each step leads one row down, and one column to the left or
        .  .  .  .           right; the step to the right costs 0.01 / N
        .  .  .  G        a step to the right out of G earns 1 as well
                          any step out of the last row ends the episode

    The agent finds G only if it goes right N times: at random that takes 2^N episodes
    on average. Actions: left, right. (bsuite swaps the two at random from cell to cell,
    for learners that might generalise.)

    Source: Osband et al. (2020), "Behaviour suite for reinforcement learning".
    Exact, at gamma 1: v*(S) = 1 - 0.01 = 0.99, for any N.
    """

    def outcome(state: int, step: int) -> Outcome:
        row, column = divmod(state, size)
        treasure = row == column == size - 1 and step == 1
        reward = treasure - 0.01 / size * (step == 1)
        below = min(row + 1, size - 1) * size + min(max(column + step, 0), size - 1)
        return (1.0, below, reward, row == size - 1)

    table = [[[outcome(s, step)] for step in (-1, 1)] for s in range(size**2)]
    return from_outcomes(table, discount, start=0)


def _random_walk(
    num_inner: int, left_end: float, right_end: float, discount: float
) -> MDP:
    """Return a walk on 0 .. num_inner + 1, with both ends terminal."""
    last = num_inner + 1
    rewards = {0: left_end, last: right_end}
    table: list[list[list[Outcome]]] = [
        [[(0.5, after, rewards.get(after, 0.0), False) for after in (s - 1, s + 1)]]
        if 0 < s < last
        else [[]]
        for s in range(last + 1)
    ]
    return from_outcomes(table, discount, terminal=[0, last], start=last // 2)


WORLDS = (
    World(five_state_walk, ("walk",), states=("left", *"ABCDE", "right")),
    World(nineteen_state_walk, ("walk",)),
    World(short_corridor, "←→", ("S..G",)),
    World(deep_sea, "↙↘", ("S" + "." * 9,) + ("." * 10,) * 8 + ("." * 9 + "G",)),
)
