"""The own optimum of each method, and the two parts of a regret."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.alternatives import comparison, results
from lm_bandit.alternatives.comparison import MethodComparison, Runs
from lm_bandit.alternatives.config import GRPOConfig, method_configs, own_config
from lm_bandit.alternatives.starts import Start
from lm_bandit.alternatives.targets import own_optimum
from lm_bandit.config import RLHFConfig
from lm_bandit.oracle import exact
from lm_bandit.oracle.exact import LogProbs, Problem, Value
from lm_bandit.oracle.prefixes import fixed_point_by_prefix
from tests.lm_bandit import inputs

BUDGET = {"num_updates": 10, "pulls": 8}
CONFIGS = method_configs(RLHFConfig(**BUDGET))
GRPO = GRPOConfig(**BUDGET)


@pytest.fixture(scope="module")
def posed():
    problem = inputs.problem(np.random.default_rng(1), num_ended=7, num_cut_off=8)
    return problem, exact.policy_value(problem, exact.optimum(problem))


@pytest.mark.parametrize("name", CONFIGS)
def test_methods_lead_to_the_optimum_but_for_grpo_and_dpo_on_few_pairs(name, posed):
    problem, best = posed
    config = replace(CONFIGS[name], num_updates=1) if name == "DPO" else CONFIGS[name]
    end = own_optimum(problem, config, best)
    endless = own_optimum(problem, config, best, endless=True)
    less = 0.01
    assert (end.objective < best.objective - less) == (name in ("GRPO", "DPO"))
    assert (endless.objective < best.objective - less) == (name == "GRPO")
    if name not in ("GRPO", "DPO"):
        assert end == best


@pytest.mark.parametrize(
    "bend",
    [
        {"kl_target": 2.0},
        {"reward_scaling": "scale"},
        {"entropy_weight": 0.1},
        {"pretraining_weight": 1.0},
        {"view": "token", "over_tokens": "sequence_mean"},
    ],
    ids="".join,
)
def test_where_ppo_bent_by_a_setting_leads_is_not_known(bend, posed):
    assert own_optimum(posed[0], replace(CONFIGS["PPO"], **bend), posed[1]) is None


def test_where_a_method_of_ones_own_leads_is_not_known(posed):
    assert own_optimum(posed[0], own_config(CONFIGS["PPO"]), posed[1]) is None


def test_grpo_leads_elsewhere_if_its_budget_sees_rare_completions():
    """Of three completions, the best has probability 1e-6; 80 are pulled."""
    reference = np.log([[0.5, 1e-6, 0.4]]), np.log([[0.1 - 1e-6]])
    rewards = np.array([[0.2, 1.0, 0.5]])
    problem = Problem(LogProbs(*reference), rewards, rewards, 0.1, 0.0)
    best = exact.policy_value(problem, exact.optimum(problem))
    end, endless = (own_optimum(problem, GRPO, best, x) for x in (False, True))
    assert end.kl < 1.0 < endless.kl
    assert endless.objective < end.objective - 0.1
    # Without the rare one it is the same problem from the start.
    seen = np.log([[0.5, 0.4]]), reference[1]
    rewards = rewards[:, ::2]
    small = Problem(LogProbs(*seen), rewards, rewards, 0.1, 0.0)
    alone = own_optimum(small, GRPO, best, endless=True)
    assert_allclose(end, alone, atol=1e-5)


def test_grpos_mean_of_the_other_rewards_is_that_of_large_groups(posed):
    problem, best = posed
    plain = replace(GRPO, divide_by_deviation=False)
    found = [
        own_optimum(problem, replace(plain, leave_out_own=others), best, endless=True)
        for others in (True, False)
    ]
    large = exact.policy_value(problem, fixed_point_by_prefix(problem, False))
    assert_allclose(found[0], large, rtol=1e-6)
    assert found[1].kl < large.kl - 0.01  # a mean with the own reward: larger beta


def test_a_budget_that_reaches_no_ended_completion_leads_nowhere_known():
    reference = LogProbs(np.log([[1e-6, 1e-6]]), np.log([[1.0 - 2e-6]]))
    rewards = np.array([[0.2, 1.0]])
    problem = Problem(reference, rewards, rewards, 0.1, 0.0)
    assert own_optimum(problem, GRPO, Value(0.0, 0.0, 0.0, 0.0)) is None


def value(objective):
    return Value(0.0, objective, 0.0, objective)


def start(low, own, high):
    ends = {"GRPO": value(own)}
    return Start(value(low), value(high), [], [(1, value(low))], ends, ends)


@pytest.mark.parametrize("count", [3, 4])
def test_the_parts_of_a_regret_add_up_to_it(count):
    """Every start has another scale; medians of the parts alone would not add up."""
    rng = np.random.default_rng(count)
    starts = [start(low, low + own, low + 2.0) for low, own in rng.random((count, 2))]
    paths = [[value(j)] for j in rng.normal(0.5, 0.7, count)]
    runs = {
        name: Runs(GRPO, (100,), paths, [""] * count) for name in ("GRPO", "my own")
    }
    compared = MethodComparison(tuple(range(count)), None, starts, runs)
    shares = comparison.shares(compared, "GRPO")[:, -1]
    for begun, path, share, parts in zip(
        starts, paths, shares, comparison.splits(compared, "GRPO"), strict=True
    ):
        assert_allclose(sum(parts), 1.0 - share, rtol=1e-9)
        away = begun.optimum.objective - begun.own_optima["GRPO"].objective
        assert_allclose(2.0 * parts.another_target, away, rtol=1e-9)
        left = begun.own_optima["GRPO"].objective - path[0].objective
        assert_allclose(2.0 * parts.not_there_yet, left, rtol=1e-9)
    found = comparison.split_of_median(compared, "GRPO")
    assert_allclose(sum(found), 1.0 - np.median(shares), rtol=1e-9)
    shown = results.method_row(compared, "GRPO", "1")
    way, _, away, left = (float(cell[:-1]) for cell in shown[1:5])
    assert abs(way + away + left - 100.0) < 0.11
    assert results.method_row(compared, "my own", "1")[3:5] == ("-", "-")
