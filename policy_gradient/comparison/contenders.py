"""Who takes part in a comparison, and how each is brought to one and the same form.

    learn(seed, world, checkpoints)  ->  the policies [checkpoints, S, A]

That is all there is to an algorithm of your own: a function that says by what policy
it acts after so many steps in the world. Those of this book are here in the same form,
only that they learn for all seeds side by side:

    q_learning, sarsa      epsilon-greedy for q (S&B sections 6.4 and 6.5)
    reinforce              without a baseline (S&B section 13.3)
    reinforce_baseline     with a learned one, v (S&B section 13.4)
    actor_critic           the critic bootstraps (S&B section 13.5)
    ppo                    the clipped surrogate (Schulman et al. 2017)

Each is judged twice: by the policy that it acts by (sampling), and by the one that
takes the likeliest actions of that (greedy).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

import mdp
from mdp import MDP, ControlConfig
from mdp.checks import require
from mdp.fast.control import learn_by_steps
from policy_gradient import actor_critic, ppo, reinforce
from policy_gradient.comparison.seeds import train_many
from policy_gradient.config import ActorCriticConfig, PPOConfig, ReinforceConfig

# A user's policy may have been learned in float32.
ROUNDING = 1e-6

UserAlgorithm = Callable[[int, MDP, Sequence[int]], Float[np.ndarray, "C S A"]]


class Budget(NamedTuple):
    """What all get the same of."""

    checkpoints: tuple[int, ...]  # rising numbers of environment steps
    time_limit: int  # steps after which an episode is cut off

    @property
    def steps(self) -> int:
        """In all, of one run."""
        return self.checkpoints[-1]


class Runs(NamedTuple):
    """What the runs of one algorithm in one world came to."""

    sampling: Float[np.ndarray, "n C S A"]  # by which it acts; nan once it diverged
    greedy: Float[np.ndarray, "n C S A"]
    diverged: list[str]  # when, if it did: "update 12"; or else ""


@dataclass(frozen=True)
class Contender:
    """An algorithm by its name, and how it learns.

    `learn(seeds, world, budget, configs, report)` returns the runs under each config;
    `report` is called with the environment steps that all runs have done.
    """

    name: str
    learn: Callable[..., list[Runs]]
    config: Any = None


def contender(name: str, function: UserAlgorithm) -> Contender:
    """A function of the user's, as one of the contenders."""
    return Contender(name, partial(_by_function, name, function))


def _by_values(algorithm, seeds, world, budget, configs, report) -> list[Runs]:
    """Sarsa and Q-learning, one config after the other."""
    runs = []
    for nth, config in enumerate(configs):
        q, num_episodes = learn_by_steps(
            [np.random.default_rng(seed) for seed in seeds],
            world,
            replace(config, max_steps=budget.time_limit),
            algorithm,
            budget.checkpoints,
            lambda done, nth=nth: report((nth * budget.steps + done) / len(configs)),
        )
        exploration = mdp.schedule(
            config.exploration, config.exploration_decay, 1 + num_episodes
        )[..., None, None]
        available = np.broadcast_to(world.available, q.shape)
        sampling = mdp.epsilon_greedy(q, available, exploration)
        runs.append(_with_greedy(world, sampling, q, [""] * len(seeds)))
    return runs


def _by_gradient(module, seeds, world, budget, configs, report) -> list[Runs]:
    """Any of the three parallel files: all seeds of all configs in one `vmap`."""
    configs = [_fit(config, budget) for config in configs]
    stacked = jax.tree.map(lambda *values: np.repeat(values, len(seeds)), *configs)
    trained = train_many(
        jax.vmap(jax.random.key)(np.tile(seeds, len(configs))),
        stacked,
        lambda config: module.learner(world, config),
        np.array(budget.checkpoints),
        budget.time_limit,
        lambda done, _: report(float(done)),
    )
    history = trained.history
    sound = np.isfinite(history.loss) & np.isfinite(history.gradient_norm)
    diverged = []
    for policies, is_sound, steps in zip(
        trained.policies, sound, history.steps, strict=True
    ):
        last = is_sound.argmin()
        stopped = not is_sound.all() and steps[last] <= budget.steps
        if stopped:
            policies[np.array(budget.checkpoints) >= steps[last]] = np.nan
        diverged.append(f"update {last + 1}" if stopped else "")
    parts = [slice(i, i + len(seeds)) for i in range(0, len(diverged), len(seeds))]
    policies = trained.policies
    return [
        _with_greedy(world, policies[part], policies[part], diverged[part])
        for part in parts
    ]


def _fit(config: Any, budget: Budget) -> Any:
    """The config with the time limit of all, and PPO's step size falling in time."""
    config = replace(config, time_limit=budget.time_limit)
    if isinstance(config, PPOConfig):
        batch = config.num_environments * config.num_steps
        config = replace(config, num_updates=max(1, budget.steps // batch))
    return config


def _by_function(name, function, seeds, world, budget, configs, report) -> list[Runs]:
    """An algorithm of the user's, seed by seed."""
    tables, diverged = [], []
    for nth, seed in enumerate(seeds):
        who = f"{name}, seed {seed}"
        policies = call(who, function, seed, world, budget.checkpoints)
        try:
            policies = np.array(policies, float)
        except (TypeError, ValueError):
            raise ValueError(f"{who}: policies must be an array of numbers") from None
        diverged.append(_check_policies(who, policies, world, budget))
        tables.append(policies)
        report(budget.steps * (nth + 1) / len(seeds))
    policies = np.stack(tables)
    return [_with_greedy(world, policies, policies, diverged)]


def call(who: str, function: Callable, *args: Any) -> Any:
    """What a function of the user's returns; whatever goes wrong is told in one line.

    The error itself, with the place where it happened, is the cause of what is raised.
    """
    try:
        return function(*args)
    except Exception as error:
        raise ValueError(f"{who} failed: {type(error).__name__}: {error}") from error


def _check_policies(who: str, policies, world: MDP, budget: Budget) -> str:
    """Raise unless the tables are policies; when they ceased to be finite, if ever."""
    expected = (len(budget.checkpoints), *world.available.shape)
    if policies.shape != expected:
        raise ValueError(
            f"{who}: policies must have shape [checkpoints, S, A] = {expected}, "
            f"got {policies.shape}"
        )
    finite = np.isfinite(policies).all((1, 2))
    stop = len(finite) if finite.all() else finite.argmin()
    policies[stop:] = np.nan
    for nth, policy in enumerate(policies[:stop]):
        what = f"{who}: policies[{nth}]"
        totals = policy.sum(-1)
        require(policy >= 0, what, "s a", "be at least 0", policy)
        require(abs(totals - 1) < ROUNDING, what, "s", "sum to 1", totals)
        fits = world.available | (policy == 0)
        require(fits, what, "s a", "be 0: no such move", policy)
    return "" if finite.all() else f"step {budget.checkpoints[stop]}"


def _with_greedy(world: MDP, sampling, preferred, diverged: list[str]) -> Runs:
    """The runs, and what is greedy for the q, or the pi, of each; ties are split."""
    available = np.broadcast_to(world.available, preferred.shape)
    with np.errstate(invalid="ignore"):  # of a run that diverged, nan stays nan
        greedy = mdp.epsilon_greedy(preferred, available, exploration=0.0)
    return Runs(sampling, greedy, diverged)


BUILT_IN = {
    made.name: made
    for made in (
        Contender("q_learning", partial(_by_values, mdp.q_learning), ControlConfig()),
        Contender("sarsa", partial(_by_values, mdp.sarsa), ControlConfig()),
        Contender(
            "reinforce",
            partial(_by_gradient, reinforce),
            ReinforceConfig(baseline="none"),
        ),
        Contender(
            "reinforce_baseline",
            partial(_by_gradient, reinforce),
            ReinforceConfig(baseline="value"),
        ),
        Contender(
            "actor_critic", partial(_by_gradient, actor_critic), ActorCriticConfig()
        ),
        Contender("ppo", partial(_by_gradient, ppo), PPOConfig()),
    )
}
