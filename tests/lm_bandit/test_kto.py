"""Labels that tune the policy without a reward model."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.alternatives import kto
from lm_bandit.feedback.kinds import Labels
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import trie
from lm_bandit.reward_model import RewardConfig


def test_each_completion_is_measured_against_the_kl(tiny, model, policy):
    """1 - sigmoid(+-(h - z)), with z from each prompt and the next one's completion."""
    rng = np.random.default_rng(0)
    prompts = tiny.prompts[[0, 1, 1, 0]]
    completions = rng.integers(0, 6, size=(4, 3))
    okay = np.array([True, False, False, True])

    everyone = jnp.repeat(jnp.asarray(prompts), 4, 0), jnp.tile(completions, (4, 1))
    ours, theirs = (
        np.asarray(completion_log_prob(m, *everyone), np.float64).reshape(4, 4)
        for m in (policy, model)
    )
    log_ratios = ours - theirs  # of each prompt with each completion
    batch = jax.tree.map(jnp.asarray, Labels(prompts, completions, okay))
    for one, other, sign in ((policy, model, 1), (model, policy, -1)):
        gained = sign * log_ratios
        kl = max(0.0, np.mean([gained[i, (i + 1) % 4] for i in range(4)]))
        values = [
            1 / (1 + np.exp((-1 if okay[i] else 1) * 0.3 * (gained[i, i] - kl)))
            for i in range(4)
        ]
        got, _ = kto.loss(one, batch, other, 0.3)
        assert_allclose(got, 1 - np.mean(values), rtol=1e-4)


def test_labels_alone_move_the_policy_to_what_passes_every_completion_counted(
    tiny, model
):
    """Okay is what says "fine" and not "poor"; judged on every completion there is."""
    completions = trie.ended_completions(tiny)
    said = np.array([(2 in y) and (3 not in y) for y in completions])
    rng = np.random.default_rng(1)
    rows, which = rng.integers(len(said), size=500), rng.integers(2, size=500)
    labels = Labels(tiny.prompts[which], completions[rows], said[rows])
    labels = jax.tree.map(jnp.asarray, labels)
    config = RewardConfig(num_updates=60, batch_size=32, step_size=3e-3)
    loss = partial(kto.loss, reference=model, kl_weight=0.2)
    tuned, _ = reward_model.train(jax.random.key(0), model, labels, config, loss=loss)
    shares = []
    for params in (model, tuned):
        probs = np.exp(trie.policy_log_probs(params, tiny).ended)
        shares.append(probs[:, said].sum(1) / probs.sum(1))
    before, after = shares
    assert (after > 2 * before).all(), (before, after)
