"""Gold rewards and formats by hand, and the bandit's ancestor, the gradient bandit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import bandit
from lm_bandit.world import pocket_world
from mdp.bandits import gradient_bandit_step
from policy_gradient import ppo
from policy_gradient.config import ImproveConfig
from policy_gradient.improvement import improve
from policy_gradient.policies import Evaluation
from policy_gradient.trajectory import Batch

ARMS = np.array([0.5, -1.0, 2.0, 0.0, -0.3])
STEP_SIZE = 0.4


def test_gold_adds_up_mean_ratings_with_the_sign_that_the_prompt_asks_for():
    world = pocket_world()
    people = dict(zip(world.vocabulary, world.ratings, strict=True))
    good, awful = people["good"].mean(), people["awful"].mean()
    texts = ["good <end> <end> <end>", "good and awful <end>", "good good good <end>"]
    completions = np.array([world.encode(text) for text in texts])
    scores = bandit.gold_scores(world, completions)
    # Each word once: saying "good" three times is saying it once.
    praise = [good, good + awful, good]
    assert_allclose(scores[0], praise)
    assert_allclose(scores[-1], np.negative(praise))


def test_the_format_is_one_word_or_two_with_an_and():
    world = pocket_world()
    judged = {
        "dull <end> <end> <end>": True,
        "dull and weird <end>": True,
        "dull and dull <end>": True,
        "dull weird <end> <end>": False,
        "dull and and <end>": False,
        "film <end> <end> <end>": False,
        "<end> <end> <end> <end>": False,
        "dull and weird and": False,
    }
    completions = np.array([world.encode(text) for text in judged])
    assert_array_equal(bandit.in_format(world, completions), list(judged.values()))


def evaluate(logits, observations, actions):
    """One prompt, no transformer: a completion is one token, an arm."""
    log_probs = jax.nn.log_softmax(logits)[actions]
    return Evaluation(log_probs, jnp.zeros_like(log_probs), jnp.zeros_like(log_probs))


def test_ppo_on_one_prompt_and_a_table_of_logits_is_the_gradient_bandit():
    """Step for step: H(a) += alpha (R - average) ([a = A] - pi(a)), S&B eq. 2.12."""
    rng = np.random.default_rng(0)
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
