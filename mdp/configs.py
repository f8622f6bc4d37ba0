"""Configs of the learners: step sizes, exploration, numbers of episodes and steps.

    alpha_n    =  alpha_1 / n^decay       at the n-th visit
    epsilon_k  =  epsilon_1 / k^decay     in the k-th episode

Source: Sutton & Barto (2018), section 2.5, for the step sizes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mdp.checks import CheckedConfig, require_range


def schedule(initial: Any, decay: Any, count: Any) -> Any:
    """Return initial / count^decay, a number that shrinks for count = 1, 2, 3, ...

    With decay 0 it is constant, so that a learner can follow a changing world. A step
    size of 1 / n gives an average. With a decay above 1/2 and at most 1, the step sizes
    sum to infinity and their squares do not: then Q-learning converges to q*. An
    exploration that decays with a power of at most 1 tries everything infinitely often,
    and still becomes greedy. Source: Sutton & Barto (2018), eq. 2.7.
    """
    return initial / count**decay


@dataclass(frozen=True)
class PredictionConfig(CheckedConfig):
    """Numbers of a prediction algorithm; all algorithms share them, to be compared."""

    num_episodes: int = 100
    max_steps: int = 1000  # after so many an episode is cut off
    step_size: float = 0.1  # alpha, at the first visit of a state
    step_size_decay: float = 0.0  # alpha shrinks as 1 / n^decay at the n-th visit
    initial_value: float = 0.0  # v of every state at the beginning
    first_visit: bool = True  # Monte Carlo: learn from the first visit in an episode
    num_steps: int = 4  # n-step TD: n, the number of rewards before bootstrapping
    trace_decay: float = 0.8  # TD(lambda): lambda

    def __post_init__(self) -> None:
        """Raise ValueError at the first number that is out of range."""
        super().__post_init__()
        require_range(self, 1, np.inf, "num_episodes", "max_steps", "num_steps")
        require_range(self, 0, 1, "step_size", "trace_decay")
        require_range(self, 0, np.inf, "step_size_decay")


@dataclass(frozen=True)
class ControlConfig(CheckedConfig):
    """Numbers of a control algorithm; all four share them, to be compared."""

    num_episodes: int = 500
    max_steps: int = 1000  # after so many an episode is cut off
    step_size: float = 0.1  # alpha, at the first update of a pair (s, a)
    step_size_decay: float = 0.0  # alpha shrinks as 1 / n^decay at the n-th update
    exploration: float = 0.1  # epsilon, in the first episode
    exploration_decay: float = 0.0  # epsilon shrinks as 1 / k^decay in episode k
    initial_value: float = 0.0  # q of every pair at the beginning; a high one explores
    num_snapshots: int = 10  # of q, evenly spaced over the episodes, one at the end

    @property
    def explorations(self) -> Float[np.ndarray, "episodes"]:
        """Epsilon in every episode."""
        episode = np.arange(1, self.num_episodes + 1)
        return schedule(self.exploration, self.exploration_decay, episode)

    @property
    def snapshot_episodes(self) -> Int[np.ndarray, "snapshots"]:
        """Number of episodes before each of the snapshots."""
        num_snapshots = min(self.num_snapshots, self.num_episodes)
        nth = np.arange(1, num_snapshots + 1)
        return -(-nth * self.num_episodes // num_snapshots)

    def __post_init__(self) -> None:
        """Raise ValueError at the first number that is out of range."""
        super().__post_init__()
        require_range(self, 1, np.inf, "num_episodes", "max_steps", "num_snapshots")
        require_range(self, 0, 1, "step_size", "exploration")
        require_range(self, 0, np.inf, "step_size_decay", "exploration_decay")
