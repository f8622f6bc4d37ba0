"""Invariants, broken on purpose: each stops the run that breaks it, with its reason."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, diagnostics, generate, ppo
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import TOLERANCE, BrokenRun, History
from lm_bandit.generate import completion_mask, token_log_probs
from lm_bandit.reward_table import score_texts
from policy_gradient.diagnostics import Diagnostics


def sound_history(updates):
    """Zeros, but for the ratio."""
    zeros = np.zeros(updates)
    improvement = Diagnostics(*[zeros] * len(Diagnostics._fields))
    improvement = improvement._replace(first_ratio=zeros + 1.0)
    blank = History(*[zeros] * len(History._fields))
    return blank._replace(improvement=improvement)


def gaps(fixed, policy, temperature):
    """Sampler gap and padding gap of texts whose log-probabilities are right at 1."""
    completions = jnp.array([[[2, 0, 0]], [[3, 4, 2]]])

    @jax.jit
    def measure(policy, fixed):
        prompts = fixed.prompts[:, None]
        log_probs = token_log_probs(policy, prompts, completions)
        pulls = bandit.Pulls(prompts, completions, log_probs)
        scored = bandit.Scored(log_probs, jnp.zeros((2, 1)), log_probs)
        measured = diagnostics.measure_pulls(
            policy,
            fixed.reward_model,
            pulls,
            scored,
            scored.scores,
            jnp.array(0.1),
            temperature,
        )
        return measured.sampler_gap, measured.padding_gap

    return map(float, measure(policy, fixed))


@pytest.mark.slow
def test_a_sampler_at_another_temperature_shows_in_the_sampler_gap(fixed, policy):
    for temperature, sound in ((1.0, True), (0.5, False)):
        sampler_gap, padding_gap = gaps(fixed, policy, temperature)
        assert (sampler_gap < TOLERANCE) == sound
        assert padding_gap < TOLERANCE


def test_padding_that_counts_shows_in_the_padding_gap(fixed, policy, monkeypatch):
    monkeypatch.setattr(generate, "at_last_token", lambda x, completion: x[..., -1])
    sampler_gap, padding_gap = gaps(fixed, policy, 1.0)
    assert sampler_gap < TOLERANCE < padding_gap


def test_a_score_and_a_value_that_are_not_the_models_own_show(fixed, policy):
    """A bonus of 0.3 for each token, and a value that depends on the completion."""
    completions = jnp.array([[[2, 0, 0], [3, 0, 0]], [[3, 4, 0], [2, 2, 2]]])
    prompts = jnp.broadcast_to(fixed.prompts[:, None], (2, 2, 2))

    @jax.jit
    def measure(policy, fixed, bonus, values):
        log_probs = token_log_probs(policy, prompts, completions)
        pulls = bandit.Pulls(prompts, completions, log_probs)
        scores = score_texts(fixed.reward_model, prompts, completions)
        scores += bonus * completion_mask(completions).sum(-1)
        scored = bandit.Scored(log_probs, scores, values)
        return diagnostics.measure_pulls(
            policy, fixed.reward_model, pulls, scored, scores, jnp.array(0.1), 1.0
        )

    values = jnp.ones((2, 2, 3))
    sound = measure(policy, fixed, jnp.array(0.0), values)
    assert_allclose(
        [sound.score_gap, sound.length_bonus, sound.value_gap], 0, atol=1e-5
    )
    sick = measure(policy, fixed, jnp.array(0.3), values.at[1, 0, 0].add(0.5))
    assert_allclose(sick.length_bonus, 0.3, rtol=1e-4)
    assert_allclose(sick.score_gap, 0.9, rtol=1e-4)
    assert_allclose(sick.value_gap, 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "wrong", "says"),
    [
        ("score", np.nan, "expected finite numbers, got nan or inf"),
        ("sampler_gap", 0.1, "the sampler and the scorer must agree on log pi"),
        ("padding_gap", 0.1, "nothing after the end of a text may count"),
    ],
)
def test_the_first_update_that_breaks_an_invariant_is_named(name, wrong, says):
    history, snapshots = sound_history(3), np.arange(3.0)
    diagnostics.require_sound(20, snapshots, history, -1.0)
    history = history._replace(**{name: np.array([0.0, wrong, wrong])})
    with pytest.raises(BrokenRun, match=f"update 19: {says}") as stopped:
        diagnostics.require_sound(20, snapshots, history, -1.0)
    assert stopped.value.last_good == 0.0
    nan = np.array([0.0, 0.0, np.nan])
    with pytest.raises(BrokenRun, match="update 20: expected finite"):
        diagnostics.require_sound(20, nan, sound_history(3), -1.0)


@pytest.mark.slow
def test_a_run_with_recomputed_log_probabilities_stops(fixed, monkeypatch):
    right = ppo.compare_pulls

    def wrong(*x):
        batch = right(*x)
        return batch._replace(log_probs=batch.log_probs + 0.1)

    monkeypatch.setattr(ppo, "compare_pulls", wrong)
    config = RLHFConfig(num_updates=2, pulls=4, epochs=1, minibatches=1)
    says = "update 1: the ratio .* must be 1 before the first"
    with pytest.raises(BrokenRun, match=says) as stopped:
        ppo.train(jax.random.key(0), fixed, 3, config, lambda done, rows: None)
    good = jax.tree.leaves(stopped.value.last_good)
    for leaf, before in zip(good, jax.tree.leaves(fixed.reference), strict=True):
        assert_allclose(leaf, before)


@pytest.mark.parametrize("seed", range(2))
def test_the_share_of_distinct_completions_is_that_of_a_set(seed):
    completions = np.random.default_rng(seed).integers(0, 4, size=(3, 40, 3))
    rows = {(i, *row) for i in range(3) for row in completions[i].tolist()}
    share = diagnostics.share_distinct(jnp.asarray(completions))
    assert_allclose(share, len(rows) / 120, rtol=1e-6)


def test_a_sampled_kl_must_be_the_exact_one_within_its_standard_errors():
    history = sound_history(2)._replace(
        kl=np.array([0.0, 0.5]), kl_error=np.array([0.0, 0.01])
    )
    diagnostics.require_exact_kl(0, history, 0.0)
    diagnostics.require_exact_kl(1, history, 0.55)
    for wrong in (0.57, 0.43, np.nan):
        with pytest.raises(BrokenRun, match="update 2: the sampled KL must be"):
            diagnostics.require_exact_kl(1, history, wrong)


def test_keys_have_different_fingerprints_from_0_to_1():
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(3), i))(jnp.arange(200))
    marks = np.asarray(jax.vmap(diagnostics.key_fingerprint)(keys))
    assert len(np.unique(marks)) == 200
    assert 0.0 <= marks.min() < 0.1 < 0.9 < marks.max() <= 1.0
