"""Bandits: k arms and a single state. What is left is to explore, and to exploit.

    action values    Q(A)  <-  Q(A) + alpha [ R - Q(A) ],   then choose by Q:
        epsilon-greedy    the best arm, or with probability epsilon any
        optimistic        the best arm, from a Q that begins too high
        UCB               argmax_a  Q(a) + c sqrt( ln t / N(a) )
    preferences      H(a)  <-  H(a) + alpha (R - baseline) ( [a = A] - pi(a) ),
        gradient          then draw from pi = softmax(H)

The last one learns a policy and no values. It is gradient ascent on the expected reward
by samples, and the ancestor of everything on the two floors above this one: REINFORCE
is the same line for many states, and so is the tuning of a language model.

Every function here plays many runs side by side, each with arms of its own, as an
average over runs is what shows which way of playing is better.

Source: Sutton & Barto (2018), chapter 2.  Shapes: N runs, A arms, T steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.configs import schedule
from mdp.sampling import epsilon_greedy


@dataclass(frozen=True)
class BanditConfig:
    """How to play by action values, epsilon-greedily or by UCB."""

    num_steps: int = 1000
    step_size: float = 1.0  # alpha, at the first pull of an arm
    step_size_decay: float = 1.0  # alpha shrinks as 1 / n^decay: with 1, Q averages
    exploration: float = 0.1  # epsilon-greedy: epsilon
    initial_value: float = 0.0  # of Q; optimistic if it is above all rewards
    confidence: float = 2.0  # UCB: c, the weight of not knowing


@dataclass(frozen=True)
class GradientBanditConfig:
    """How to play by preferences."""

    num_steps: int = 1000
    step_size: float = 0.1  # alpha
    baseline: bool = True  # compare a reward with the average of those before it?


DEFAULT = BanditConfig()
GRADIENT_DEFAULT = GradientBanditConfig()


class Played(NamedTuple):
    """What was pulled and earned, and what is believed in the end."""

    actions: Int[np.ndarray, "N T"]  # A_t
    rewards: Float[np.ndarray, "N T"]  # R_t, what the pull at t earned
    optimal: Bool[np.ndarray, "N T"]  # was A_t the best arm?
    estimates: Float[np.ndarray, "N A"]  # Q or, of the gradient bandit, H


def ten_armed_testbed(
    rng: np.random.Generator,
    num_runs: int = 2000,
    num_arms: int = 10,
    mean: float = 0.0,
) -> Float[np.ndarray, "N A"]:
    """What the arms are worth in each run: q*(a) ~ N(mean, 1).

    A pull of arm a then earns R ~ N(q*(a), 1). Of ten arms the best is worth mean +
    1.5388 on average. Source: S&B section 2.3; for figure 2.5 the mean is 4.
    """
    return rng.normal(mean, 1.0, (num_runs, num_arms))


def epsilon_greedy_bandit(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: BanditConfig = DEFAULT,
) -> Played:
    """Pull the arm that seems best, or with probability epsilon any.

    With `exploration` 0, `initial_value` 5 and a constant step size of 0.1 this is the
    optimistic player: disappointed by every arm it tries, it soon has tried them all.
    Source: S&B section 2.4, a simple bandit algorithm; section 2.6 for the optimism.
    """
    available = np.ones(arms.shape, bool)

    def policy(estimates, counts, t):
        return epsilon_greedy(estimates, available, config.exploration)

    return _play_by_values(rng, arms, config, policy)


def ucb_bandit(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: BanditConfig = DEFAULT,
) -> Played:
    """Pull the arm that could be best, given how little is known about it.

    Source: S&B section 2.7.
    """

    def policy(estimates, counts, t):
        scores = ucb_scores(estimates, counts, t, config.confidence)
        best = scores == scores.max(-1, keepdims=True)
        return best / best.sum(-1, keepdims=True)

    return _play_by_values(rng, arms, config, policy)


def gradient_bandit(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: GradientBanditConfig = GRADIENT_DEFAULT,
) -> Played:
    """Learn how much to prefer each arm, and pull by softmax(H).

    The baseline is the average of the rewards before this one; at the first step it is
    that reward itself, from which nothing can be learned yet. Source: S&B section 2.8.
    """
    preferences = np.zeros(arms.shape)
    baseline = np.zeros(len(arms))
    history = []
    for t in range(1, config.num_steps + 1):
        actions, rewards = pull(rng, arms, softmax(preferences))
        if config.baseline and t == 1:
            baseline = rewards
        preferences = gradient_bandit_step(
            preferences, actions, rewards, baseline, config.step_size
        )
        if config.baseline:
            baseline = baseline + (rewards - baseline) / t
        history.append((actions, rewards))
    return _played(arms, history, preferences)


def ucb_scores(
    estimates: Float[np.ndarray, "*runs A"],
    counts: Int[np.ndarray, "*runs A"],
    t: int,
    confidence: float,
) -> Float[np.ndarray, "*runs A"]:
    """How good each arm might be: Q(a) + c sqrt( ln t / N(a) ), infinite if N(a) = 0.

    N(a) counts the pulls of a before this one, the t-th of all. Source: S&B eq. 2.10.
    """
    bonus = confidence * np.sqrt(np.log(t) / np.maximum(counts, 1))
    return np.where(counts == 0, np.inf, estimates + bonus)


def gradient_bandit_step(
    preferences: Float[np.ndarray, "*runs A"],
    actions: Int[np.ndarray, "*runs"],
    rewards: Float[np.ndarray, "*runs"],
    baseline: Float[np.ndarray, "*runs"],
    step_size: float,
) -> Float[np.ndarray, "*runs A"]:
    """The preferences after a pull: for the arm, if it earned more than the baseline.

        H(a)  <-  H(a) + alpha (R - baseline) ( [a = A] - pi(a) ),   pi = softmax(H)

    On average over A and R this is alpha times the gradient of the expected reward,
    whatever the baseline. Source: S&B eq. 2.12.
    """
    num_arms = preferences.shape[-1]
    chosen = actions[..., None] == np.arange(num_arms)
    advantages = (rewards - baseline)[..., None]
    return preferences + step_size * advantages * (chosen - softmax(preferences))


def softmax(preferences: Float[np.ndarray, "*runs A"]) -> Float[np.ndarray, "*runs A"]:
    """pi(a) = exp H(a) / sum_b exp H(b).  S&B eq. 2.11."""
    # Only differences matter, and exp of a large number overflows.
    weights = np.exp(preferences - preferences.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def pull(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    policy: Float[np.ndarray, "N A"],
) -> tuple[Int[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """An arm drawn from the policy of each run, and R ~ N(q*(A), 1)."""
    ends = policy.cumsum(-1)
    points = rng.random((len(arms), 1)) * ends[:, -1:]
    actions = (ends <= points).sum(-1)
    return actions, rng.normal(arms[np.arange(len(arms)), actions], 1.0)


def _play_by_values(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: BanditConfig,
    policy: Callable[..., Float[np.ndarray, "N A"]],
) -> Played:
    """Choose by the estimates Q and the counts N, and learn Q."""
    runs = np.arange(len(arms))
    estimates = np.full(arms.shape, float(config.initial_value))
    counts = np.zeros(arms.shape, int)
    history = []
    for t in range(1, config.num_steps + 1):
        actions, rewards = pull(rng, arms, policy(estimates, counts, t))
        chosen = (runs, actions)
        counts[chosen] += 1
        step_size = schedule(config.step_size, config.step_size_decay, counts[chosen])
        estimates[chosen] += step_size * (rewards - estimates[chosen])
        history.append((actions, rewards))
    return _played(arms, history, estimates)


def _played(arms, history, estimates) -> Played:
    """The history with runs before steps, and whether the best arm was pulled."""
    actions, rewards = (np.stack(field, axis=1) for field in zip(*history, strict=True))
    return Played(actions, rewards, actions == arms.argmax(-1)[:, None], estimates)
