"""What a picture of a world needs, and how a drawing of a grid becomes an MDP.

An MDP is numbers: it knows neither that its states are cells nor that action 0 means
up. A `World` puts these names beside the constructor, for tables, pictures and the
command line. A *drawing* is a tuple of rows, one letter a cell:

    ("S..#",        S  the start        #  a wall, which is no state
     "...G")        G  and other letters mean what the world says they do

States are the cells that are not walls, numbered row by row from the top left.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from mdp.model import MDP, from_outcomes

Cell = tuple[int, int]  # (row, column), from the top left
Drawing = Sequence[str]

# An action with one of these names is drawn as an arrow: (rows down, columns right).
MOVES = {
    "↑": (-1, 0),
    "→": (0, 1),
    "↓": (1, 0),
    "←": (0, -1),
    "↗": (-1, 1),
    "↘": (1, 1),
    "↙": (1, -1),
    "↖": (-1, -1),
}
WALL = "#"


class World(NamedTuple):
    """A constructor, and the names that a table or a picture of its MDP needs."""

    make: Callable[..., MDP]  # its docstring is the world's page
    actions: Sequence[str]  # a name each; those in MOVES are drawn as arrows
    drawing: Drawing = ()  # of a grid, as above; () if the world is none
    states: Sequence[str] = ()  # a name each, where numbers would not do

    @property
    def name(self) -> str:
        """The name of the constructor, which is that of the world."""
        return self.make.__name__

    @property
    def title(self) -> str:
        """The first words of the world's page."""
        return self.make.__doc__.partition("\n")[0].partition(":")[0].rstrip(".")


def acted_in(mdp: MDP) -> Bool[np.ndarray, "S"]:
    """True for the states in which an agent from the start may ever have to act.

    Terminal states are not among them, nor are those that no way leads to.
    """
    goes_on = (mdp.probs > 0) & (mdp.discounts > 0)
    acted = mdp.start > 0
    num_known = 0
    while acted.sum() > num_known:
        num_known = acted.sum()
        acted[mdp.next_states[goes_on & acted[:, None, None]]] = True
    over = (mdp.probs * (mdp.discounts + np.abs(mdp.rewards))).sum((1, 2)) == 0
    return acted & ~over


def cells(drawing: Drawing) -> dict[Cell, int]:
    """The state of each cell that is not a wall, in reading order."""
    found = [
        (row, column)
        for row, letters in enumerate(drawing)
        for column, letter in enumerate(letters)
        if letter != WALL
    ]
    return {cell: state for state, cell in enumerate(found)}


def neighbour(drawing: Drawing, cell: Cell, move: Cell) -> Cell:
    """The cell one move away, or the same cell at a wall or at the end of the grid."""
    row, column = cell[0] + move[0], cell[1] + move[1]
    inside = 0 <= row < len(drawing) and 0 <= column < len(drawing[0])
    return (row, column) if inside and drawing[row][column] != WALL else cell


def slips(drawing: Drawing, cell: Cell, move: Cell, aim: float) -> list:
    """(probability, cell): as meant with probability aim, else off to either side."""
    down, right = move
    aside = (1 - aim) / 2
    chances = {(down, right): aim, (right, down): aside, (-right, -down): aside}
    return [(p, neighbour(drawing, cell, move)) for move, p in chances.items()]


def from_drawing(
    drawing: Drawing,
    actions: str,
    outcomes: Callable[[Cell, Cell], Iterable[tuple[float, Cell, float]]],
    discount: float,
    *,
    terminal: str = "",
) -> MDP:
    """An MDP whose states are the cells of a drawing and whose actions are moves.

    Args:
        drawing: the start is any S in it, equally often; without one, any cell.
        actions: the moves, by their arrows in MOVES.
        outcomes: what may follow a move in a cell: (probability, next cell, reward).
        discount: gamma.
        terminal: the letters of the cells in which the episode is over.

    Raises:
        ValueError: the rows are of unequal length, or the cells make no MDP.
    """
    if len({len(row) for row in drawing}) != 1:
        lengths = [len(row) for row in drawing]
        raise ValueError(f"drawing must have rows of one length, got {lengths}")
    number = cells(drawing)
    letters = {state: drawing[row][column] for (row, column), state in number.items()}
    starts = [state for state in letters if letters[state] == "S"]
    table = [
        [
            [(prob, number[after], reward, False) for prob, after, reward in follows]
            for follows in (outcomes(cell, MOVES[action]) for action in actions)
        ]
        for cell in number
    ]
    return from_outcomes(
        table,
        discount,
        terminal=[state for state in letters if letters[state] in terminal],
        start=[(s in starts) / len(starts) for s in letters] if starts else None,
    )
