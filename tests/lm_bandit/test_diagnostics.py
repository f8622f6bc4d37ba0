"""Broken on purpose: each invariant stops the run that breaks it, and says what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, diagnostics, generate, ppo
from lm_bandit.config import RLHFConfig
from lm_bandit.diagnostics import BrokenRun


def too_cold(monkeypatch):
    monkeypatch.setattr(ppo, "pull", lambda *x: bandit.pull(*x[:-1], 0.5))


def padding_counts(monkeypatch):
    monkeypatch.setattr(generate, "at_last_token", lambda x, completion: x[..., -1])


def garbled(monkeypatch):
    right = ppo.estimate

    def wrong(*x):
        batch, history = right(*x)
        return batch._replace(log_probs=batch.log_probs + 0.1), history

    monkeypatch.setattr(ppo, "estimate", wrong)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (too_cold, "update 1: the sampler and the scorer must agree"),
        (padding_counts, "update 1: nothing after the end of a text may count"),
        (garbled, "update 1: the ratio .* must be 1 before the first"),
    ],
)
def test_a_run_that_breaks_an_invariant_stops(fixed, monkeypatch, broken, says):
    broken(monkeypatch)
    config = RLHFConfig(num_updates=2, pulls=4, epochs=1, minibatches=1)
    with pytest.raises(BrokenRun, match=says) as stopped:
        ppo.train(jax.random.key(0), fixed, 3, config, lambda done, rows: None)
    good = jax.tree.leaves(stopped.value.last_good)
    for leaf, before in zip(good, jax.tree.leaves(fixed.reference), strict=True):
        assert_allclose(leaf, before)


@pytest.mark.parametrize("seed", range(3))
def test_the_share_of_distinct_completions_is_that_of_a_set(seed):
    completions = np.random.default_rng(seed).integers(0, 4, size=(3, 40, 3))
    rows = {(i, *row) for i in range(3) for row in completions[i].tolist()}
    share = diagnostics.share_distinct(jnp.asarray(completions))
    assert_allclose(share, len(rows) / 120, rtol=1e-6)


def test_a_sampled_kl_must_be_the_exact_one_within_its_standard_errors():
    blank = diagnostics.History(*[np.zeros(2)] * len(diagnostics.History._fields))
    history = blank._replace(kl=np.array([0.0, 0.5]), kl_error=np.array([0.0, 0.01]))
    diagnostics.require_exact_kl(0, history, 0.0)
    diagnostics.require_exact_kl(1, history, 0.55)
    for wrong in (0.57, 0.43, np.nan):
        with pytest.raises(BrokenRun, match="update 2: the sampled KL must be"):
            diagnostics.require_exact_kl(1, history, wrong)
