"""A decoder-only transformer, GPT-2's architecture, of one sequence or a batch.

    x = wte[tokens] + wpe[positions]
    for each block:   x += attention(ln_1(x));   x += mlp(ln_2(x))
    hidden = ln_f(x),   logits = hidden @ wte.T

Pre-norm, learned positions, GELU, an output layer tied to the token embedding. The
blocks are stacked along a leading axis and read one after the other. Parameters have
GPT-2's own names; `checkpoints.py` reads and writes them as Hugging Face stores them.

One function serves training, sampling and the exact enumeration: `forward` reads n new
tokens after `start` tokens whose keys and values are already in the cache. It is to be
read for one sequence; leading axes *batch are as many of them, with which a CPU
multiplies larger matrices than with `vmap`.

Source: Vaswani et al. (2017); Radford et al. (2019), section 2.3.
Shapes: V tokens in the vocabulary, D = H heads x K, L blocks, C positions of context.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Scalar

from mdp.interface.configs import require_divisor, require_positive


@dataclass(frozen=True)
class TransformerConfig:
    """The size of a model."""

    num_layers: int = 2
    num_heads: int = 2
    d_model: int = 32  # width; a multiple of num_heads

    def __post_init__(self):
        require_positive(self, "num_layers", "num_heads", "d_model")
        require_divisor("num_heads", self.num_heads, "d_model", self.d_model)


class LayerNorm(NamedTuple):
    g: Float[Array, "... D"]  # gain
    b: Float[Array, "... D"]  # bias


class Linear(NamedTuple):
    w: Float[Array, "..."]
    b: Float[Array, "..."]


class Block(NamedTuple):
    """One layer; in `Transformer.h`, all of them with a leading axis L."""

    ln_1: LayerNorm
    c_attn: Linear  # w [D, 3, H, K]: queries, keys and values
    attn_c_proj: Linear  # w [H, K, D]
    ln_2: LayerNorm
    c_fc: Linear  # w [D, 4 D]
    mlp_c_proj: Linear  # w [4 D, D]


class Transformer(NamedTuple):
    wte: Float[Array, "V D"]  # token embedding, and the output layer
    wpe: Float[Array, "C D"]  # position embedding
    h: Block  # the blocks, stacked
    ln_f: LayerNorm


class Cache(NamedTuple):
    """Keys and values of the tokens read so far, by position, of each block.

    Not stacked: to write one token, all blocks would be copied.
    """

    keys: tuple[Float[Array, "*batch H C K"], ...]
    values: tuple[Float[Array, "*batch H C K"], ...]

    @property
    def room(self) -> int:
        """Tokens that fit."""
        return self.keys[0].shape[-2]


@partial(jax.jit, static_argnums=(1, 2, 3))
def init(
    key: Key[Array, ""], vocabulary_size: int, context: int, config: TransformerConfig
) -> Transformer:
    """Random parameters: weights N(0, 1 / fan-in), residual ones scaled by 1/sqrt(2L).

    Source: Radford et al. (2019), section 2.3, for the residual scale.
    """
    L, H, D = config.num_layers, config.num_heads, config.d_model
    K = D // H
    wte_key, wpe_key, attn_key, proj_key, fc_key, mlp_key = jax.random.split(key, 6)

    def normal(key, shape, scale):
        return scale * jax.random.normal(key, shape)

    def norm(*shape):
        return LayerNorm(jnp.ones(shape), jnp.zeros(shape))

    residual = (2 * L) ** -0.5
    return Transformer(
        wte=normal(wte_key, (vocabulary_size, D), D**-0.5),
        wpe=normal(wpe_key, (context, D), 0.1 * D**-0.5),
        h=Block(
            ln_1=norm(L, D),
            c_attn=Linear(
                normal(attn_key, (L, D, 3, H, K), D**-0.5), jnp.zeros((L, 3, H, K))
            ),
            attn_c_proj=Linear(
                normal(proj_key, (L, H, K, D), residual * D**-0.5), jnp.zeros((L, D))
            ),
            ln_2=norm(L, D),
            c_fc=Linear(normal(fc_key, (L, D, 4 * D), D**-0.5), jnp.zeros((L, 4 * D))),
            mlp_c_proj=Linear(
                normal(mlp_key, (L, 4 * D, D), residual * (4 * D) ** -0.5),
                jnp.zeros((L, D)),
            ),
        ),
        ln_f=norm(D),
    )


def require_room(params: Transformer, num_tokens: int) -> None:
    """Refuse texts that are longer than the model's context.

    An index beyond the last position would not fail in jax: it is read as the last.
    """
    context = params.wpe.shape[0]
    if num_tokens > context:
        raise ValueError(
            f"text must fit into the model's context of {context} tokens, prompt and "
            f"completion together, got {num_tokens}"
        )


def empty_cache(params: Transformer, length: int, batch: tuple[int, ...] = ()) -> Cache:
    """Room for `length` tokens; what is not yet written is never attended to."""
    require_room(params, length)
    L, _, _, H, K = params.h.c_attn.w.shape
    zeros = jnp.zeros((*batch, H, length, K), params.wte.dtype)
    return Cache((zeros,) * L, (zeros,) * L)


def forward(
    params: Transformer,
    tokens: Int[Array, "*batch n"],
    cache: Cache,
    start: int | Int[Array, ""] = 0,
    only: Int[Array, "*batch"] | None = None,
) -> tuple[Float[Array, "*batch m D"], Cache]:
    """Hidden states of the tokens at start .. start + n - 1, and the new cache.

    Or `only` that of one token of each text: the last block is spared the others.
    """
    positions = start + jnp.arange(tokens.shape[-1])
    x = params.wte[tokens] + params.wpe[positions]

    after = []
    for i, of_block in enumerate(zip(*cache, strict=True)):
        block = jax.tree.map(lambda w, i=i: w[i], params.h)
        attended, written = _attention(block, _norm(block.ln_1, x), of_block, start)
        x = x + attended
        if only is not None and i == len(cache.keys) - 1:
            x = jnp.take_along_axis(x, only[..., None, None], axis=-2)
        x = x + _mlp(block, _norm(block.ln_2, x))
        after.append(written)
    return _norm(params.ln_f, x), Cache(*zip(*after, strict=True))


def hidden_states(
    params: Transformer, tokens: Int[Array, "*batch n"]
) -> Float[Array, "*batch n D"]:
    """Hidden states of a whole sequence; the one at t has read tokens 0 .. t."""
    *batch, length = tokens.shape
    return forward(params, tokens, empty_cache(params, length, tuple(batch)))[0]


def next_token_log_probs(
    params: Transformer,
    hidden: Float[Array, "*n D"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*n V"]:
    """Log pi(. | the tokens read so far); below temperature 1 the likely is likelier.

    A policy *has* a temperature: who samples at one must score at the same.
    """
    return tempered(next_token_logits(params, hidden), temperature)


def next_token_logits(
    params: Transformer, hidden: Float[Array, "*n D"]
) -> Float[Array, "*n V"]:
    """What the output layer, tied to the embedding, says of every token."""
    return hidden @ params.wte.T


def tempered(
    logits: Float[Array, "*n V"], temperature: float | Scalar
) -> Float[Array, "*n V"]:
    """Log pi(a) = logit_a / temperature - log sum_b exp(logit_b / temperature)."""
    return jax.nn.log_softmax(logits / temperature)


def causal_attention(
    queries: Float[Array, "*b n K"],
    keys: Float[Array, "*b C K"],
    values: Float[Array, "*b C K"],
    start: int | Int[Array, ""],
) -> Float[Array, "*b n K"]:
    """softmax(q k^T / sqrt(K)) v, over the keys up to each query's own position.

    The queries are those of the tokens at start .. start + n - 1.
    """
    scores = queries @ keys.mT / keys.shape[-1] ** 0.5  # [..., n, C]
    own = start + jnp.arange(queries.shape[-2])
    visible = jnp.arange(keys.shape[-2]) <= own[:, None]
    return jax.nn.softmax(jnp.where(visible, scores, -jnp.inf)) @ values


def _attention(block, x, cache, start):
    """Self-attention of n new tokens over the cache, in which they are written."""
    # Three products, not one to be taken apart: a quarter faster on a CPU.
    thirds = (Linear(block.c_attn.w[:, i], block.c_attn.b[i]) for i in range(3))
    queries, keys, values = (jnp.swapaxes(_linear(w, x), -3, -2) for w in thirds)
    write = partial(jax.lax.dynamic_update_slice_in_dim, start_index=start, axis=-2)
    keys, values = write(cache[0], keys), write(cache[1], values)
    mixed = causal_attention(queries, keys, values, start)
    mixed = jnp.swapaxes(mixed, -3, -2).reshape(x.shape)
    return _linear(block.attn_c_proj, mixed), (keys, values)


def _mlp(block, x):
    return _linear(block.mlp_c_proj, jax.nn.gelu(_linear(block.c_fc, x)))


def _linear(linear, x):
    """All tokens as rows of one matrix: the gradient takes half the time, on a CPU."""
    rows = x.reshape(-1, x.shape[-1])
    matrix = linear.w.reshape(rows.shape[1], -1)
    return (rows @ matrix).reshape(*x.shape[:-1], *linear.b.shape) + linear.b


def _norm(norm, x, epsilon=1e-5):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + epsilon) * norm.g + norm.b
