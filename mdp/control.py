"""Control: learn to act from episodes, without the model.

    q(S_t, A_t)  <-  q(S_t, A_t) + alpha [ target - q(S_t, A_t) ]

    Monte Carlo      target  =  G_t                                  the whole return
    Sarsa            R_{t+1} + gamma q(S_{t+1}, A_{t+1})             the next action
    expected Sarsa   R_{t+1} + gamma sum_a pi(a) q(S_{t+1}, a)       its expectation
    Q-learning       R_{t+1} + gamma max_a q(S_{t+1}, a)             the best action

The four differ in their targets and in little else. All act epsilon-greedily. The first
three learn the values of this exploring policy; Q-learning learns the values of the
optimal one. An ending has discount 0, so no target looks past it. Where a time limit
cuts an episode off, every target still looks ahead.

`mdp.learn_many` runs many learners at once, compiled, with equal results.

Source: Sutton & Barto (2018), sections 5.4 and 6.4 to 6.6.
Shapes: S states, A actions.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.bellman import discounted_returns, greedy_policy
from mdp.configs import ControlConfig, schedule
from mdp.model import MDP, Array
from mdp.prediction import first_visits
from mdp.sampling import (
    Scalar,
    Step,
    draw,
    episode_returns,
    epsilon_greedy,
    sample_episode,
    take_step,
)

DEFAULT = ControlConfig()


class Learned(NamedTuple):
    """The result of a control algorithm, and its history.

    The results of `learn_many` have one more axis, of learners, before all others.
    """

    action_values: Float[np.ndarray, "S A"]  # q
    policy: Float[np.ndarray, "S A"]  # greedy for q, splitting ties equally
    returns: Float[np.ndarray, "episodes"]  # G_0, discounted, of every episode
    lengths: Int[np.ndarray, "episodes"]  # T, the number of steps of every episode
    snapshots: Float[np.ndarray, "snapshots S A"]  # q during learning
    snapshot_episodes: Int[np.ndarray, "snapshots"]  # number of episodes before each


# The type of the four algorithms, and of any other that `learn_many` is to run.
ControlAlgorithm = Callable[[np.random.Generator, MDP, ControlConfig], Learned]


def monte_carlo_control(
    rng: np.random.Generator, mdp: MDP, config: ControlConfig = DEFAULT
) -> Learned:
    """Learn q from whole episodes: q(s, a) moves towards the returns that follow.

    Loop for each episode of the epsilon-greedy policy pi of q:
        Loop for each pair (S_t, A_t) at its first occurrence in the episode:
            q(S_t, A_t)  <-  q(S_t, A_t) + alpha [ G_t - q(S_t, A_t) ]

    Step size 1 with decay 1 averages the returns. If an episode was cut off in S_T, the
    estimate sum_a pi(a | S_T) q(S_T, a) stands for the rest of its return.

    Source: Sutton & Barto (2018), section 5.4, on-policy first-visit Monte Carlo
    control.
    """
    learner = Learner(rng, mdp, config)
    q = learner.q
    for exploration in config.explorations:
        policy = epsilon_greedy(q, mdp.available, exploration)
        episode = sample_episode(rng, mdp, policy, config.max_steps)
        end = episode.next_states[-1]
        returns = episode_returns(episode, rest=policy[end] @ q[end])
        pairs = episode.states * mdp.num_actions + episode.actions
        for t in np.flatnonzero(first_visits(pairs)):
            learner.update(episode.states[t], episode.actions[t], returns[t])
        learner.rewards = episode.rewards.tolist()
        learner.discounts = episode.discounts.tolist()
        learner.end_episode()
    return learner.learned()


def sarsa(
    rng: np.random.Generator, mdp: MDP, config: ControlConfig = DEFAULT
) -> Learned:
    """Learn q on-policy, from S, A, R, S', A'; its values include the exploration.

    Loop for each episode:
        Choose A from S, epsilon-greedily
        Loop for each step of the episode:
            Take action A, observe R, S'
            Choose A' from S', epsilon-greedily
            q(S, A)  <-  q(S, A) + alpha [ R + gamma q(S', A') - q(S, A) ]
            S  <-  S',  A  <-  A'

    Source: Sutton & Barto (2018), section 6.4, eq. 6.7.
    """
    learner = Learner(rng, mdp, config)
    q = learner.q
    for exploration in config.explorations:
        state = draw(rng, mdp.start)
        action = learner.choose(state, exploration)
        for _ in range(config.max_steps):
            reward, discount, next_state = learner.take_step(state, action)
            next_action = learner.choose(next_state, exploration)
            target = sarsa_target(reward, discount, q[next_state], next_action)
            learner.update(state, action, target)
            state, action = next_state, next_action
            if discount == 0:
                break
        learner.end_episode()
    return learner.learned()


def expected_sarsa(
    rng: np.random.Generator, mdp: MDP, config: ControlConfig = DEFAULT
) -> Learned:
    """Learn q as Sarsa does, with the expectation over the next action.

    Loop for each step of each episode:
        Choose A from S, epsilon-greedily; take it, observe R, S'
        q(S, A)  <-  q(S, A) + alpha [ R + gamma sum_a pi(a | S') q(S', a) - q(S, A) ]
        S  <-  S'

    Source: Sutton & Barto (2018), section 6.6, eq. 6.9.
    """
    learner = Learner(rng, mdp, config)
    q = learner.q
    for exploration in config.explorations:
        state = draw(rng, mdp.start)
        for _ in range(config.max_steps):
            action = learner.choose(state, exploration)
            reward, discount, next_state = learner.take_step(state, action)
            next_policy = learner.policy(next_state, exploration)
            target = expected_sarsa_target(reward, discount, q[next_state], next_policy)
            learner.update(state, action, target)
            state = next_state
            if discount == 0:
                break
        learner.end_episode()
    return learner.learned()


def q_learning(
    rng: np.random.Generator, mdp: MDP, config: ControlConfig = DEFAULT
) -> Learned:
    """Learn q* off-policy: the target assumes the best action, the learner explores.

    Loop for each episode, with its epsilon from `config.explorations`:
        Draw a start state S: draw(rng, mdp.start)
        Loop for each step, until an ending, and for `config.max_steps` at most:
            Choose A from S, epsilon-greedily; take it, observe R, S'
            q(S, A)  <-  q(S, A) + alpha [ R + gamma max_a q(S', a) - q(S, A) ]
            S  <-  S'

    A `Learner` holds the table q. It has a method for each line: `choose`, `take_step`,
    `update`, and `end_episode` after every episode; `learned` returns the result.

    Source: Sutton & Barto (2018), section 6.5, eq. 6.8; Watkins (1989).
    """
    learner = Learner(rng, mdp, config)
    q = learner.q
    for exploration in config.explorations:
        state = draw(rng, mdp.start)
        for _ in range(config.max_steps):
            action = learner.choose(state, exploration)
            reward, discount, next_state = learner.take_step(state, action)
            next_available = mdp.available[next_state]
            target = q_learning_target(reward, discount, q[next_state], next_available)
            learner.update(state, action, target)
            state = next_state
            if discount == 0:
                break
        learner.end_episode()
    return learner.learned()


def sarsa_target(
    reward: Scalar,
    discount: Scalar,
    next_action_values: Float[Array, "A"],
    next_action: Scalar,
) -> Scalar:
    """Return R_{t+1} + gamma q(S_{t+1}, A_{t+1}), with the action that is taken next.

    Source: Sutton & Barto (2018), eq. 6.7.
    """
    return reward + discount * next_action_values[next_action]


def expected_sarsa_target(
    reward: Scalar,
    discount: Scalar,
    next_action_values: Float[Array, "A"],
    next_policy: Float[Array, "A"],
) -> Scalar:
    """Return R_{t+1} + gamma sum_a pi(a | S_{t+1}) q(S_{t+1}, a), a mean over actions.

    Source: Sutton & Barto (2018), eq. 6.9.
    """
    return reward + discount * (next_policy * next_action_values).sum(-1)


def q_learning_target(
    reward: Scalar,
    discount: Scalar,
    next_action_values: Float[Array, "A"],
    available: Bool[Array, "A"],
) -> Scalar:
    """Return R_{t+1} + gamma max_a q(S_{t+1}, a), with the best available action.

    Source: Sutton & Barto (2018), eq. 6.8.
    """
    # From -inf, not from 0: the values of all available actions may be negative.
    best = next_action_values.max(-1, where=available, initial=-np.inf)
    return reward + discount * best


class Learner:
    """The table q of a learner, and the history of its episodes.

        q(S, A)  <-  q(S, A) + alpha_n [ target - q(S, A) ]   at the n-th update

    The algorithms above share it; they bring the targets.
    Source: Sutton & Barto (2018), section 2.5.
    """

    def __init__(
        self, rng: np.random.Generator, mdp: MDP, config: ControlConfig
    ) -> None:
        """Begin with the initial values of the config, and no history."""
        self.rng, self.mdp, self.config = rng, mdp, config
        self.q = np.where(mdp.available, float(config.initial_value), 0.0)
        self.counts = np.zeros(mdp.available.shape, int)  # updates of each entry of q
        self.rewards: list[float] = []  # of this episode
        self.discounts: list[float] = []  # of this episode
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.snapshots: list[Float[np.ndarray, "S A"]] = []

    def policy(self, state: int, exploration: float) -> Float[np.ndarray, "A"]:
        """Return pi( . | s), epsilon-greedy for q."""
        return epsilon_greedy(self.q[state], self.mdp.available[state], exploration)

    def choose(self, state: int, exploration: float) -> int:
        """Draw an action from pi( . | s)."""
        return draw(self.rng, self.policy(state, exploration))

    def take_step(self, state: int, action: int) -> Step:
        """Draw the outcome of an action, and record it."""
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
        """Record the return of the episode, and q where a snapshot is due."""
        rewards, discounts = np.array(self.rewards), np.array(self.discounts)
        self.returns.append(discounted_returns(rewards, discounts)[0])
        self.lengths.append(len(rewards))
        self.rewards, self.discounts = [], []
        if len(self.returns) in self.config.snapshot_episodes:
            self.snapshots.append(self.q.copy())

    def learned(self) -> Learned:
        """Return the history, and the greedy policy of q."""
        return Learned(
            action_values=self.q,
            policy=greedy_policy(self.mdp, self.q),
            returns=np.array(self.returns),
            lengths=np.array(self.lengths),
            snapshots=np.array(self.snapshots),
            snapshot_episodes=self.config.snapshot_episodes,
        )
