"""KTO: labels that tune the policy without a reward model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.alternatives import kto
from lm_bandit.alternatives.config import KTOConfig
from lm_bandit.alternatives.kto import kto_loss
from lm_bandit.feedback.kinds import Labels
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import trie
from tests.lm_bandit.inputs import array

compiled = jax.jit(jax.value_and_grad(kto_loss))
OKAY = np.array([True, False, False, True])


def test_a_gain_is_measured_against_the_standard(rng):
    log_ratios, kl = rng.normal(0.0, 3.0, 4), rng.uniform(0.5, 2.0)
    beta = rng.uniform(0.1, 0.9)
    values = []
    for log_ratio, okay in zip(log_ratios, OKAY, strict=True):
        h, z = beta * log_ratio, beta * kl
        values.append(1 / (1 + np.exp(-(h - z) if okay else -(z - h))))
    given = array(log_ratios), jnp.asarray(OKAY), array(kl)
    loss, slopes = compiled(*given, beta)
    assert_allclose(loss, 1 - np.mean(values), rtol=1e-4)
    steepness = beta * np.multiply(values, np.subtract(1, values)) / 4
    assert_allclose(slopes, np.where(OKAY, -steepness, steepness), rtol=1e-3)


def test_a_label_pulls_most_at_the_standard_and_hardly_far_from_it(rng):
    beta, kl = rng.uniform(0.3, 0.9), rng.uniform(0.5, 2.0)
    given = array([kl, kl - 30.0, kl + 30.0]), jnp.array([True] * 3), array(kl)
    loss, slopes = compiled(*given, beta)
    assert_allclose(loss, 0.5, rtol=1e-4)
    assert_allclose(slopes[0], -beta / 12, rtol=1e-4)
    assert (np.abs(slopes[1:]) < 1e-3).all()


def test_the_standard_is_the_kl_of_each_prompt_with_the_next_completion(
    tiny, model, policy
):
    """It is 0 where the estimate is negative: one of the two orders below."""
    rng = np.random.default_rng(0)
    prompts = tiny.prompts[[0, 1, 1, 0]]
    completions = rng.integers(0, 6, size=(4, 3))
    everyone = jnp.repeat(jnp.asarray(prompts), 4, 0), jnp.tile(completions, (4, 1))
    log_prob, loss = jax.jit(completion_log_prob), jax.jit(kto.loss)
    log_ratios = np.subtract(*(log_prob(m, *everyone) for m in (policy, model)))
    log_ratios = log_ratios.reshape(4, 4)  # of each prompt with each completion
    batch = jax.tree.map(jnp.asarray, Labels(prompts, completions, OKAY))
    for one, other, sign in ((policy, model, 1), (model, policy, -1)):
        gained = sign * log_ratios
        kl = max(0.0, np.mean([gained[i, (i + 1) % 4] for i in range(4)]))
        values = [
            1 / (1 + np.exp((-1 if OKAY[i] else 1) * 0.3 * (gained[i, i] - kl)))
            for i in range(4)
        ]
        got, _ = loss(one, batch, other, 0.3)
        assert_allclose(got, 1 - np.mean(values), rtol=1e-4)


@pytest.mark.slow
def test_the_standard_is_not_differentiated(tiny, model, policy):
    """One label alone is its own standard: the gain stays 0, the gradient does not."""
    batch = Labels(jnp.asarray(tiny.prompts[:1]), jnp.array([[2, 5, 3]]), OKAY[:1])

    @jax.jit
    def gradients(policy):
        return (
            jax.grad(lambda p: kto.loss(p, batch, model, 0.3)[0])(policy),
            jax.grad(lambda p: completion_log_prob(p, *batch[:2])[0])(policy),
        )

    slopes, score = gradients(policy)
    assert_allclose(slopes.wte, -0.3 / 4 * score.wte, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_labels_alone_move_the_policy_to_completions_that_pass(tiny, model):
    """Okay is what says "fine" and not "poor"; judged on every completion there is."""
    completions = trie.ended_completions(tiny)
    passes = np.array([(2 in y) and (3 not in y) for y in completions])
    rng = np.random.default_rng(1)
    rows, which = rng.integers(len(passes), size=500), rng.integers(2, size=500)
    labels = Labels(tiny.prompts[which], completions[rows], passes[rows])
    config = KTOConfig(num_updates=60, batch_size=32, step_size=3e-3, kl_weight=0.2)
    tuned, losses = kto.train(jax.random.key(0), model, labels, config)
    assert losses.shape == (60,)
    shares = []
    for params in (model, tuned):
        probs = np.exp(trie.policy_log_probs(params, tiny).ended)
        shares.append(probs[:, passes].sum(1) / probs.sum(1))
    before, after = shares
    assert (after > 2 * before).all(), (before, after)
