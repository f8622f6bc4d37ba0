"""The own optimum of each method: where following its expected update ends.

    PPO, RLOO, REINFORCE    pi*: their expected update is the gradient of J
    expert iteration        pi*: there all completions rank equal
    online DPO              pi*: every pair's loss is least there
    DPO                     the table that fits a set of pairs (`oracle/pairs.py`)
    GRPO                    its fixed point (`oracle/prefixes.py`)

The regret then has two parts, and the second can be negative:

    J* - J(pi)  =  [ J* - J(own optimum) ]  +  [ J(own optimum) - J(pi) ]
                     another target              not there yet

A run sees only what its budget lets it draw. DPO's set has as many pairs as a run
draws. GRPO's fixed point is that of the completions which SFT is expected to write at
least once in the budget. This matters, because pi / pi_ref = b / (c - q) has no bound:
over *all* completions much of the fixed point lies on completions which SFT hardly ever
writes, and which no run sees. (pi* is not sensitive to them.)

A policy is idealised here as a table: one weight for each completion, or for GRPO one
for each token after each prefix. A transformer that learns from samples is neither.
GRPO's advantages in small groups are means over drawn groups, and so estimates.

Source: Rafailov et al. (2023), section 4, for DPO; derived for GRPO in
`oracle/prefixes.py`.
"""

import numpy as np

from lm_bandit.alternatives.config import DPOConfig, ExpertConfig, GRPOConfig
from lm_bandit.config import RLHFConfig, TuningConfig
from lm_bandit.oracle import exact, pairs
from lm_bandit.oracle.exact import Problem, Value
from lm_bandit.oracle.prefixes import fixed_point_by_prefix

SEED, SETS = 0, 5  # of DPO's pairs and GRPO's groups; sets of pairs, an odd number


def own_optimum(
    problem: Problem, config: TuningConfig, best: Value, endless: bool = False
) -> Value | None:
    """Return the exact value of the policy to which a method leads, if it is known.

    None for a method of the user's, for settings of PPO whose expected update is not
    the gradient of J, and where GRPO's budget reaches no completion that ends. For DPO
    it is the median of a few sets of pairs.
    Source: Rafailov et al. (2023), eq. 4, for pi*; `oracle/prefixes.py` for GRPO.

    Args:
        problem: the reference, the rewards and beta.
        config: the settings of the method, by whose class it is recognised.
        best: the value of pi*.
        endless: whether the budget is endless: all completions and all pairs are seen.
    """
    if isinstance(config, GRPOConfig):
        return _end_of_grpo(problem, config, endless)
    if isinstance(config, DPOConfig) and config.writer == "reference" and not endless:
        return _end_of_dpo(problem, config)
    follows_j = isinstance(config, RLHFConfig) and climbs_the_objective(config)
    return best if follows_j or isinstance(config, (DPOConfig, ExpertConfig)) else None


def _end_of_dpo(problem: Problem, config: DPOConfig) -> Value:
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(SETS):
        drawn = pairs.drawn_pairs(problem, config.num_updates * config.pulls // 2, rng)
        table = pairs.fitted_to_pairs(problem, drawn)
        found.append(exact.policy_value(problem, table))
    return sorted(found, key=lambda value: value.objective)[SETS // 2]


def _end_of_grpo(problem: Problem, config: GRPOConfig, endless: bool) -> Value | None:
    seen = problem
    if not endless:
        seen = exact.within_reach(problem, 1 / (config.num_updates * config.pulls))
    if np.any(seen.reference.ended.max(1) < exact.NEVER / 2):
        return None
    if config.leave_out_own:  # n / (n - 1) of the other advantages
        share = (config.pulls - 1) / config.pulls
        seen = seen._replace(kl_weight=seen.kl_weight * share)
    found = fixed_point_by_prefix(
        seen,
        divide_by_deviation=config.divide_by_deviation,
        sequence_mean=config.over_tokens == "sequence_mean",
        size=config.pulls,
        rng=np.random.default_rng(SEED),
    )
    return exact.policy_value(problem, found)


def climbs_the_objective(config: RLHFConfig) -> bool:
    """Return whether PPO's expected update is 0 at pi*, with these settings.

    At pi* every completion earns the same, r - beta log(pi* / pi_ref) = beta log Z. So
    all advantages are equal, and the expected update is 0. Another beta, another unit
    of the reward, a further term of the loss, or weights of tokens that depend on the
    completion's length lead elsewhere.
    """
    is_plain = config.kl_target is None and config.reward_scaling == "none"
    has_one_term = config.pretraining_weight is None and config.entropy_weight == 0.0
    weighs_evenly = config.view == "completion" or config.over_tokens == "sum"
    return is_plain and has_one_term and weighs_evenly
