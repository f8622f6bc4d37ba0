"""Completions: sampling them, and how probable the model finds them.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t),   t up to and including the end of text

A completion is an array of a fixed length. It ends with the first `END`; what stands
after that is padding (`END` again) and counts nowhere. One without `END` was cut off.

Many completions share a prompt: it is `read` once, and they go on from its cache. All
functions take one text or a batch of them, *b.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, Scalar

from lm_bandit.transformer import (
    Cache,
    Transformer,
    empty_cache,
    forward,
    next_token_log_probs,
    next_token_logits,
    tempered,
)
from lm_bandit.world import END


def completion_mask(completion: Int[Array, "*b C"]) -> Float[Array, "*b C"]:
    """1 on the tokens up to and including the first `END`, 0 on the padding."""
    is_end = (completion == END).astype(jnp.int32)
    ends_before = jnp.cumsum(is_end, axis=-1) - is_end
    return (ends_before == 0).astype(float)


def has_ended(completion: Int[Array, "*b C"]) -> Bool[Array, "*b"]:
    """Whether the completion holds an `END`; if not, the length limit cut it off."""
    return jnp.any(completion == END, axis=-1)


def at_last_token(
    x: Float[Array, "*b C"], completion: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """The entry at the first `END`; of what was cut off, that at its last token."""
    last = completion_mask(completion).sum(-1).astype(int) - 1
    return at_tokens(x, last)


class Context(NamedTuple):
    """Prompts that have been read, and room to go on from each."""

    hidden: Float[Array, "*b D"]  # at the last token of the prompt
    cache: Cache


def read_prompts(
    params: Transformer, prompts: Int[Array, "*b P"], length: int
) -> Context:
    """Read prompts once, to be followed by completions of `length` tokens."""
    *batch, size = prompts.shape
    cache = empty_cache(params, size + length, tuple(batch))
    hidden, cache = forward(params, prompts, cache)
    return Context(hidden[..., -1, :], cache)


def gather_contexts(context: Context, which: Int[Array, "n"]) -> Context:
    """The context of prompt number which[i], for each i: many share a prompt."""
    return jax.tree.map(lambda x: x[which], context)


def sample(
    params: Transformer,
    key: Key[Array, ""],
    context: Context,
    length: int,
    temperature: float | Scalar = 1.0,
) -> tuple[Int[Array, "*b C"], Float[Array, "*b C"]]:
    """A completion of at most `length` tokens for each prompt, token by token.

    And the log-probability of each token, by the policy at this temperature.
    """
    start = context.cache.room - length

    def draw(key, hidden, ended):
        logits = next_token_logits(params, hidden)
        return draw_tokens(key, logits, ended, temperature)

    def extend(state, step):
        tokens, cache, ended = state
        key, position = step
        hidden, cache = forward(params, tokens[..., None], cache, position)
        tokens, log_probs = draw(key, hidden[..., 0, :], ended)
        return (tokens, cache, ended | (tokens == END)), (tokens, log_probs)

    first_key, *keys = jax.random.split(key, length)
    first = draw(first_key, context.hidden, jnp.zeros(context.hidden.shape[:-1], bool))
    state = first[0], context.cache, first[0] == END
    if not keys:
        return tuple(x[..., None] for x in first)
    steps = jnp.stack(keys), start + jnp.arange(length - 1)
    _, rest = jax.lax.scan(extend, state, steps)
    return tuple(
        jnp.moveaxis(jnp.concatenate([one[None], more]), 0, -1)
        for one, more in zip(first, rest, strict=True)
    )


def draw_tokens(
    key: Key[Array, ""],
    logits: Float[Array, "*b V"],
    ended: Bool[Array, "*b"],
    temperature: float | Scalar,
) -> tuple[Int[Array, "*b"], Float[Array, "*b"]]:
    """The next token of each text, and its log-probability; `END` and 0 after the end.

    Who draws at a temperature has the log-probabilities of that temperature.
    """
    log_probs = tempered(logits, temperature)
    tokens = jnp.where(ended, END, jax.random.categorical(key, log_probs))
    return tokens, jnp.where(ended, 0.0, at_tokens(log_probs, tokens))


def prefix_states(
    params: Transformer, context: Context, completions: Int[Array, "*b C"]
) -> Float[Array, "*b C D"]:
    """Hidden states *before* each token: that of the prompt, and all but the last."""
    start = context.cache.room - completions.shape[-1]
    rest, _ = forward(params, completions[..., :-1], context.cache, start)
    return jnp.concatenate([context.hidden[..., None, :], rest], axis=-2)


def at_tokens(
    log_probs: Float[Array, "*b V"], tokens: Int[Array, "*b"]
) -> Float[Array, "*b"]:
    """The entry of each token."""
    return jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]


def token_log_probs(
    params: Transformer,
    prompts: Int[Array, "*b P"],
    completions: Int[Array, "*b C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*b C"]:
    """Log pi(y_t | x, y_<t) of each token of the completion; 0 on the padding."""
    context = read_prompts(params, prompts, completions.shape[-1])
    return log_probs_after(params, context, completions, temperature)


def log_probs_after(
    params: Transformer,
    context: Context,
    completions: Int[Array, "*b C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*b C"]:
    """The same, of prompts that have been read."""
    # The state before a token predicts it: labels and logits are off by one.
    hidden = prefix_states(params, context, completions)
    log_probs = next_token_log_probs(params, hidden, temperature)
    return at_tokens(log_probs, completions) * completion_mask(completions)


def completion_log_prob(
    params: Transformer,
    prompt: Int[Array, "*b P"],
    completion: Int[Array, "*b C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*b"]:
    """Log pi(completion | prompt): a sum over its tokens, the padding left out."""
    return token_log_probs(params, prompt, completion, temperature).sum(-1)
