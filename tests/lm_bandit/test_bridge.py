"""The bridge down: on a table of logits, PPO's step is the gradient bandit of old."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from mdp.bandits import gradient_bandit_step
from policy_gradient import ppo
from policy_gradient.config import ImproveConfig
from policy_gradient.improvement import improve
from policy_gradient.policies import Evaluation
from policy_gradient.trajectory import Batch

ARMS = np.array([0.5, -1.0, 2.0, 0.0, -0.3])
STEP_SIZE = 0.4


def evaluate(logits, observations, actions):
    """One prompt, no transformer: a completion is one token, an arm."""
    log_probs = jax.nn.log_softmax(logits)[actions]
    return Evaluation(log_probs, jnp.zeros_like(log_probs), jnp.zeros_like(log_probs))


@pytest.mark.parametrize("seed", range(3))
def test_a_one_prompt_bandit_on_a_table_of_logits_is_the_gradient_bandit(seed):
    """Step for step: H(a) += alpha (R - average) ([a = A] - pi(a)), S&B eq. 2.12."""
    rng = np.random.default_rng(seed)
    optimizer = optax.sgd(STEP_SIZE)
    once = ImproveConfig(epochs=1, minibatches=1, value_weight=0.0)

    @jax.jit
    def step(logits, action, advantage):
        log_probs = jax.nn.log_softmax(logits)[action]
        zero, one = jnp.zeros(1), jnp.ones(1)
        batch = Batch(zero, action, log_probs, zero, advantage, zero, one)
        loss = partial(ppo.loss, evaluate=evaluate, entropy_weight=0.0, config=once)
        key, state = jax.random.key(0), optimizer.init(logits)
        return improve(logits, state, key, batch, loss, optimizer, once).params

    with jax.enable_x64(True):
        logits, preferences = jnp.zeros(len(ARMS)), np.zeros(len(ARMS))
        average = 0.0
        for t in range(1, 41):
            probs = np.asarray(jax.nn.softmax(logits))
            action = rng.choice(len(ARMS), size=1, p=probs / probs.sum())
            reward = rng.normal(ARMS[action], 1.0)
            # The average of the rewards before this one; of the first, that itself.
            average = reward[0] if t == 1 else average
            logits = step(logits, jnp.asarray(action), jnp.asarray(reward - average))
            preferences = gradient_bandit_step(
                preferences[None], action, reward, np.array([average]), STEP_SIZE
            )[0]
            average += (reward[0] - average) / t
            assert_allclose(logits, preferences, atol=1e-12)
    assert np.abs(preferences).max() > 1.0, "the run must have moved"
