"""Control: learn what to do from what happens, without the model.

    q(S_t, A_t)  <-  q(S_t, A_t) + alpha [ target - q(S_t, A_t) ]

    Monte Carlo      target  =  G_t                                  all that followed
    Sarsa            R_{t+1} + gamma q(S_{t+1}, A_{t+1})             the next action
    expected Sarsa   R_{t+1} + gamma sum_a pi(a) q(S_{t+1}, a)       its expectation
    Q-learning       R_{t+1} + gamma max_a q(S_{t+1}, a)             the best one

The four differ in their targets and in little else. All act epsilon-greedily. The first
three learn what that is worth, exploration included; Q-learning learns what would be
worth most. An ending has discount 0, so no target looks past it. Where a time limit
cuts an episode off, every target looks ahead as ever.

Source: Sutton & Barto (2018), sections 5.4 and 6.4 to 6.6.
Shapes: S states, A actions.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from mdp.configs import ControlConfig
from mdp.learner import Learned, Learner
from mdp.model import MDP, Array
from mdp.prediction import first_visits
from mdp.sampling import Scalar, draw, episode_returns, epsilon_greedy, sample_episode

DEFAULT = ControlConfig()

# What the four have in common, and any other that `learn_many` is to run.
ControlAlgorithm = Callable[[np.random.Generator, MDP, ControlConfig], Learned]


def monte_carlo_control(
    rng: np.random.Generator, mdp: MDP, config: ControlConfig = DEFAULT
) -> Learned:
    """Learn q from whole episodes: an action is worth what followed it, on average.

    Loop for each episode, lived by the epsilon-greedy policy pi of q:
        Loop for each pair (S_t, A_t) at its first occurrence in the episode:
            q(S_t, A_t)  <-  q(S_t, A_t) + alpha [ G_t - q(S_t, A_t) ]

    Step size 1 with decay 1 averages the returns. The return of an episode that was cut
    off in S_T goes on with the estimate sum_a pi(a | S_T) q(S_T, a).

    Source: S&B section 5.4, on-policy first-visit Monte Carlo control.
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
        learner.rewards, learner.discounts = episode.rewards, episode.discounts
        learner.end_episode()
    return learner.learned()


def sarsa(
    rng: np.random.Generator, mdp: MDP, config: ControlConfig = DEFAULT
) -> Learned:
    """Learn q from S, A, R, S', A': on-policy, so it reckons with its own exploration.

    Loop for each episode:
        Choose A from S, epsilon-greedily
        Loop for each step of the episode:
            Take action A, observe R, S'
            Choose A' from S', epsilon-greedily
            q(S, A)  <-  q(S, A) + alpha [ R + gamma q(S', A') - q(S, A) ]
            S  <-  S',  A  <-  A'

    Source: S&B section 6.4.
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
    """Learn q as Sarsa does, without the luck of the next draw.

    Loop for each step of each episode:
        Choose A from S, epsilon-greedily; take it, observe R, S'
        q(S, A)  <-  q(S, A) + alpha [ R + gamma sum_a pi(a | S') q(S', a) - q(S, A) ]
        S  <-  S'

    Source: S&B section 6.6, eq. 6.9.
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
    """Learn q* while doing something else: off-policy, as the best action is assumed.

    Loop for each step of each episode:
        Choose A from S, epsilon-greedily; take it, observe R, S'
        q(S, A)  <-  q(S, A) + alpha [ R + gamma max_a q(S', a) - q(S, A) ]
        S  <-  S'

    Source: S&B section 6.5, eq. 6.8; Watkins (1989).
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
    """R_{t+1} + gamma q(S_{t+1}, A_{t+1}): the worth of the action taken next."""
    return reward + discount * next_action_values[next_action]


def expected_sarsa_target(
    reward: Scalar,
    discount: Scalar,
    next_action_values: Float[Array, "A"],
    next_policy: Float[Array, "A"],
) -> Scalar:
    """R_{t+1} + gamma sum_a pi(a | S_{t+1}) q(S_{t+1}, a): the average action."""
    return reward + discount * (next_policy * next_action_values).sum(-1)


def q_learning_target(
    reward: Scalar,
    discount: Scalar,
    next_action_values: Float[Array, "A"],
    available: Bool[Array, "A"],
) -> Scalar:
    """R_{t+1} + gamma max_a q(S_{t+1}, a): the worth of the best available action."""
    # From -inf, not from 0: every available action may be worth less than nothing.
    best = next_action_values.max(-1, where=available, initial=-np.inf)
    return reward + discount * best


def learn_many(
    rng: np.random.Generator,
    mdp: MDP,
    config: ControlConfig,
    algorithm: ControlAlgorithm,
    num_learners: int,
) -> Learned:
    """Many learners, each by itself: `Learned` with an axis of learners before all.

    The i-th is `algorithm(rng.spawn(num_learners)[i], mdp, config)`. Sarsa, expected
    Sarsa and Q-learning are compiled, and learn hundreds of times faster so.

    Raises:
        ValueError: there are no learners.
    """
    if num_learners < 1:
        raise ValueError(f"num_learners must be at least 1, got {num_learners}")
    # Imported here, as it imports jax.
    from mdp.fast import control as fast_control

    if algorithm in fast_control.ALGORITHMS:
        return fast_control.learn_many(rng, mdp, config, algorithm, num_learners)
    learners = [algorithm(child, mdp, config) for child in rng.spawn(num_learners)]
    return Learned(*map(np.stack, zip(*learners, strict=True)))
