"""Bandits: k arms and a single state, where the agent must explore and exploit.

    action values    Q(A)  <-  Q(A) + alpha [ R - Q(A) ],   then choose by Q:
        epsilon-greedy    the best arm, or with probability epsilon any
        optimistic        the best arm, from a Q that begins too high
        UCB               argmax_a  Q(a) + c sqrt( ln t / N(a) )
    preferences      H(a)  <-  H(a) + alpha (R - baseline) ( [a = A] - pi(a) ),
        gradient          then draw from pi = softmax(H)

The last one learns a policy and no values. It is stochastic gradient ascent on the
expected reward, and the ancestor of all algorithms on the two floors above: REINFORCE
is the same line for many states, and a language model is tuned by it, too.

Every function here plays many runs side by side, each with arms of its own. Only an
average over runs shows which algorithm is better.

Source: Sutton & Barto (2018), chapter 2.  Shapes: N runs, A arms, T steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mdp.checks import CheckedConfig, require_range
from mdp.configs import schedule
from mdp.sampling import epsilon_greedy

Estimates = Float[np.ndarray, "N A"]
Counts = Int[np.ndarray, "N A"]


@dataclass(frozen=True)
class BanditConfig(CheckedConfig):
    """Numbers of the algorithms with action values: epsilon-greedy and UCB."""

    num_steps: int = 1000
    step_size: float = 1.0  # alpha, at the first pull of an arm
    step_size_decay: float = 1.0  # alpha shrinks as 1 / n^decay: with 1, Q averages
    exploration: float = 0.1  # epsilon-greedy: epsilon
    initial_value: float = 0.0  # Q of every arm at the beginning; optimistic if high
    confidence: float = 2.0  # UCB: c, the weight of the uncertainty

    def __post_init__(self) -> None:
        """Raise ValueError at the first number that is out of range."""
        super().__post_init__()
        require_range(self, 1, np.inf, "num_steps")
        require_range(self, 0, 1, "step_size", "exploration")
        require_range(self, 0, np.inf, "step_size_decay", "confidence")


@dataclass(frozen=True)
class GradientBanditConfig(CheckedConfig):
    """Numbers of the gradient bandit, which learns preferences."""

    num_steps: int = 1000
    step_size: float = 0.1  # alpha
    baseline: bool = True  # compare a reward with the average of earlier ones?

    def __post_init__(self) -> None:
        """Raise ValueError at the first number that is out of range."""
        super().__post_init__()
        require_range(self, 1, np.inf, "num_steps")
        require_range(self, 0, np.inf, "step_size")


DEFAULT = BanditConfig()
GRADIENT_DEFAULT = GradientBanditConfig()


class Played(NamedTuple):
    """The history of many runs, and what each has learned in the end."""

    actions: Int[np.ndarray, "N T"]  # A_t
    rewards: Float[np.ndarray, "N T"]  # R_t, the reward of the pull at t
    optimal: Bool[np.ndarray, "N T"]  # True where A_t was the best arm
    estimates: Float[np.ndarray, "N A"]  # Q, or H for the gradient bandit


def ten_armed_testbed(
    rng: np.random.Generator,
    num_runs: int = 2000,
    num_arms: int = 10,
    mean: float = 0.0,
) -> Float[np.ndarray, "N A"]:
    """Return the expected reward of each arm in each run, drawn from N(mean, 1).

    A pull of arm a then earns R ~ N(q*(a), 1). The best of ten arms has q* = mean +
    1.5388 on average. Source: Sutton & Barto (2018), section 2.3; figure 2.5 uses mean
    4.
    """
    return rng.normal(mean, 1.0, (num_runs, num_arms))


def epsilon_greedy_bandit(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: BanditConfig = DEFAULT,
) -> Played:
    """Play epsilon-greedily: the arm with the largest estimate, or at times any arm.

    With `exploration` 0, `initial_value` 5 and a constant step size of 0.1 this is the
    optimistic algorithm: every arm it tries falls below 5, so it soon has tried all.
    Source: Sutton & Barto (2018), section 2.4, a simple bandit algorithm; section 2.6
    for optimistic initial values.
    """
    available = np.ones(arms.shape, bool)

    def policy(estimates: Estimates, counts: Counts, t: int) -> Estimates:
        return epsilon_greedy(estimates, available, config.exploration)

    return _play_by_values(rng, arms, config, policy)


def ucb_bandit(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: BanditConfig = DEFAULT,
) -> Played:
    """Play by UCB: the arm with the largest upper confidence bound.

    Source: Sutton & Barto (2018), section 2.7.
    """

    def policy(estimates: Estimates, counts: Counts, t: int) -> Estimates:
        scores = ucb_scores(estimates, counts, t, config.confidence)
        best = scores == scores.max(-1, keepdims=True)
        return best / best.sum(-1, keepdims=True)

    return _play_by_values(rng, arms, config, policy)


def gradient_bandit(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: GradientBanditConfig = GRADIENT_DEFAULT,
) -> Played:
    """Play by softmax(H), and learn the preferences H by stochastic gradient ascent.

    The baseline is the average of the earlier rewards. At the first step it is the
    reward itself, so that this step changes nothing.
    Source: Sutton & Barto (2018), section 2.8.
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
    """Return the upper confidence bound of each arm; infinite if N(a) = 0.

        Q(a) + c sqrt( ln t / N(a) )

    N(a) counts the pulls of a before this one, which is the t-th of all.
    Source: Sutton & Barto (2018), eq. 2.10.
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
    """Return the preferences after a pull: an arm above the baseline gains.

        H(a)  <-  H(a) + alpha (R - baseline) ( [a = A] - pi(a) ),   pi = softmax(H)

    On average over A and R the step is alpha times the gradient of the expected reward,
    for any baseline that does not depend on A. Source: Sutton & Barto (2018), eq. 2.12.
    """
    num_arms = preferences.shape[-1]
    chosen = actions[..., None] == np.arange(num_arms)
    advantages = (rewards - baseline)[..., None]
    return preferences + step_size * advantages * (chosen - softmax(preferences))


def softmax(preferences: Float[np.ndarray, "*runs A"]) -> Float[np.ndarray, "*runs A"]:
    """Return pi(a) = exp H(a) / sum_b exp H(b). Source: S&B (2018), eq. 2.11."""
    # Only differences matter, and exp of a large number overflows.
    weights = np.exp(preferences - preferences.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def pull(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    policy: Float[np.ndarray, "N A"],
) -> tuple[Int[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """Return an arm A drawn from the policy of each run, and R ~ N(q*(A), 1)."""
    ends = policy.cumsum(-1)
    points = rng.random((len(arms), 1)) * ends[:, -1:]
    actions = (ends <= points).sum(-1)
    return actions, rng.normal(arms[np.arange(len(arms)), actions], 1.0)


def _play_by_values(
    rng: np.random.Generator,
    arms: Float[np.ndarray, "N A"],
    config: BanditConfig,
    policy: Callable[[Estimates, Counts, int], Estimates],
) -> Played:
    """Play by a policy of the estimates Q and the counts N, and learn Q.

        Q(A)  <-  Q(A) + alpha [ R - Q(A) ]

    Source: Sutton & Barto (2018), eq. 2.5.
    """
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


def _played(
    arms: Float[np.ndarray, "N A"],
    history: list[tuple[Int[np.ndarray, "N"], Float[np.ndarray, "N"]]],
    estimates: Float[np.ndarray, "N A"],
) -> Played:
    """Return the history with runs before steps, and where the best arm was pulled."""
    actions, rewards = (np.stack(field, axis=1) for field in zip(*history, strict=True))
    return Played(actions, rewards, actions == arms.argmax(-1)[:, None], estimates)
