"""Finite Markov decision processes: the first floor, where every answer is exact.

An agent in state S_t takes action A_t, earns R_{t+1}, and arrives in S_{t+1}. What
should it do? If the model p(s', r | s, a) is known and finite, this can be computed.

    >>> import mdp
    >>> lake = mdp.worlds.frozen_lake()
    >>> solution = mdp.value_iteration(lake)
    >>> round(float(solution.values[0]), 6)  # 14/17
    0.823529

Read in this order; each file uses only files above it:

    checks.py      checks of the numbers that a caller hands over
    model.py       MDP: p(s', r | s, a) as a table of outcomes; its two constructors
    bellman.py     the equations: returns, backups, greedy policies
    evaluation.py  the exact values of a policy by a linear solve
    planning.py    value iteration, policy iteration, and a mixture of both
    sampling.py    steps and episodes drawn from the model
    configs.py     step sizes, exploration, numbers of episodes and steps
    prediction.py  Monte Carlo, TD(0), n-step TD, TD(lambda): learn a policy's values
    control.py     Monte Carlo, Sarsa, expected Sarsa, Q-learning: learn to act
    bandits.py     one state: ways to explore, and the first policy gradient
    worlds/        the toy worlds, each with its source and its exact answer
    looks.py       a colour, a dash and a marker for each series of a picture
    diagrams.py    boxes and arrows: the loop of agent and environment
    plots.py       values, policies, learning curves and animations as pictures
    interactive.py pictures with sliders, in a notebook
    gym.py         conversion to and from Gymnasium's environments
    exercises.py   check(my_function, "discounted-returns"): write the book yourself

Two rooms stand beside the book:

    interface/     files, configs, progress bars and command lines for all packages
    fast/          compiled solvers and learners: `solve_small`, `stack`, `solve_large`
                   and `learn_many`
    __main__.py    the command line: `python -m mdp` lists, solves and learns the worlds

Words in the code, symbols in the docstrings:

    S, A                 num_states, num_actions     states and actions, numbered from 0
    p(s', r | s, a)      probs, next_states, rewards       [S, A, B], B outcomes a pair
    T(s' | s, a)         transitions                       [S, A, S]
    r(s, a)              expected_rewards                  [S, A]
    gamma, 0 on ending   discounts                         [S, A, B]
    v, q                 values, action_values             [S], [S, A]
    pi                   policy                            [S, A], rows sum to 1
    G_t                  returns                           [T]

Time has one index everywhere: `rewards[t]` is R_{t+1}, the reward of the action at t.

Source: Sutton & Barto (2018), *Reinforcement Learning: An Introduction*, 2nd edition,
chapters 2 to 7 and 12.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdp import worlds
    from mdp.bandits import (
        BanditConfig,
        GradientBanditConfig,
        Played,
        epsilon_greedy_bandit,
        gradient_bandit,
        gradient_bandit_step,
        pull,
        softmax,
        ten_armed_testbed,
        ucb_bandit,
        ucb_scores,
    )
    from mdp.bellman import (
        action_values,
        bellman_residual,
        best_actions,
        discounted_returns,
        expectation_backup,
        greedy_actions,
        greedy_policy,
        optimality_backup,
        soft_backup,
        state_values,
        uniform_policy,
    )
    from mdp.configs import ControlConfig, PredictionConfig, schedule
    from mdp.control import (
        Learned,
        expected_sarsa,
        expected_sarsa_target,
        monte_carlo_control,
        q_learning,
        q_learning_target,
        sarsa,
        sarsa_target,
    )
    from mdp.evaluation import bellman_system, evaluate, reachable
    from mdp.model import MDP, from_arrays, from_outcomes, validate
    from mdp.planning import (
        Solution,
        modified_policy_iteration,
        policy_iteration,
        value_iteration,
        value_iteration_in_place,
    )
    from mdp.prediction import (
        Predicted,
        first_visits,
        lambda_returns,
        learn_from_batch,
        monte_carlo,
        monte_carlo_update,
        n_step_td,
        n_step_td_update,
        td_lambda,
        td_lambda_update,
        td_zero,
        td_zero_update,
    )
    from mdp.sampling import (
        Episode,
        Step,
        draw,
        episode_returns,
        epsilon_greedy,
        sample_episode,
        take_step,
    )

__all__ = [
    "MDP",
    "BanditConfig",
    "ControlConfig",
    "Episode",
    "GradientBanditConfig",
    "Learned",
    "Played",
    "Predicted",
    "PredictionConfig",
    "Solution",
    "Step",
    "action_values",
    "bellman_residual",
    "bellman_system",
    "best_actions",
    "discounted_returns",
    "draw",
    "episode_returns",
    "epsilon_greedy",
    "epsilon_greedy_bandit",
    "evaluate",
    "expectation_backup",
    "expected_sarsa",
    "expected_sarsa_target",
    "first_visits",
    "from_arrays",
    "from_outcomes",
    "gradient_bandit",
    "gradient_bandit_step",
    "greedy_actions",
    "greedy_policy",
    "lambda_returns",
    "learn_from_batch",
    "learn_many",
    "modified_policy_iteration",
    "monte_carlo",
    "monte_carlo_control",
    "monte_carlo_update",
    "n_step_td",
    "n_step_td_update",
    "optimality_backup",
    "policy_iteration",
    "pull",
    "q_learning",
    "q_learning_target",
    "reachable",
    "sample_episode",
    "sarsa",
    "sarsa_target",
    "schedule",
    "soft_backup",
    "softmax",
    "solve_large",
    "solve_small",
    "stack",
    "state_values",
    "take_step",
    "td_lambda",
    "td_lambda_update",
    "td_zero",
    "td_zero_update",
    "ten_armed_testbed",
    "ucb_bandit",
    "ucb_scores",
    "uniform_policy",
    "validate",
    "value_iteration",
    "value_iteration_in_place",
    "worlds",
]

# The exported names by their files; numpy and the book take a while to import.
_FILES = {
    "bandits": (
        "BanditConfig GradientBanditConfig Played epsilon_greedy_bandit "
        "gradient_bandit gradient_bandit_step pull softmax ten_armed_testbed "
        "ucb_bandit ucb_scores"
    ),
    "bellman": (
        "action_values bellman_residual best_actions discounted_returns "
        "expectation_backup greedy_actions greedy_policy optimality_backup "
        "soft_backup state_values uniform_policy"
    ),
    "configs": ("ControlConfig PredictionConfig schedule"),
    "control": (
        "Learned expected_sarsa expected_sarsa_target monte_carlo_control "
        "q_learning q_learning_target sarsa sarsa_target"
    ),
    "evaluation": ("bellman_system evaluate reachable"),
    "model": ("MDP from_arrays from_outcomes validate"),
    "planning": (
        "Solution modified_policy_iteration policy_iteration value_iteration "
        "value_iteration_in_place"
    ),
    "prediction": (
        "Predicted first_visits lambda_returns learn_from_batch monte_carlo "
        "monte_carlo_update n_step_td n_step_td_update td_lambda td_lambda_update "
        "td_zero td_zero_update"
    ),
    "sampling": (
        "Episode Step draw episode_returns epsilon_greedy sample_episode take_step"
    ),
    "fast.control": ("learn_many"),
    "fast.large": ("solve_large"),
    "fast.small": ("solve_small stack"),
}
_FILE_OF = {name: file for file, names in _FILES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name, or a file of the book, when it is first used."""
    if name in _FILE_OF:
        found = getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
    elif name in ("checks", "worlds") or name in _FILES:
        found = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, those that are imported when first used among them."""
    return __all__
