"""Expert iteration, against a choice and a gradient written out."""

import jax
import optax
import pytest
from numpy.testing import assert_allclose

from lm_bandit.alternatives import expert_iteration
from lm_bandit.alternatives.expert_iteration import ExpertConfig
from tests.lm_bandit.alternatives.conftest import BETA, SETTINGS
from tests.lm_bandit.oracles import summed_log_prob_gradient


class Descent(ExpertConfig):
    """Plain gradient descent: a step is a fifth of the gradient."""

    def optimizer(self):
        return optax.sgd(0.2)


def test_it_imitates_the_best_of_each_group(fixed, second_update, facts, share_reached):
    """The best by r - beta log(pi / pi_ref); it leads towards the optimum."""
    config = Descent(**SETTINGS, num_updates=60, pulls=16, best_of=4)
    key = jax.random.key(0)
    snapshots, history = expert_iteration.train(key, fixed, 3, config)
    step, policy, pulls = second_update(key, snapshots, 16)
    earned = [
        (score - BETA * log_ratio, prompt, completion)
        for prompt, completion, score, log_ratio in facts(policy, pulls)
    ]
    groups = [earned[i : i + 4] for i in range(0, 32, 4)]
    best = [max(group, key=lambda pull: pull[0]) for group in groups]
    expected = summed_log_prob_gradient(policy, [(0.2 / 8, x, y) for _, x, y in best])
    for got, exactly in zip(*map(jax.tree.leaves, (step, expected)), strict=True):
        assert_allclose(got, exactly, rtol=1e-3, atol=2e-5)
    assert 0.6 < share_reached(snapshots, history) < 1.0


def test_groups_that_do_not_come_out_even_are_refused():
    with pytest.raises(ValueError, match="best_of must divide pulls = 64, got 7"):
        ExpertConfig(best_of=7)
