"""The toy worlds, by family. Each docstring draws the world and gives its exact answer.

grids    five_by_five    two jumps on a grid; gamma 0.9
         cliff_walking   the shortest way runs along a cliff; gamma 1
         frozen_lake     one move in three goes where it was meant to; gamma 1
"""

from mdp.worlds.grids import cliff_walking, five_by_five, frozen_lake

__all__ = ["cliff_walking", "five_by_five", "frozen_lake"]
