"""The descent that the alternatives share, on a loss that needs no model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import ppo
from lm_bandit.alternatives import loop
from lm_bandit.alternatives.loop import TuningState
from lm_bandit.config import RLHFConfig, TuningConfig
from lm_bandit.diagnostics import History, row
from lm_bandit.oracle import trie
from policy_gradient.diagnostics import Diagnostics
from tests.lm_bandit.alternatives.conftest import descending

EMPTY = Diagnostics(*[jnp.zeros(())] * len(Diagnostics._fields))


def test_every_row_is_used_once_an_epoch_by_gradient_steps():
    """The steps of a linear loss add up whatever the shuffle: 3 epochs of 8 rows."""
    rows = jnp.arange(8.0)
    config = descending(TuningConfig, 0.1)(pulls=8, epochs=3, minibatches=4)
    history = History(*[jnp.zeros(())] * (len(History._fields) - 1), EMPTY)

    def loss(policy, minibatch):
        return policy * minibatch.sum(), policy + 2.0

    start = jnp.float32(1.0)
    state = TuningState(start, config.optimizer().init(start))
    state, history = loop.descend(state, jax.random.key(0), rows, loss, config, history)
    assert_allclose(state.policy, 1.0 - 0.1 * 3 * 28.0, rtol=1e-5)
    improvement = history.improvement
    assert_allclose(improvement.first_ratio, 3.0, rtol=1e-6)
    assert_allclose(improvement.gradient_norm, 28.0 / 4, rtol=1e-5)
    assert np.isfinite(improvement.loss)


def leave_one_out_loss(policy, pulls, fixed, config):
    """RLOO's loss: a pull's reward less the mean of the others of its prompt."""
    log_probs = loop.written_log_probs(
        policy, pulls.which, pulls.completions, fixed, config
    )
    price = config.kl_weight * (pulls.log_probs - pulls.references).sum(-1)
    same = (pulls.which[:, None] == pulls.which).astype(float)
    others = same - jnp.eye(len(price))
    earned = pulls.scores - price
    advantages = earned - others @ earned / others.sum(1)
    return -jnp.mean(advantages * log_probs.sum(-1))


@pytest.mark.slow
def test_a_loss_of_ones_own_trains_as_the_same_loss_of_the_book(tiny, fixed):
    shared = {"num_updates": 3, "pulls": 8, "epochs": 1, "minibatches": 1}
    key = jax.random.key(0)
    own, _ = loop.train_on_loss(
        key, fixed, 3, TuningConfig(**shared, kl_weight=0.4), leave_one_out_loss
    )
    config = RLHFConfig(**shared, kl_weight=0.4, baseline="leave_one_out")
    book, _ = ppo.train(key, fixed, 3, config)
    # Not the parameters: where a gradient is 0, Adam's steps are rounding errors.
    start, *ends = (
        trie.policy_log_probs(policy, tiny).ended
        for policy in (fixed.reference, row(own, -1), row(book, -1))
    )
    assert np.abs(ends[1] - start).max() > 0.1
    assert_allclose(*ends, atol=1e-3)
