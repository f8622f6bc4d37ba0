"""Policy gradients on finite MDPs: learn the policy itself, by gradient ascent on J.

The first floor estimated values and derived a policy from them. Here the policy has
parameters theta: sample what it does, and make actions likelier that did better than
expected. J(theta) and its gradient are also computed exactly, by a linear solve, and
every sampled quantity is compared with them.

    >>> import jax, mdp, policy_gradient as pg
    >>> lake = mdp.worlds.frozen_lake()
    >>> params, history = pg.ppo.train(jax.random.key(0), lake, pg.PPOConfig())
    >>> pg.performance(lake, pg.policy_table(pg.tabular_softmax(lake), params, 16))

Read in this order:

    trajectory.py   the record of what a policy did; a batch of samples to learn from
    objectives.py   score function, surrogates, value loss, entropy, KL
    policies.py     softmax policies: a table, linear, a neural network
    devices.py      several devices, each with a share of every batch
    rollout.py      acting in an MDP, in jax
    exact.py        J(theta) and its gradient, by the linear solve and by the theorem
    advantages.py   returns, TD errors, GAE
    config.py       the settings of the algorithms
    baselines.py    the return to expect, whatever the action
    estimators.py   gradient estimates from one episode
    enumeration.py  all episodes of a small world: exact means and variances
    diagnostics.py  numbers to watch during training
    improvement.py  one gradient step on a batch, or epochs of minibatches
    training.py     the training loop
    reinforce.py    REINFORCE with a baseline
    actor_critic.py actor-critic: one step, n steps (A2C), TD(lambda)
    ppo.py          PPO; a transformer on prompts shares its loss
    comparison/     any algorithms in any worlds: equal budgets, exact regret

On the command line, `python -m policy_gradient compare` runs a comparison.

Words in the code, symbols in the docstrings (those of `mdp`, and):

    log pi(a|s)     log_probs       log-probability of the action taken
    A_t             advantages      how much better than expected
    delta_t         td_errors       R_{t+1} + gamma v(S_{t+1}) - v(S_t)
    lambda          trace_decay     of GAE
    eps             clip            of PPO: the ratio's range is 1 - eps to 1 + eps
    alpha           step_size       of the optimiser

Source: Sutton & Barto (2018), chapter 13; Schulman et al. (2015, 2016, 2017).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policy_gradient import actor_critic, exact, policies, ppo, reinforce
    from policy_gradient.comparison.compare import compare
    from policy_gradient.comparison.seeds import train_many
    from policy_gradient.comparison.summary import summarize
    from policy_gradient.config import ActorCriticConfig, PPOConfig, ReinforceConfig
    from policy_gradient.exact import performance, performance_gradient, performances
    from policy_gradient.policies import (
        Policy,
        linear,
        mlp,
        policy_table,
        tabular_softmax,
    )
    from policy_gradient.trajectory import Batch, Trajectory

# The file of each exported name.
_FILES = {
    "ActorCriticConfig": "config",
    "Batch": "trajectory",
    "PPOConfig": "config",
    "Policy": "policies",
    "ReinforceConfig": "config",
    "Trajectory": "trajectory",
    "actor_critic": "actor_critic",
    "compare": "comparison.compare",
    "exact": "exact",
    "linear": "policies",
    "mlp": "policies",
    "performance": "exact",
    "performance_gradient": "exact",
    "performances": "exact",
    "policies": "policies",
    "policy_table": "policies",
    "ppo": "ppo",
    "reinforce": "reinforce",
    "summarize": "comparison.summary",
    "tabular_softmax": "policies",
    "train_many": "comparison.seeds",
}

__all__ = [
    "ActorCriticConfig",
    "Batch",
    "PPOConfig",
    "Policy",
    "ReinforceConfig",
    "Trajectory",
    "actor_critic",
    "compare",
    "exact",
    "linear",
    "mlp",
    "performance",
    "performance_gradient",
    "performances",
    "policies",
    "policy_table",
    "ppo",
    "reinforce",
    "summarize",
    "tabular_softmax",
    "train_many",
]


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used: jax takes half a second."""
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_FILES[name]}")
    return module if name == _FILES[name] else getattr(module, name)


def __dir__() -> list[str]:
    """Return the exported names."""
    return __all__
