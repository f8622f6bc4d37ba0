"""The transformer, against GPT-2 written out in numpy with loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.transformer import (
    TransformerConfig,
    empty_cache,
    forward,
    hidden_states,
    init,
    next_token_log_probs,
    require_room,
)

TOKENS = jnp.array([3, 1, 4, 1, 5])


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


@pytest.fixture
def noisy():
    """Two blocks, whose biases and gains are not what they were initialised to."""
    config = TransformerConfig(num_layers=2, num_heads=2, d_model=8)
    leaves, tree = jax.tree.flatten(init(jax.random.key(0), 6, 5, config))
    rng = np.random.default_rng(1)
    return tree.unflatten(
        [x + jnp.asarray(0.1 * rng.normal(size=x.shape), x.dtype) for x in leaves]
    )


def test_hidden_states_are_those_of_gpt_2(noisy):
    got = hidden_states(noisy, TOKENS)
    assert_allclose(got, gpt2_in_numpy(noisy, TOKENS.tolist()), atol=1e-5)


def test_no_position_looks_ahead(noisy):
    before = hidden_states(noisy, TOKENS)
    after = hidden_states(noisy, jnp.array([3, 1, 4, 2, 0]))
    assert_allclose(before[:3], after[:3], atol=1e-6)
    assert np.abs(before[3] - after[3]).max() > 1e-3


@pytest.mark.parametrize("prompt", [[2], [0, 4], [3, 1, 4]])
def test_writing_with_a_cache_is_reading_the_whole_text(noisy, prompt):
    """At every position of a sampled text, and whatever stood in the unused cache."""
    cache = jax.tree.map(lambda x: x + 100.0, empty_cache(noisy, 5))
    hidden, cache = forward(noisy, jnp.array(prompt), cache)
    rows, tokens = list(hidden), list(prompt)
    for position in range(len(prompt), 5):
        log_probs = next_token_log_probs(noisy, rows[-1])
        tokens.append(int(jax.random.categorical(jax.random.key(position), log_probs)))
        hidden, cache = forward(noisy, jnp.array(tokens[-1:]), cache, position)
        rows.append(hidden[0])
    assert_allclose(rows, hidden_states(noisy, jnp.array(tokens)), atol=1e-5)


def test_several_tokens_after_others_are_read_as_one_text(noisy):
    first, cache = forward(noisy, TOKENS[:2], empty_cache(noisy, 5))
    rest, _ = forward(noisy, TOKENS[2:], cache, 2)
    whole = hidden_states(noisy, TOKENS)
    assert_allclose(jnp.concatenate([first, rest]), whole, atol=1e-5)


def test_one_token_alone_has_the_same_hidden_state(noisy):
    texts, only = jnp.stack([TOKENS, TOKENS[::-1]]), jnp.array([1, 4])
    hidden, cache = forward(noisy, texts, empty_cache(noisy, 5, (2,)))
    one, same = forward(noisy, texts, empty_cache(noisy, 5, (2,)), only=only)
    assert_allclose(one[:, 0], hidden[jnp.arange(2), only], rtol=1e-5, atol=1e-6)
    jax.tree.map(assert_array_equal, same, cache)


def test_a_text_longer_than_the_context_is_refused(noisy):
    require_room(noisy, 5)
    for read in (require_room, empty_cache):
        with pytest.raises(ValueError, match=r"context of 5 tokens, .* got 6$"):
            read(noisy, 6)
    with pytest.raises(ValueError, match=r"got 6$"):
        hidden_states(noisy, jnp.zeros(6, int))


def test_a_new_model_has_the_scales_of_its_docstring():
    """1 / fan-in, and 1 / (2 L fan-in) where a layer adds to the residual stream."""
    L, D = 3, 128
    config = TransformerConfig(num_layers=L, num_heads=4, d_model=D)
    new = init(jax.random.key(0), 500, 300, config)
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
    hidden = hidden_states(noisy, TOKENS)
    logits = np.asarray(hidden) @ np.asarray(noisy.wte).T
    expected = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert_allclose(next_token_log_probs(noisy, hidden), expected, atol=1e-5)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="num_heads must divide d_model = 32, got 3"):
        TransformerConfig(num_heads=3)
