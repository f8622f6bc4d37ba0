"""Sums taken while the trie is read, against the sums over all completions."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import world as text
from lm_bandit.config import RLHFConfig
from lm_bandit.oracle import exact, streamed, trie
from lm_bandit.oracle.streamed import Models

CONFIG = RLHFConfig(kl_weight=0.4, penalty=-2.0)


@pytest.mark.parametrize(
    ("block", "stem"),
    [
        pytest.param(25, 0, marks=pytest.mark.slow),
        (24, 1),
        pytest.param(1, 2, marks=pytest.mark.slow),
    ],
)
def test_sums_below_stems_of_any_length_are_those_over_all_completions(
    monkeypatch, tiny, policy, fixed, problem, block, stem
):
    """5 words and 3 tokens: below a stem of n tokens are at most 25, 5 or 1 leaves."""
    monkeypatch.setattr(streamed, "BLOCK", block)
    assert streamed.stem_length(5, 3) == stem
    models, betas = Models(policy, fixed.reference, fixed.reward_model), [0.1, 2.0]
    found = streamed.evaluate(models, tiny, CONFIG, betas)
    log_probs = trie.policy_log_probs(policy, tiny)
    assert_allclose(found.value, exact.policy_value(problem, log_probs), rtol=1e-5)
    assert_allclose(found.reverse_kl, exact.kl(problem.reference, log_probs), rtol=1e-5)
    assert_allclose(found.entropy, exact.entropy(log_probs), rtol=1e-5)
    best = exact.policy_value(problem, exact.optimum(problem))
    # Below a stem sums are in float32: r / beta of 80 has an error of 4e-6.
    assert_allclose(found.optimum, best, rtol=1e-5, atol=1e-5)
    others = exact.frontier(problem, np.array(betas))
    assert_allclose(found.frontier, others, rtol=1e-5, atol=1e-5)
    assert found.completions == 2 * 156


@pytest.mark.slow
def test_any_executor_gives_the_same_bytes_and_is_left_open(tiny, policy, fixed):
    models = Models(policy, fixed.reference, fixed.reward_model)
    told = []
    expected = streamed.evaluate(models, tiny, CONFIG)
    with ThreadPoolExecutor(1) as pool:
        found = streamed.evaluate(
            models, tiny, CONFIG, executor=pool, report=lambda *done: told.append(done)
        )
        assert pool.submit(int).result() == 0
    assert found == expected
    assert told == [(1, 2), (2, 2)]


def test_a_world_beyond_any_patience_is_refused(model, scorer):
    with pytest.raises(ValueError, match="at most 200,000,000,000 completions"):
        streamed.evaluate(Models(model, model, scorer), text.wide_world(), CONFIG)


@pytest.mark.parametrize("beta", [0.0, -1.0, np.nan, np.inf])
def test_a_beta_must_be_positive(tiny, model, scorer, beta):
    with pytest.raises(ValueError, match="kl_weights must be positive and finite"):
        streamed.evaluate(Models(model, model, scorer), tiny, CONFIG, [beta])


def test_a_table_of_rewards_is_refused_as_it_lists_all_completions(tiny, model):
    table = trie.reward_table(tiny, lambda prompt, completion: 1.0)
    with pytest.raises(ValueError, match=r"RewardModel.* got RewardTable"):
        streamed.evaluate(Models(model, model, table), tiny, CONFIG)
