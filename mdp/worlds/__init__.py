"""The toy worlds, by family. Each docstring draws the world and gives its exact answer.

    world.py          World: names and drawing beside a constructor; MDPs from drawings
    grids.py          five_by_five  four_by_four  four_by_three  frozen_lake
                      frozen_lake_8x8
    routes.py         cliff_walking  windy_grid  windy_grid_kings_moves  maze  taxi
    walks.py          five_state_walk  nineteen_state_walk  short_corridor  deep_sea
    games.py          gambler  blackjack
    tasks.py          student  recycling_robot  forest  jacks_cars
    random_worlds.py  garnet: as many random worlds as you like

A world is a function that returns an MDP. The names of its actions and the drawing of
its grid, for tables and pictures, are in `WORLDS`, by the same name.
"""

from mdp.checks import unknown_name
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
    """Return the world of this name, which may be shortened and written without `_`.

    Raises:
        ValueError: no world or several have this name; the message lists near ones.
    """
    sought = _letters(name)
    alike = [known for known in WORLDS if _letters(known).startswith(sought)]
    exact = [known for known in alike if _letters(known) == sought]
    if len(exact or alike) != 1 or not sought:
        raise unknown_name("world", name, WORLDS)
    return WORLDS[(exact or alike)[0]]


def _letters(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
