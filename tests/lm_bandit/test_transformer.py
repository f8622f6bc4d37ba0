"""The transformer, against GPT-2 written out in numpy with loops."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import transformer
from lm_bandit.config import TransformerConfig
from tests.lm_bandit import inputs, oracles
from tests.lm_bandit.inputs import array

TOKENS = jnp.array([3, 1, 4, 1, 5])
attend = jax.jit(transformer.causal_attention, static_argnames="start")
states = jax.jit(transformer.hidden_states)
read = jax.jit(transformer.forward)


def gpt2_in_numpy(params, tokens):
    """Radford et al. (2019): one position and one head at a time, in float64."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)

    def norm(x, layer):
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * layer.g + layer.b

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    x = [p.wte[token] + p.wpe[t] for t, token in enumerate(tokens)]
    for layer in range(len(p.h.c_fc.w)):
        block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], p.h)
        heads, size = block.c_attn.b.shape[1:]
        seen = [norm(row, block.ln_1) for row in x]
        for t in range(len(x)):
            out = block.attn_c_proj.b.copy()
            for head in range(heads):

                def project(row, part, head=head, block=block):
                    w, b = block.c_attn.w[:, part, head], block.c_attn.b[part, head]
                    return row @ w + b

                query = project(seen[t], 0)
                scores = [query @ project(seen[s], 1) for s in range(t + 1)]
                weights = np.exp(np.array(scores) / np.sqrt(size))
                weights /= weights.sum()
                mixed = sum(w * project(seen[s], 2) for s, w in enumerate(weights))
                out += mixed @ block.attn_c_proj.w[head]
            x[t] = x[t] + out
        for t, row in enumerate(x):
            inner = gelu(norm(row, block.ln_2) @ block.c_fc.w + block.c_fc.b)
            x[t] = row + inner @ block.mlp_c_proj.w + block.mlp_c_proj.b
    return np.array([norm(row, p.ln_f) for row in x])


@pytest.fixture(scope="module")
def noisy():
    """Two blocks, whose biases and gains are random too."""
    return inputs.model(1, num_layers=2, d_model=8, vocabulary_size=6)


def test_hidden_states_are_those_of_gpt_2(noisy):
    expected = gpt2_in_numpy(noisy, TOKENS.tolist())
    assert_allclose(states(noisy, TOKENS), expected, atol=1e-5)


@pytest.mark.parametrize("ends", [[1, 2, 3, 4, 5], [3, 4, 5], [2, 5]])
def test_reading_with_a_cache_is_reading_the_whole_text(noisy, ends):
    """Piece after piece of the text, whatever stood in the unused cache."""
    cache = jax.tree.map(lambda x: x + 100.0, transformer.empty_cache(noisy, 5))
    pieces = []
    for start, end in pairwise([0, *ends]):
        hidden, cache = read(noisy, TOKENS[start:end], cache, start)
        pieces.append(hidden)
    assert_allclose(np.concatenate(pieces), states(noisy, TOKENS), atol=1e-5)


def test_one_token_alone_has_the_same_hidden_state(noisy):
    texts, only = jnp.stack([TOKENS, TOKENS[::-1]]), jnp.array([1, 4])
    hidden, cache = read(noisy, texts, transformer.empty_cache(noisy, 5, (2,)), 0)
    one, same = read(noisy, texts, transformer.empty_cache(noisy, 5, (2,)), 0, only)
    assert_allclose(one[:, 0], hidden[jnp.arange(2), only], rtol=1e-5, atol=1e-6)
    jax.tree.map(assert_array_equal, same, cache)


def test_a_text_longer_than_the_context_is_refused(noisy):
    transformer.require_room(noisy, 5)
    for refuse in (transformer.require_room, transformer.empty_cache):
        with pytest.raises(ValueError, match=r"context of 5 tokens, .* got 6$"):
            refuse(noisy, 6)
    with pytest.raises(ValueError, match=r"got 6$"):
        transformer.hidden_states(noisy, jnp.zeros(6, int))


def test_a_new_model_has_the_scales_of_its_docstring():
    """1 / fan-in, and 1 / (2 L fan-in) where a layer adds to the residual stream."""
    L, D = 3, 64
    config = TransformerConfig(num_layers=L, num_heads=4, d_model=D)
    new = transformer.init(jax.random.key(0), 500, 300, config)
    for weights, variance in [
        (new.wte, 1 / D),
        (new.wpe, 0.01 / D),
        (new.h.c_attn.w, 1 / D),
        (new.h.attn_c_proj.w, 1 / (2 * L * D)),
        (new.h.c_fc.w, 1 / D),
        (new.h.mlp_c_proj.w, 1 / (2 * L * 4 * D)),
    ]:
        # The standard error of a variance is sqrt(2 / n) of it.
        bound = 4 * np.sqrt(2 / weights.size)
        assert_allclose(np.var(weights) / variance, 1.0, atol=bound)
    for norm in (new.h.ln_1, new.h.ln_2, new.ln_f):
        assert_allclose(norm.g, 1)
        assert_allclose(norm.b, 0)


def test_the_output_layer_is_the_embedding(noisy):
    hidden = np.random.default_rng(0).normal(size=(2, 8))
    logits = hidden @ np.asarray(noisy.wte).T
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    got = transformer.next_token_log_probs(noisy, array(hidden))
    assert_allclose(got, expected, atol=1e-5)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="num_heads must divide d_model = 32, got 3"):
        TransformerConfig(num_heads=3)


def test_each_query_has_the_weighted_mean_of_the_values_up_to_itself(rng):
    case = inputs.attention(rng, 2, 5, 4, 2, heads=(2,))
    mixed = attend(*case.values())
    for head in range(2):
        of_head = (case[name][head] for name in ("queries", "keys", "values"))
        expected = oracles.attended(*of_head, case["start"])
        assert_allclose(mixed[head], expected, rtol=1e-4, atol=1e-5)


def test_later_tokens_change_nothing_before_them(rng):
    case = inputs.attention(rng, 3, 3, 2, 0)
    before = attend(*case.values())
    for t in (1, 2):
        later = {
            name: case[name].at[t:].set(5.0) for name in ("queries", "keys", "values")
        }
        assert_allclose(attend(*later.values(), 0)[:t], before[:t], rtol=1e-5)


def test_equal_scores_give_the_mean_of_the_values_so_far(rng):
    values = array(rng.normal(size=(3, 2)))
    mixed = attend(jnp.zeros((3, 2)), jnp.ones((3, 2)), values, 0)
    means = [np.asarray(values)[: t + 1].mean(0) for t in range(3)]
    assert_allclose(mixed, means, rtol=1e-5, atol=1e-6)


def test_the_temperature_divides_the_logits_of_each_row(rng):
    logits = rng.normal(0.0, 2.0, (2, 4))
    for temperature in (0.5, 1.0, 3.0):
        log_probs = jax.jit(transformer.tempered)(array(logits), temperature)
        for got, row in zip(log_probs, logits, strict=True):
            assert_allclose(jnp.exp(got), oracles.softmax(row / temperature), rtol=1e-4)


def test_a_cold_policy_is_greedy_and_a_hot_one_is_uniform(rng):
    logits = array(rng.permutation([0.0, 1.0, 2.0, 3.0]))
    cold, hot = (np.exp(transformer.tempered(logits, t)) for t in (0.01, 1e5))
    assert_allclose(cold, np.asarray(logits) == 3.0, atol=1e-6)
    assert_allclose(hot, 0.25, rtol=1e-3)
