"""The descent that the alternatives share, on a loss that needs no model."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.alternatives import loop
from lm_bandit.alternatives.loop import TuningState
from lm_bandit.config import TuningConfig
from lm_bandit.diagnostics import History
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
