"""Estimates from samples, against the exact values of a world that is enumerated."""

from functools import partial

import jax
import numpy as np
import pytest

from lm_bandit import transformer
from lm_bandit import world as text
from lm_bandit.config import TransformerConfig, TuningConfig
from lm_bandit.oracle import estimates, exact, trie

CONFIG = TuningConfig(kl_weight=0.4, penalty=-2.0)
estimate = partial(estimates.estimate_value, config=CONFIG)


@pytest.mark.slow
def test_estimates_lie_within_their_standard_errors_of_the_truth(
    tiny, fixed, policy, problem
):
    """24 z-scores over 4 seeds: none beyond 4, and their mean square is near 1."""
    log_probs = trie.policy_log_probs(policy, tiny)
    value = exact.policy_value(problem, log_probs)
    truth = value._asdict() | {"kl_k1": value.kl, "kl_k3": value.kl}
    truth["entropy"] = exact.entropy(log_probs)
    del truth["kl"]
    scores = []
    for seed in range(4):
        key, (_, reference, scorer, _) = jax.random.key(seed), fixed
        found = estimate(policy, key, reference, scorer, tiny, count=400)
        for name, exactly in truth.items():
            mean, error = getattr(found, name)
            scores.append((mean - exactly) / error)
        assert found.kl_k3.standard_error < found.kl_k1.standard_error
        assert abs(found.kl_k2.mean - value.kl) > 0.01, "k2 is biased"
    assert np.abs(scores).max() < 4
    assert 0.3 < np.mean(np.square(scores)) < 2.5


def test_the_standard_error_is_that_of_the_spread_within_the_prompts():
    samples = np.array([[1.0, 3.0], [10.0, 10.0]])
    assert estimates.stratified_estimate(samples) == (6.0, pytest.approx(0.5))


@pytest.mark.slow
def test_a_wide_world_has_estimates_where_it_has_no_exact_answer(fixed):
    world = text.wide_world()
    config = TransformerConfig(num_layers=1, num_heads=2, d_model=8)
    size = len(world.vocabulary), world.context
    model = transformer.init(jax.random.key(0), *size, config)
    scorer = fixed.reward_model._replace(trunk=model)
    key = jax.random.key(1)
    found = estimate(model, key, model, scorer, world, count=2)
    assert found.kl_k1 == (0.0, 0.0)
    assert found.entropy.mean > 0
    with pytest.raises(ValueError, match="count must be at least 2"):
        estimate(model, key, model, scorer, world, count=1)
