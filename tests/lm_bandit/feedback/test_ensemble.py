"""Ensembles: members that differ as the bootstrap says, and a cautious reward."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.config import RewardConfig
from lm_bandit.feedback import ensemble, linear_reward
from lm_bandit.feedback.ensemble import cautious_reward
from lm_bandit.feedback.kinds import Labels
from tests.lm_bandit.inputs import array


def test_caution_subtracts_deviations_of_the_members_from_their_mean(rng):
    scores, caution = rng.normal(0.0, 1.5, (3, 2, 4)), rng.uniform(0.2, 0.9)
    expected = np.zeros((2, 4))
    for x, y in np.ndindex(2, 4):
        centred = [member[x, y] - np.mean(member[x]) for member in scores]
        expected[x, y] = np.mean(centred) - caution * np.std(centred)
    got = cautious_reward(array(scores), caution)
    assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_constants_of_members_and_prompts_change_nothing(rng):
    scores = rng.normal(0.0, 1.0, (3, 2, 4))
    constants = rng.normal(0.0, 5.0, (3, 2, 1))
    got = cautious_reward(array(scores + constants), 0.5)
    assert_allclose(got, cautious_reward(array(scores), 0.5), atol=1e-4)


def test_caution_costs_nothing_where_all_members_agree(rng):
    row = rng.normal(0.0, 1.0, (1, 2, 4))
    got = cautious_reward(array(np.repeat(row, 3, axis=0)), 5.0)
    assert_allclose(got, row[0] - row[0].mean(-1, keepdims=True), atol=1e-4)


def test_bootstrapped_weights_spread_as_the_curvature_says():
    """The bootstrap does not know the Gaussian at the optimum, and agrees with it."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(200, 5))
    p = 1 / (1 + np.exp(-pairs @ np.array([1.5, 0.5, 0.0, -0.5, -1.0])))
    answers = np.where((rng.random(200) < p)[:, None], pairs, -pairs)
    posterior = linear_reward.fit_weights(answers)
    weights = ensemble.bootstrap_weights(np.random.default_rng(2), answers, 200)
    assert_allclose(weights.mean(0), posterior.mean, atol=0.1)
    expected = np.sqrt(np.diag(posterior.covariance))
    assert_allclose(weights.std(0), expected, rtol=0.25)


def test_each_member_learns_from_its_own_bootstrap_sample():
    """A weight per answer changes exactly if its answer was drawn."""
    rows = np.arange(30)[:, None]
    answers = Labels(rows, rows, np.ones(30, bool))

    def loss(table, batch):
        value = -table[batch.completions[:, 0]].mean()
        return value, value

    config = RewardConfig(num_updates=20, batch_size=64, step_size=0.1)
    keys = jax.random.split(jax.random.key(0), 3)
    members = ensemble.train(keys, jnp.zeros(30), answers, config, loss)
    for key, member in zip(keys, members, strict=True):
        draw_key, _ = jax.random.split(key)
        drawn = np.unique(jax.random.randint(draw_key, (30,), 0, 30))
        assert_array_equal(np.flatnonzero(member), drawn)
        assert 15 < len(drawn) < 25
