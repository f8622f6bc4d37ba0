"""The dials of learning: how far to move, how much to explore, how long to go on.

    alpha_n    =  alpha_1 / n^decay       at the n-th visit
    epsilon_k  =  epsilon_1 / k^decay     in the k-th episode

Source: Sutton & Barto (2018), section 2.5, for the step sizes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mdp.checks import require_range


def schedule(initial: Any, decay: Any, count: Any) -> Any:
    """What shrinks with experience: initial / count^decay, count = 1, 2, 3, ...

    Decay 0 keeps it constant, and the learner able to follow a changing world. A step
    size of 1 / n is an average. With a decay above 1/2 and at most 1 the step sizes add
    up to infinity and their squares do not, and Q-learning converges to q* (S&B eq.
    2.7). An exploration that decays with a power of at most 1 tries everything
    infinitely often, and becomes greedy all the same.
    """
    return initial / count**decay


@dataclass(frozen=True)
class PredictionConfig:
    """How to learn: the same for all algorithms, so that they can be compared."""

    num_episodes: int = 100
    max_steps: int = 1000  # of an episode, which is then cut off
    step_size: float = 0.1  # alpha, at the first visit of a state
    step_size_decay: float = 0.0  # alpha shrinks as 1 / n^decay at the n-th visit
    initial_value: float = 0.0  # of v, before anything is known
    first_visit: bool = True  # Monte Carlo: learn from the first visit in an episode
    num_steps: int = 4  # n-step TD: n, the rewards seen before bootstrapping
    trace_decay: float = 0.8  # TD(lambda): lambda

    def __post_init__(self):
        """Refuse what no learner can do."""
        require_range(self, "num_episodes", 1)
        require_range(self, "max_steps", 1)
        require_range(self, "step_size", 0, 1)
        require_range(self, "step_size_decay", 0)
        require_range(self, "num_steps", 1)
        require_range(self, "trace_decay", 0, 1)


@dataclass(frozen=True)
class ControlConfig:
    """How to learn: the same for all four algorithms, so that they can be compared."""

    num_episodes: int = 500
    max_steps: int = 1000  # of an episode, which is then cut off
    step_size: float = 0.1  # alpha, when a pair (s, a) is learned about the first time
    step_size_decay: float = 0.0  # alpha shrinks as 1 / n^decay, n the times so far
    exploration: float = 0.1  # epsilon, in the first episode
    exploration_decay: float = 0.0  # epsilon shrinks as 1 / k^decay in episode k
    initial_value: float = 0.0  # of q; above what can be earned, it makes one curious
    num_snapshots: int = 10  # of q, evenly spaced over the episodes, one at the end

    @property
    def explorations(self) -> Float[np.ndarray, "episodes"]:
        """The epsilon of every episode."""
        episode = np.arange(1, self.num_episodes + 1)
        return schedule(self.exploration, self.exploration_decay, episode)

    @property
    def snapshot_episodes(self) -> Int[np.ndarray, "snapshots"]:
        """After how many episodes each of the snapshots is taken."""
        num_snapshots = min(self.num_snapshots, self.num_episodes)
        nth = np.arange(1, num_snapshots + 1)
        return -(-nth * self.num_episodes // num_snapshots)

    def __post_init__(self):
        """Refuse what no learner can do."""
        require_range(self, "num_episodes", 1)
        require_range(self, "max_steps", 1)
        require_range(self, "step_size", 0, 1)
        require_range(self, "step_size_decay", 0)
        require_range(self, "exploration", 0, 1)
        require_range(self, "exploration_decay", 0)
        require_range(self, "num_snapshots", 1)
