"""Expert iteration, against a choice and a gradient written out."""

import pytest

from lm_bandit.alternatives import expert_iteration
from lm_bandit.alternatives.config import ExpertConfig
from tests.lm_bandit.alternatives.conftest import BETA, assert_same_step, descending
from tests.lm_bandit.oracles import summed_log_prob_gradient


def test_it_imitates_the_best_of_each_group(short_run, facts):
    """The best by r - beta log(pi / pi_ref); it leads towards the optimum."""
    config = descending(ExpertConfig, 0.2)(best_of=4)
    step, policy, pulls, share = short_run(expert_iteration.train, config)
    earned = [
        (score - BETA * log_ratio, prompt, completion)
        for prompt, completion, score, log_ratio in facts(policy, pulls)
    ]
    groups = [earned[i : i + 4] for i in range(0, 32, 4)]
    best = [max(group, key=lambda pull: pull[0]) for group in groups]
    expected = summed_log_prob_gradient(policy, [(0.2 / 8, x, y) for _, x, y in best])
    assert_same_step(step, expected)
    assert 0.6 < share < 1.0


def test_groups_that_do_not_come_out_even_are_refused():
    with pytest.raises(ValueError, match="best_of must divide pulls = 64, got 7"):
        ExpertConfig(best_of=7)
