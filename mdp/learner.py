"""A learner: the table q that it acts by, and the record of what it lived through.

    q(S, A)  <-  q(S, A) + alpha_n [ target - q(S, A) ],   at the n-th visit of (S, A)

This is what the algorithms of `mdp.control` have in common. They bring the targets.

Source: Sutton & Barto (2018), section 2.5.  Shapes: S states, A actions.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mdp.bellman import discounted_returns, greedy_policy
from mdp.configs import ControlConfig, schedule
from mdp.model import MDP
from mdp.sampling import Scalar, Step, draw, epsilon_greedy, take_step


class Learned(NamedTuple):
    """What was learned, and how; `learn_many` puts an axis of learners before all."""

    action_values: Float[np.ndarray, "S A"]  # q
    policy: Float[np.ndarray, "S A"]  # greedy for q, splitting ties equally
    returns: Float[np.ndarray, "episodes"]  # G_0, discounted, of every episode as lived
    lengths: Int[np.ndarray, "episodes"]  # T, the steps of every episode
    snapshots: Float[np.ndarray, "snapshots S A"]  # q on the way
    snapshot_episodes: Int[np.ndarray, "snapshots"]  # after so many episodes


class Learner:
    """The table q, how often each entry was learned about, and what was lived."""

    def __init__(self, rng: np.random.Generator, mdp: MDP, config: ControlConfig):
        self.rng, self.mdp, self.config = rng, mdp, config
        self.q = np.where(mdp.available, float(config.initial_value), 0.0)
        self.counts = np.zeros(mdp.available.shape, int)
        self.rewards, self.discounts = [], []  # of this episode
        self.returns, self.lengths, self.snapshots = [], [], []

    def policy(self, state: int, exploration: float) -> Float[np.ndarray, "A"]:
        """pi( . | s), epsilon-greedy for q."""
        return epsilon_greedy(self.q[state], self.mdp.available[state], exploration)

    def choose(self, state: int, exploration: float) -> int:
        """A ~ pi( . | s)."""
        return draw(self.rng, self.policy(state, exploration))

    def take_step(self, state: int, action: int) -> Step:
        """What the action led to, which is noted."""
        step = take_step(self.rng, self.mdp, state, action)
        self.rewards.append(step.reward)
        self.discounts.append(step.discount)
        return step

    def update(self, state: Scalar, action: Scalar, target: Scalar) -> None:
        """Move q(s, a) towards the target."""
        self.counts[state, action] += 1
        count, config = int(self.counts[state, action]), self.config
        step_size = schedule(config.step_size, config.step_size_decay, count)
        self.q[state, action] += step_size * (target - self.q[state, action])

    def end_episode(self) -> None:
        """Note how the episode went, and q where a snapshot is due."""
        rewards, discounts = np.array(self.rewards), np.array(self.discounts)
        self.returns.append(discounted_returns(rewards, discounts)[0])
        self.lengths.append(len(rewards))
        self.rewards, self.discounts = [], []
        if len(self.returns) in self.config.snapshot_episodes:
            self.snapshots.append(self.q.copy())

    def learned(self) -> Learned:
        """All that was noted, and the best policy by what is known in the end."""
        return Learned(
            action_values=self.q,
            policy=greedy_policy(self.mdp, self.q),
            returns=np.array(self.returns),
            lengths=np.array(self.lengths),
            snapshots=np.array(self.snapshots),
            snapshot_episodes=self.config.snapshot_episodes,
        )
