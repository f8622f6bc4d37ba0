"""The problem that step 3 of RLHF has to solve, spelled out and solved.

    max_pi  E[r] - beta KL(pi || pi_ref),      pi* = pi_ref exp(r / beta) / Z

It needs the reference and the reward model, and no trained policy: the oracle can work
on it while PPO trains.

Source: Ziegler et al. (2019), eq. 2.
"""

from typing import NamedTuple

import numpy as np

from lm_bandit import bandit
from lm_bandit.config import RLHFConfig
from lm_bandit.oracle import exact, trie
from lm_bandit.reward_table import Reward
from lm_bandit.transformer import Transformer
from lm_bandit.world import World

FRONTIER = np.geomspace(10.0, 0.01, 40)  # values of beta, from strict to lax


class Solution(NamedTuple):
    """All that the oracle knows before step 3."""

    problem: exact.Problem
    policies: dict[str, trie.LogProbs]  # of base, reference and optimum
    values: dict[str, exact.Value]  # of the same
    frontier: list[exact.Value]  # of the optimum for each beta of FRONTIER


def solve(
    world: World,
    base: Transformer,
    reference: Transformer,
    scorer: Reward,
    config: RLHFConfig,
) -> Solution:
    """Enumerate the problem of step 3, and solve it: this needs no trained policy."""
    problem = pose_problem(world, reference, scorer, config)
    policies = {
        "base": trie.policy_log_probs(base, world, config.temperature),
        "reference": problem.reference,
        "optimum": exact.optimum(problem),
    }
    values = {name: exact.policy_value(problem, p) for name, p in policies.items()}
    return Solution(problem, policies, values, exact.frontier(problem, FRONTIER))


def pose_problem(
    world: World, reference: Transformer, scorer: Reward, config: RLHFConfig
) -> exact.Problem:
    """Return the problem that step 3 has to solve, with every completion spelled out.

    Source: Ziegler et al. (2019), eq. 2.
    """
    return exact.Problem(
        reference=trie.policy_log_probs(reference, world, config.temperature),
        gold=bandit.gold_scores(world, trie.ended_completions(world)),
        learned=trie.learned_scores(scorer, world),
        kl_weight=config.kl_weight,
        penalty=config.penalty,
    )
