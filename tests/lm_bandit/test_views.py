"""The two views of a completion: where their gradients are one, and where not."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import bandit, ppo, views
from lm_bandit.config import RLHFConfig
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import trie
from lm_bandit.ppo import ActorCritic

# Each entry: policy gradients of the same completions, in float64.
PLAIN = {"kl_weight": 0.4, "penalty": -2.0, "trace_decay": 1.0, "entropy_weight": 0.0}


@pytest.fixture(scope="module")
def everything(tiny):
    """All 156 completions of the tiny world, [k, 156, 3]: 31 end, 125 are cut off."""
    cut_off = np.stack(np.indices((5, 5, 5)), axis=-1).reshape(-1, 3) + 1
    completions = np.concatenate([trie.ended_completions(tiny), cut_off])
    return jnp.asarray(np.stack([completions] * 2), jnp.int32)


def gradient(fixed, policy, completions, config, by_probability=False):
    """Of PPO's loss at the old parameters, flat; or of its expectation over pi."""
    with jax.enable_x64(True):
        fixed, policy = jax.tree.map(
            lambda x: x.astype(float) if x.dtype == jnp.float32 else x, (fixed, policy)
        )
        prompts = jnp.repeat(fixed.prompts[:, None], completions.shape[1], axis=1)
        return np.asarray(
            _gradient(fixed, policy, prompts, completions, config, by_probability)
        )


@partial(jax.jit, static_argnames="by_probability")
def _gradient(fixed, policy, prompts, completions, config, by_probability):
    log_probs = ppo.generate.token_log_probs(policy, prompts, completions)
    pulls = bandit.Pulls(prompts, completions, log_probs)
    params = ActorCritic(policy, critic=None)
    batch, _ = ppo.estimate(params, pulls, fixed, jnp.array(config.kl_weight), config)
    if by_probability:
        probs = jnp.exp(completion_log_prob(policy, prompts, completions))
        weights = batch.weights * probs.reshape(-1, 1) * completions.shape[1]
        batch = batch._replace(weights=weights)
    evaluate = partial(ppo.evaluate_completions, prompts=fixed.prompts, config=config)
    loss = ppo.clipped_loss(evaluate, config)
    gradients = jax.grad(lambda params: loss(params, batch)[0])(params)
    return jnp.concatenate([x.ravel() for x in jax.tree.leaves(gradients)])


def angle(x, y):
    """In degrees."""
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def some(everything, count=12, seed=0):
    """Completions of each length, of both kinds."""
    rng = np.random.default_rng(seed)
    return everything[:, rng.choice(60, size=count, replace=False)]


@pytest.mark.parametrize("baseline", ["none", "leave_one_out"])
def test_both_views_have_one_gradient_where_all_is_charged_at_the_end(
    fixed, policy, everything, baseline
):
    """sum_t A grad log pi(y_t) = A grad log pi(y): for every batch, term by term."""
    config = partial(RLHFConfig, kl_at="end", baseline=baseline, **PLAIN)
    of_tokens = gradient(fixed, policy, some(everything), config(view="token"))
    of_texts = gradient(fixed, policy, some(everything), config(view="completion"))
    assert_allclose(of_tokens, of_texts, atol=1e-12)
    assert np.linalg.norm(of_texts) > 0.1


def test_a_price_per_token_leaves_the_gradients_equal_in_expectation_only(
    fixed, policy, everything
):
    """What was paid before a token does not depend on it: its terms have mean 0."""
    config = partial(RLHFConfig, kl_at="tokens", baseline="none", **PLAIN)
    of_tokens, of_texts = (
        gradient(fixed, policy, everything, config(view=view), by_probability=True)
        for view in ("token", "completion")
    )
    assert_allclose(of_tokens, of_texts, atol=1e-12)
    batch = some(everything)
    sampled = [
        gradient(fixed, policy, batch, config(view=view))
        for view in ("token", "completion")
    ]
    assert angle(*sampled) > 1.0, "of one batch they differ"


def test_means_over_tokens_are_other_objectives(fixed, policy, everything):
    """token_mean is shorter by the mean length; sequence_mean points elsewhere."""
    config = partial(RLHFConfig, kl_at="end", baseline="none", view="token", **PLAIN)
    batch = some(everything)
    of_tokens = {
        how: gradient(fixed, policy, batch, config(over_tokens=how))
        for how in ("sum", "sequence_mean", "token_mean")
    }
    ends = np.asarray(batch) == 0
    lengths = np.where(ends.any(-1), ends.argmax(-1) + 1, 3)
    every = sorted(set(lengths.ravel()))
    assert len(every) > 1
    factor = lengths.mean()
    assert_allclose(of_tokens["token_mean"] * factor, of_tokens["sum"], atol=1e-12)
    assert angle(of_tokens["token_mean"], of_tokens["sum"]) < 1e-5
    assert angle(of_tokens["sequence_mean"], of_tokens["sum"]) > 1.0
    # By how much: each row by its own length. Rows of one length are a batch apart.
    parts = 0.0
    for length in every:
        alike = [batch[i][lengths[i] == length] for i in range(2)]
        for i, rows in enumerate(alike):
            both = jnp.broadcast_to(rows, (2, *rows.shape))
            alone = fixed._replace(prompts=jnp.stack([fixed.prompts[i]] * 2))
            part = gradient(alone, policy, both, config(over_tokens="sum"))
            parts = parts + part * len(rows) / length / lengths.size
    assert_allclose(of_tokens["sequence_mean"], parts, atol=1e-12)


@pytest.mark.parametrize(
    ("completion", "length"), [([2, 0, 0], 2), ([0, 0, 0], 1), ([2, 3, 4], 3)]
)
def test_a_bandit_step_is_the_sum_over_the_tokens_that_count(completion, length):
    """Padding has no part in it, whatever stands there; nothing is bootstrapped."""
    log_probs, rewards, values = np.random.default_rng(0).normal(size=(3, 3))
    prompt = jnp.array([1, 5])
    tokens = views.as_tokens(
        prompt, jnp.array(completion), *map(jnp.asarray, (log_probs, rewards, values))
    )
    mask = np.arange(3) < length
    assert_array_equal(tokens.mask, mask)
    goes_on = np.arange(3) < length - 1
    assert_array_equal(tokens.discounts, goes_on)
    assert_array_equal(tokens.continues, goes_on)
    assert_allclose(tokens.next_values, np.append(values[1:], 9) * goes_on, rtol=1e-6)
    assert_array_equal(tokens.observations[0], [1, 5, 0, 0, 0])
    assert_array_equal(tokens.observations[2], [1, 5, *completion[:2], 0])
    pulled = views.as_bandit(tokens)
    assert_allclose(pulled.log_probs, [log_probs[:length].sum()], rtol=1e-5)
    assert_allclose(pulled.rewards, [rewards[:length].sum()], rtol=1e-5)
    assert_allclose(pulled.values, values[:1], rtol=1e-6)
    assert_array_equal(pulled.discounts, [0])
    assert_array_equal(pulled.next_values, [0])
    assert_array_equal(pulled.mask, [1])
