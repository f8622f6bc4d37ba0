"""A decoder-only transformer with the architecture of GPT-2.

    x = wte[tokens] + wpe[positions]
    for each block:   x = x + attention(ln_1(x));   x = x + mlp(ln_2(x))
    hidden = ln_f(x),   logits = hidden @ wte.T

It has pre-norm, learned positions, GELU, and an output layer tied to the token
embedding. Parameters have GPT-2's own names; `checkpoints.py` reads and writes them in
Hugging Face's format.

One function serves training, sampling and the exact enumeration: `forward` reads n new
tokens after `start` tokens whose keys and values are already in the cache. Read it for
one sequence. Leading axes *batch hold more sequences: a CPU multiplies one large matrix
faster than the many small ones of `vmap`.

Source: Vaswani et al. (2017); Radford et al. (2019), section 2.3.
Shapes: V tokens in the vocabulary, D = H heads x K, L blocks, C positions of context.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Scalar

from lm_bandit.config import TransformerConfig


class LayerNorm(NamedTuple):
    """Gain and bias of a layer normalisation."""

    g: Float[Array, "... D"]  # gain
    b: Float[Array, "... D"]  # bias


class Linear(NamedTuple):
    """Weights and biases of an affine map, x w + b."""

    w: Float[Array, "..."]
    b: Float[Array, "..."]


class Block(NamedTuple):
    """Parameters of one block; `Transformer.h` stacks all L along a leading axis."""

    ln_1: LayerNorm
    c_attn: Linear  # w [D, 3, H, K]: queries, keys and values
    attn_c_proj: Linear  # w [H, K, D]
    ln_2: LayerNorm
    c_fc: Linear  # w [D, 4 D]
    mlp_c_proj: Linear  # w [4 D, D]


class Layer(NamedTuple):
    """Parameters of one block, each an array of its own: see `unstacked`."""

    ln_1: LayerNorm
    query: Linear  # w [D, H, K]
    key: Linear
    value: Linear
    attn_c_proj: Linear  # w [H, K, D]
    ln_2: LayerNorm
    c_fc: Linear  # w [D, 4 D]
    mlp_c_proj: Linear  # w [4 D, D]


@jax.tree_util.register_static
@dataclass(frozen=True)
class Activation:
    """GELU, x Phi(x): exactly, or by the approximation that GPT-2 was trained with.

    Source: Hendrycks & Gimpel (2016), section 2.
    """

    name: str = "gelu_new"  # Hugging Face's words: by tanh, or "gelu" for the exact one

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.gelu(x, approximate=self.name != "gelu")


class Transformer(NamedTuple):
    """All parameters of the language model."""

    wte: Float[Array, "V D"]  # token embedding, and the output layer
    wpe: Float[Array, "C D"]  # position embedding
    h: Block  # the blocks, stacked
    ln_f: LayerNorm
    activation: Activation = Activation()  # a choice, and no parameter


class Cache(NamedTuple):
    """Keys and values of the tokens read so far, in each block.

    A tuple with an entry per block: writing one token into a stacked array would copy
    all blocks.
    """

    keys: tuple[Float[Array, "*batch H C K"], ...]
    values: tuple[Float[Array, "*batch H C K"], ...]

    @property
    def room(self) -> int:
        """The number of tokens that fit into the cache, C."""
        return self.keys[0].shape[-2]


# Keys and values of one block.
Memory = tuple[Float[Array, "*batch H C K"], Float[Array, "*batch H C K"]]


@partial(jax.jit, static_argnums=(1, 2, 3))
def init(
    key: Key[Array, ""], vocabulary_size: int, context: int, config: TransformerConfig
) -> Transformer:
    """Return random parameters: N(0, 1 / fan-in), scaled by 1 / sqrt(2 L) in residuals.

    Source: Radford et al. (2019), section 2.3, for the residual scale.
    """
    L, H, D = config.num_layers, config.num_heads, config.d_model
    K = D // H
    wte_key, wpe_key, attn_key, proj_key, fc_key, mlp_key = jax.random.split(key, 6)

    def normal(key: Key[Array, ""], scale: float, *shape: int) -> Float[Array, "..."]:
        return scale * jax.random.normal(key, shape)

    def norm(*shape: int) -> LayerNorm:
        return LayerNorm(jnp.ones(shape), jnp.zeros(shape))

    residual = (2 * L) ** -0.5
    attn = normal(attn_key, D**-0.5, L, D, 3, H, K)
    attn_proj = normal(proj_key, residual * D**-0.5, L, H, K, D)
    fc = normal(fc_key, D**-0.5, L, D, 4 * D)
    mlp_proj = normal(mlp_key, residual * (4 * D) ** -0.5, L, 4 * D, D)
    return Transformer(
        wte=normal(wte_key, D**-0.5, vocabulary_size, D),
        wpe=normal(wpe_key, 0.1 * D**-0.5, context, D),
        h=Block(
            ln_1=norm(L, D),
            c_attn=Linear(attn, jnp.zeros((L, 3, H, K))),
            attn_c_proj=Linear(attn_proj, jnp.zeros((L, D))),
            ln_2=norm(L, D),
            c_fc=Linear(fc, jnp.zeros((L, 4 * D))),
            mlp_c_proj=Linear(mlp_proj, jnp.zeros((L, D))),
        ),
        ln_f=norm(D),
    )


def require_room(params: Transformer, num_tokens: int) -> None:
    """Raise ValueError where a text is longer than the model's context.

    An index beyond the last position would not fail in jax: it is read as the last.
    """
    context = params.wpe.shape[0]
    if num_tokens > context:
        raise ValueError(
            f"text must fit into the model's context of {context} tokens, prompt and "
            f"completion together, got {num_tokens}"
        )


def empty_cache(params: Transformer, length: int, batch: tuple[int, ...] = ()) -> Cache:
    """Return a cache with room for `length` tokens; unwritten places are not read."""
    require_room(params, length)
    L, _, _, H, K = params.h.c_attn.w.shape
    zeros = jnp.zeros((*batch, H, length, K), params.wte.dtype)
    return Cache((zeros,) * L, (zeros,) * L)


def hidden_states(
    params: Transformer, tokens: Int[Array, "*batch n"]
) -> Float[Array, "*batch n D"]:
    """Hidden states of a whole sequence; the state at t has read tokens 0 .. t.

    Source: Radford et al. (2019), section 2.3.
    """
    *batch, length = tokens.shape
    return forward(params, tokens, empty_cache(params, length, tuple(batch)))[0]


def forward(
    params: Transformer,
    tokens: Int[Array, "*batch n"],
    cache: Cache,
    start: int | Int[Array, ""] = 0,
    only: Int[Array, "*batch"] | None = None,
    layers: tuple[Layer, ...] | None = None,
) -> tuple[Float[Array, "*batch m D"], Cache]:
    """Hidden states of the tokens at start .. start + n - 1, and the new cache.

    With `only`, the last block computes one token's state per text: the one at this
    index among the n. A loop gives `layers`: the `unstacked` blocks of params.
    Source: Radford et al. (2019), section 2.3.
    """
    positions = start + jnp.arange(tokens.shape[-1])
    x = params.wte[tokens] + params.wpe[positions]
    memories = []
    layers = layers or unstacked(params.h)
    for layer, memory in zip(layers, zip(*cache, strict=True), strict=True):
        normed = layer_norm(layer.ln_1, x)
        memory = _remember(layer, normed, memory, start)
        x = x + attention(layer, normed, memory, start)
        if only is not None and layer is layers[-1]:
            x = jnp.take_along_axis(x, only[..., None, None], axis=-2)
        x = x + mlp(layer, layer_norm(layer.ln_2, x), params.activation)
        memories.append(memory)
    return layer_norm(params.ln_f, x), Cache(*zip(*memories, strict=True))


def attention(
    layer: Layer,
    x: Float[Array, "*batch n D"],
    memory: Memory,
    start: int | Int[Array, ""],
) -> Float[Array, "*batch n D"]:
    """Self-attention of n tokens to those up to themselves, by H heads side by side.

    Source: Vaswani et al. (2017), section 3.2.2.
    """
    keys, values = memory
    by_head = causal_attention(project(layer.query, x), keys, values, start)
    mixed = jnp.swapaxes(by_head, -3, -2).reshape(x.shape)
    return linear(layer.attn_c_proj, mixed)


def causal_attention(
    queries: Float[Array, "*b n K"],
    keys: Float[Array, "*b C K"],
    values: Float[Array, "*b C K"],
    start: int | Int[Array, ""],
) -> Float[Array, "*b n K"]:
    """softmax(q k^T / sqrt(K)) v, over the keys up to each query's own position.

    The queries belong to the tokens at start .. start + n - 1.
    Source: Vaswani et al. (2017), eq. 1 and section 3.2.3.
    """
    scores = queries @ keys.mT / keys.shape[-1] ** 0.5  # [..., n, C]
    own = start + jnp.arange(queries.shape[-2])
    visible = jnp.arange(keys.shape[-2]) <= own[:, None]
    return jax.nn.softmax(jnp.where(visible, scores, -jnp.inf)) @ values


def mlp(
    layer: Layer, x: Float[Array, "*batch n D"], activation: Activation
) -> Float[Array, "*batch n D"]:
    """A hidden layer of 4 D units, GELU(x w_1 + b_1) w_2 + b_2, for each token alone.

    Source: Vaswani et al. (2017), eq. 2; Hendrycks & Gimpel (2016) for GELU.
    """
    return linear(layer.mlp_c_proj, activation(linear(layer.c_fc, x)))


def layer_norm(norm: LayerNorm, x: Float[Array, "*n D"]) -> Float[Array, "*n D"]:
    """Layer normalisation: g (x - mean) / sqrt(variance + 1e-5) + b, per token.

    Source: Ba et al. (2016), eqs. 3 and 4.
    """
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5) * norm.g + norm.b


def next_token_log_probs(
    params: Transformer, hidden: Float[Array, "*n D"], temperature: float | Scalar = 1.0
) -> Float[Array, "*n V"]:
    """Log pi(. | the tokens read so far), at a temperature; below 1 it is less random.

    The temperature is part of the policy: sampling and scoring must use the same one.
    """
    return tempered(next_token_logits(params, hidden), temperature)


def next_token_logits(
    params: Transformer, hidden: Float[Array, "*n D"]
) -> Float[Array, "*n V"]:
    """Logits of the output layer, which is tied to the embedding: hidden @ wte.T.

    Source: Press & Wolf (2017), section 3, on tied embeddings.
    """
    return hidden @ params.wte.T


def tempered(
    logits: Float[Array, "*n V"], temperature: float | Scalar
) -> Float[Array, "*n V"]:
    """Log pi(a) = logit_a / temperature - log sum_b exp(logit_b / temperature).

    Source: Ackley et al. (1985), section 2; Sutton & Barto (2018), section 2.8.
    """
    return jax.nn.log_softmax(logits / temperature)


# What follows is arranged for speed on a CPU.


def unstacked(blocks: Block) -> tuple[Layer, ...]:
    """Return the blocks one by one, with queries, keys and values apart.

    Three products are a quarter faster on a CPU than one that is split in three. A loop
    that reads token by token must call this before it: else it copies all parameters
    out of the stack for every token.
    """

    def layer(i: int) -> Layer:
        block = jax.tree.map(lambda w: w[i], blocks)
        query, key, value = (
            Linear(block.c_attn.w[:, part], block.c_attn.b[part]) for part in range(3)
        )
        return Layer(
            block.ln_1,
            query,
            key,
            value,
            block.attn_c_proj,
            block.ln_2,
            block.c_fc,
            block.mlp_c_proj,
        )

    return tuple(map(layer, range(len(blocks.c_fc.w))))


def _remember(
    layer: Layer,
    x: Float[Array, "*batch n D"],
    memory: Memory,
    start: int | Int[Array, ""],
) -> Memory:
    """Write the keys and values of n new tokens into the cache of one block."""
    write = partial(jax.lax.dynamic_update_slice_in_dim, start_index=start, axis=-2)
    keys, values = project(layer.key, x), project(layer.value, x)
    return write(memory[0], keys), write(memory[1], values)


def project(
    heads: Linear, x: Float[Array, "*batch n D"]
) -> Float[Array, "*batch H n K"]:
    """Queries, keys or values of all heads."""
    return jnp.swapaxes(linear(heads, x), -3, -2)


def linear(layer: Linear, x: Float[Array, "*n D"]) -> Float[Array, "..."]:
    """Affine map of each token: x w + b.

    All tokens become the rows of one matrix: on a CPU this halves the gradient's time.
    """
    rows = x.reshape(-1, x.shape[-1])
    matrix = layer.w.reshape(rows.shape[1], -1)
    return (rows @ matrix).reshape(*x.shape[:-1], *layer.b.shape) + layer.b
