"""Prediction: learn the values of a policy from episodes that follow it.

    v(S_t)  <-  v(S_t) + alpha [ target - v(S_t) ]

    Monte Carlo     target  =  R_{t+1} + gamma R_{t+2} + gamma^2 R_{t+3} + ...   (G_t)
    TD(0)           R_{t+1} + gamma v(S_{t+1})
    n-step TD       R_{t+1} + ... + gamma^{n-1} R_{t+n} + gamma^n v(S_{t+n})
    TD(lambda)      the n-step targets of every n, weighted by (1 - lambda) lambda^{n-1}

Monte Carlo waits for the end of the episode and uses only its rewards. The others use
an estimate in place of the later rewards, which is called bootstrapping: TD(0) does so
after one step. An ending has discount 0, so that nothing after it counts. Where a time
limit cut the episode off, all of them bootstrap, Monte Carlo too.

Each algorithm has two functions. One learns from one episode (`..._update`). The other
follows a policy through many episodes and keeps a history.

Source: Sutton & Barto (2018), sections 5.1, 6.1, 7.1 and 12.2.
Shapes: S states, A actions, T time steps.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.random import Generator

from mdp.bellman import discounted_returns
from mdp.configs import PredictionConfig, schedule
from mdp.model import MDP
from mdp.sampling import Episode, episode_returns, sample_episode

Policy = Float[np.ndarray, "S A"]
Values = Float[np.ndarray, "S"]  # v(s)
StepSizes = Float[np.ndarray, "T"]  # alpha_t, for each step of an episode
DEFAULT = PredictionConfig()


class Predicted(NamedTuple):
    """The result of a prediction algorithm, and its history."""

    values: Values  # v
    returns: Float[np.ndarray, "episodes"]  # G_0, discounted, of every episode
    lengths: Int[np.ndarray, "episodes"]  # T, the number of steps of every episode
    snapshots: Float[np.ndarray, "episodes+1 S"]  # v before the first, after each


# A function that learns from one episode, with a step size for each of its steps.
Update = Callable[[Values, Episode, StepSizes], Values]


def monte_carlo(
    rng: Generator, mdp: MDP, policy: Policy, config: PredictionConfig = DEFAULT
) -> Predicted:
    """Learn v_pi from whole episodes, by `monte_carlo_update`.

    With step size 1 and decay 1, v(s) is the average of the returns that followed a
    (first) visit to s. Source: Sutton & Barto (2018), section 5.1, first-visit Monte
    Carlo prediction.
    """
    update = partial(monte_carlo_update, first_visit=config.first_visit)
    return _predict(rng, mdp, policy, config, update, config.first_visit)


def td_zero(
    rng: Generator, mdp: MDP, policy: Policy, config: PredictionConfig = DEFAULT
) -> Predicted:
    """Learn v_pi from single steps, by `td_zero_update`.

    Source: Sutton & Barto (2018), section 6.1, tabular TD(0) for estimating v_pi.
    """
    return _predict(rng, mdp, policy, config, td_zero_update)


def n_step_td(
    rng: Generator, mdp: MDP, policy: Policy, config: PredictionConfig = DEFAULT
) -> Predicted:
    """Learn v_pi from n steps at a time, by `n_step_td_update`.

    Source: Sutton & Barto (2018), section 7.1, n-step TD for estimating v_pi.
    """
    update = partial(n_step_td_update, num_steps=config.num_steps)
    return _predict(rng, mdp, policy, config, update)


def td_lambda(
    rng: Generator, mdp: MDP, policy: Policy, config: PredictionConfig = DEFAULT
) -> Predicted:
    """Learn v_pi from all numbers of steps at once, by `td_lambda_update`.

    Source: Sutton & Barto (2018), section 12.2, semi-gradient TD(lambda), on a table.
    """
    update = partial(td_lambda_update, trace_decay=config.trace_decay)
    return _predict(rng, mdp, policy, config, update)


def monte_carlo_update(
    values: Values, episode: Episode, step_sizes: StepSizes, first_visit: bool = False
) -> Values:
    """Return the values after an episode; every state moves towards its return.

        v(S_t)  <-  v(S_t) + alpha_t [ G_t - v(S_t) ],   t = 0, 1, ..., T-1

    With `first_visit`, only where S_t has not occurred before t. If the episode was cut
    off, v(S_T) estimates the rest of the return.
    Source: Sutton & Barto (2018), eq. 6.1; section 5.1 for the first visits.
    """
    returns = episode_returns(episode, rest=values[episode.next_states[-1]])
    values = values.copy()
    first = first_visits(episode.states)
    for t, state in enumerate(episode.states):
        if first_visit and not first[t]:
            continue
        values[state] += step_sizes[t] * (returns[t] - values[state])
    return values


def td_zero_update(values: Values, episode: Episode, step_sizes: StepSizes) -> Values:
    """Return the values after an episode, with a TD(0) update at every step.

        v(S_t)  <-  v(S_t) + alpha_t [ R_{t+1} + gamma v(S_{t+1}) - v(S_t) ]

    Each step uses the values that the steps before it have changed.
    Source: Sutton & Barto (2018), eq. 6.2.
    """
    values = values.copy()
    for step_size, step in zip(step_sizes, zip(*episode, strict=True), strict=True):
        state, _, reward, discount, next_state = step
        target = reward + discount * values[next_state]
        values[state] += step_size * (target - values[state])
    return values


def n_step_td_update(
    values: Values, episode: Episode, step_sizes: StepSizes, num_steps: int
) -> Values:
    """Return the values after an episode; each state moves towards its n-step return.

        v(S_t)  <-  v(S_t) + alpha_t [ G_{t:t+n} - v(S_t) ]
        G_{t:t+n}  =  R_{t+1} + gamma G_{t+1:t+n},   G_{h:h} = v(S_h)

    n = 1 is TD(0), and an n as long as the episode is Monte Carlo. Where the episode
    stops before t + n, the target stops there too.
    Source: Sutton & Barto (2018), eq. 7.1 and 7.2.
    """
    values = values.copy()
    for t, state in enumerate(episode.states):
        window = Episode(*(field[t : t + num_steps] for field in episode))
        target = episode_returns(window, rest=values[window.next_states[-1]])[0]
        values[state] += step_sizes[t] * (target - values[state])
    return values


def td_lambda_update(
    values: Values, episode: Episode, step_sizes: StepSizes, trace_decay: float
) -> Values:
    """Return the values after an episode; every TD error changes all earlier states.

        delta  =  R_{t+1} + gamma v(S_{t+1}) - v(S_t)
        z(s)   <-  gamma lambda z(s)  for all s,   then   z(S_t)  <-  z(S_t) + alpha_t
        v(s)   <-  v(s) + delta z(s)  for all s

    The gamma that shrinks the trace is the discount of the step before. Here the trace
    z includes the step size of each visit; Sutton & Barto multiply by alpha in the last
    line instead. Source: Sutton & Barto (2018), eq. 12.5 to 12.7.
    """
    values, trace = values.copy(), np.zeros_like(values)
    for step_size, step in zip(step_sizes, zip(*episode, strict=True), strict=True):
        state, _, reward, discount, next_state = step
        td_error = reward + discount * values[next_state] - values[state]
        trace[state] += step_size
        values += td_error * trace
        trace *= discount * trace_decay
    return values


def lambda_returns(
    values: Values, episode: Episode, trace_decay: float
) -> Float[np.ndarray, "T"]:
    """Return G^lambda_t for every t, the targets of TD(lambda) in the forward view.

        G^lambda_t = R_{t+1} + gamma [ (1 - lambda) v(S_{t+1}) + lambda G^lambda_{t+1} ]

    At the end G^lambda_T = v(S_T), which counts only if the episode was cut off. With
    lambda = 0 these are the targets of TD(0), with lambda = 1 the returns.
    Source: Sutton & Barto (2018), section 12.1.
    """
    next_values = values[episode.next_states]
    returns = np.zeros_like(episode.rewards)
    following = next_values[-1]
    for t in reversed(range(len(returns))):
        mixed = (1 - trace_decay) * next_values[t] + trace_decay * following
        following = episode.rewards[t] + episode.discounts[t] * mixed
        returns[t] = following
    return returns


def first_visits(states: Int[np.ndarray, "T"]) -> Bool[np.ndarray, "T"]:
    """Return True for each step whose state has not occurred before in the episode."""
    first = np.zeros(len(states), bool)
    first[np.unique(states, return_index=True)[1]] = True
    return first


def learn_from_batch(
    values: Values,
    episodes: Sequence[Episode],
    update: Update,
    step_size: float,
    num_sweeps: int,
) -> Values:
    """Return the values after many sweeps over the same few episodes.

    In each sweep all episodes start from the same values, and their changes are added.
    With a small step size Monte Carlo converges to the average returns in the data, and
    TD(0) to the exact values of the MDP that fits the data best.
    Source: Sutton & Barto (2018), section 6.3, and example 6.4.
    """
    for _ in range(num_sweeps):
        changes = [
            update(values, episode, np.full(len(episode.states), step_size)) - values
            for episode in episodes
        ]
        values = values + sum(changes)
    return values


def _predict(
    rng: Generator,
    mdp: MDP,
    policy: Policy,
    config: PredictionConfig,
    update: Update,
    first_visit: bool = False,
) -> Predicted:
    """Follow the policy, learn from every episode, and keep the history."""
    values = np.full(mdp.num_states, float(config.initial_value))
    counts = np.zeros(mdp.num_states, int)
    returns, lengths, snapshots = [], [], [values]
    for _ in range(config.num_episodes):
        episode = sample_episode(rng, mdp, policy, config.max_steps)
        visits = np.zeros(len(episode.states), int)
        first = first_visits(episode.states)
        for t, state in enumerate(episode.states):
            counts[state] += first[t] or not first_visit
            visits[t] = counts[state]
        step_sizes = schedule(config.step_size, config.step_size_decay, visits)
        values = update(values, episode, step_sizes)
        returns.append(discounted_returns(episode.rewards, episode.discounts)[0])
        lengths.append(len(episode.states))
        snapshots.append(values)
    return Predicted(values, np.array(returns), np.array(lengths), np.array(snapshots))
