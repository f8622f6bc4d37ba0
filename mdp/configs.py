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
    """Settings of prediction: the same for each algorithm, for fair comparisons."""

    # Episodes to learn from.
    num_episodes: int = 100
    # Steps after which an episode is cut off.
    max_steps: int = 1000
    # alpha: how far an estimate moves to its new target, from 0 to 1; usually 0.01 to
    # 0.5.
    step_size: float = 0.1
    # alpha is divided by n^decay at the n-th visit of a state: 0 keeps it, and 1 makes
    # averages.
    step_size_decay: float = 0.0
    # v of every state at the beginning, in units of return.
    initial_value: float = 0.0
    # Monte Carlo only: learn from a state's first visit in an episode, not from all.
    first_visit: bool = True
    # n-step TD only: n, the rewards that a target holds before an estimate; usually 1
    # to 16.
    num_steps: int = 4
    # TD(lambda) only: lambda, from 0 (one step) to 1 (whole returns); usually 0.8 to
    # 0.95.
    trace_decay: float = 0.8

    def __post_init__(self) -> None:
        """Raise ValueError at the first number that is out of range."""
        super().__post_init__()
        require_range(self, 1, np.inf, "num_episodes", "max_steps", "num_steps")
        require_range(self, 0, 1, "step_size", "trace_decay")
        require_range(self, 0, np.inf, "step_size_decay")


@dataclass(frozen=True)
class ControlConfig(CheckedConfig):
    """Settings of control: the same for all four algorithms, for fair comparisons."""

    # Episodes that each learner plays; usually 100 to 10,000.
    num_episodes: int = 500
    # Steps after which an episode is cut off.
    max_steps: int = 1000
    # alpha: how far q(s, a) moves to its new target, from 0 to 1; usually 0.05 to 0.5.
    step_size: float = 0.1
    # alpha is divided by n^decay at the n-th update of a pair (s, a): 0 keeps it; with
    # 0.5 to 1, q settles.
    step_size_decay: float = 0.0
    # epsilon: the share of actions taken at random, from 0 to 1; usually 0.01 to 0.2.
    exploration: float = 0.1
    # epsilon is divided by k^decay in episode k: 0 keeps it, 1 soon ends exploration.
    exploration_decay: float = 0.0
    # q of every pair at the beginning, in units of return; a high one makes learners
    # try everything.
    initial_value: float = 0.0
    # Copies of q that are kept while it is learned, evenly spaced, one at the end.
    num_snapshots: int = 10

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
