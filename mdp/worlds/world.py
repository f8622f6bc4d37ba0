"""Names and drawings of a world, and the MDP that a drawing of a grid describes.

An MDP holds only numbers: it does not say that its states are cells, or that action 0
means up. A `World` puts these names beside the constructor, for tables, pictures and
the command line. A *drawing* is a tuple of rows, one letter a cell:

    ("S..#",        S  the start        #  a wall, which is no state
     "...G")        G  and other letters have a meaning in each world

States are the cells that are not walls, numbered row by row from the top left.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from mdp.bellman import uniform_policy
from mdp.evaluation import reachable
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
    drawing: Drawing = ()  # of a grid, as above; () if the world has none
    states: Sequence[str] = ()  # a name each; () if numbers are enough
    # What the columns and the rows of the drawing count from 0; () if it is a place.
    sides: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the world, which is that of its constructor."""
        return self.make.__name__

    @property
    def title(self) -> str:
        """First words of the world's docstring, up to a colon."""
        return (
            (self.make.__doc__ or "").partition("\n")[0].partition(":")[0].rstrip(".")
        )


def acted_in(mdp: MDP) -> Bool[np.ndarray, "S"]:
    """Return True for the states in which an agent from the start may have to act.

    Terminal states, and states that cannot be reached, are False.
    """
    over = (mdp.probs * (mdp.discounts + np.abs(mdp.rewards))).sum((1, 2)) == 0
    return reachable(mdp, uniform_policy(mdp)) & ~over


def cells(drawing: Drawing) -> dict[Cell, int]:
    """Return the state of each cell that is not a wall, in reading order."""
    found = [
        (row, column)
        for row, letters in enumerate(drawing)
        for column, letter in enumerate(letters)
        if letter != WALL
    ]
    return {cell: state for state, cell in enumerate(found)}


def neighbour(drawing: Drawing, cell: Cell, move: Cell) -> Cell:
    """Return the cell one move away, or the cell itself at a wall or at the edge."""
    row, column = cell[0] + move[0], cell[1] + move[1]
    inside = 0 <= row < len(drawing) and 0 <= column < len(drawing[0])
    return (row, column) if inside and drawing[row][column] != WALL else cell


def slips(
    drawing: Drawing, cell: Cell, move: Cell, aim: float
) -> list[tuple[float, Cell]]:
    """Return (probability, cell) of a move that may slip to either side.

    It goes in the intended direction with probability `aim`.
    """
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
    """Return an MDP with the cells of a drawing as states and moves as actions.

    Args:
        drawing: the start is any S in it, equally often; without one, any cell.
        actions: the moves, by their arrows in MOVES.
        outcomes: returns the outcomes of a move in a cell, each as (probability, next
            cell, reward).
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
