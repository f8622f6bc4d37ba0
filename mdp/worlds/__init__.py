"""The toy worlds, by family. Each docstring draws the world and gives its exact answer.

    grids     five_by_five  four_by_four  four_by_three  frozen_lake  frozen_lake_8x8
    routes    cliff_walking  windy_grid  windy_grid_kings_moves  maze  taxi
    walks     five_state_walk  nineteen_state_walk  short_corridor  deep_sea
    games     gambler  blackjack
    tasks     student  recycling_robot  forest  jacks_cars
    random    garnet: as many random worlds as you like

A world is a function: call it and you hold an MDP. What a picture needs beside it, the
names of the actions and the drawing of the grid, is in `WORLDS`, by the same name.
"""

import difflib

from mdp.worlds import games, grids, random_worlds, routes, tasks, walks
from mdp.worlds.games import blackjack, gambler
from mdp.worlds.grids import (
    five_by_five,
    four_by_four,
    four_by_three,
    frozen_lake,
    frozen_lake_8x8,
)
from mdp.worlds.random_worlds import garnet
from mdp.worlds.routes import (
    cliff_walking,
    maze,
    taxi,
    windy_grid,
    windy_grid_kings_moves,
)
from mdp.worlds.tasks import forest, jacks_cars, recycling_robot, student
from mdp.worlds.walks import (
    deep_sea,
    five_state_walk,
    nineteen_state_walk,
    short_corridor,
)
from mdp.worlds.world import World, acted_in, from_drawing

__all__ = [
    "WORLDS",
    "World",
    "acted_in",
    "blackjack",
    "cliff_walking",
    "deep_sea",
    "find",
    "five_by_five",
    "five_state_walk",
    "forest",
    "four_by_four",
    "four_by_three",
    "from_drawing",
    "frozen_lake",
    "frozen_lake_8x8",
    "gambler",
    "garnet",
    "jacks_cars",
    "maze",
    "nineteen_state_walk",
    "recycling_robot",
    "short_corridor",
    "student",
    "taxi",
    "windy_grid",
    "windy_grid_kings_moves",
]

FAMILIES = (grids, routes, walks, games, tasks, random_worlds)
WORLDS = {world.name: world for family in FAMILIES for world in family.WORLDS}


def find(name: str) -> World:
    """The world of that name; its beginning will do, and so will it without `_`.

    Raises:
        ValueError: there is none, or several; the nearest names are in the message.
    """
    sought = _letters(name)
    alike = [known for known in WORLDS if _letters(known).startswith(sought)]
    exact = [known for known in alike if _letters(known) == sought]
    if len(exact or alike) != 1 or not sought:
        nearest = difflib.get_close_matches(name, WORLDS, n=3, cutoff=0.4)
        hint = f" (did you mean {' or '.join(nearest)}?)" if nearest else ""
        raise ValueError(
            f"world must be one of {', '.join(WORLDS)}, got {name!r}{hint}"
        )
    return WORLDS[(exact or alike)[0]]


def _letters(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
