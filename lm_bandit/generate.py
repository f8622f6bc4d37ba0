"""Completions: how they are sampled, and their probability under the model.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t),   t up to and including the end of text

A completion is an array of a fixed length. It ends with the first `END`; what stands
after that is padding (`END` again) and counts nowhere. A completion without `END` was
cut off by the length limit.

Many completions share a prompt. The model reads each prompt once (`read_prompts`), and
every completion continues from that cache. All functions take one text, or a batch *b.

Source: Radford et al. (2019), section 2; Ziegler et al. (2019), section 2.
Shapes: P tokens of a prompt, C of a completion, D the model's width, V tokens in all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Scalar

from lm_bandit.transformer import (
    Cache,
    Transformer,
    empty_cache,
    forward,
    next_token_log_probs,
    next_token_logits,
    tempered,
    unstacked,
)
from lm_bandit.world import END


def completion_mask(completion: Int[Array, "*b C"]) -> Float[Array, "*b C"]:
    """1 on the tokens up to and including the first `END`, 0 on the padding.

    Source: Huang et al. (2024), the details on padding.
    """
    is_end = (completion == END).astype(jnp.int32)
    ends_before = jnp.cumsum(is_end, axis=-1) - is_end
    return (ends_before == 0).astype(float)


def has_ended(completion: Int[Array, "*b C"]) -> Bool[Array, "*b"]:
    """True where the completion holds an `END`; else the length limit cut it off."""
    return jnp.any(completion == END, axis=-1)


def at_last_token(
    x: Float[Array, "*b C"], completion: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """Return the entry of x at the first `END`, or at the last token if cut off.

    Source: Ziegler et al. (2019), section 2.1, on the reward of a whole sample.
    """
    last = completion_mask(completion).sum(-1).astype(int) - 1
    return at_tokens(x, last)


def at_tokens(
    log_probs: Float[Array, "*b V"], tokens: Int[Array, "*b"]
) -> Float[Array, "*b"]:
    """Return the entry of each given token, along the last axis."""
    return jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]


class Context(NamedTuple):
    """Prompts that the model has read, with room to continue each."""

    hidden: Float[Array, "*b D"]  # at the last token of the prompt
    cache: Cache

    def rows(self, which: Int[Array, "n"]) -> "Context":
        """Return the context of prompt number which[i] for each row i."""
        return jax.tree.map(lambda x: x[which], self)


def read_prompts(
    params: Transformer, prompts: Int[Array, "*b P"], length: int
) -> Context:
    """Read prompts once, with room for completions of `length` tokens."""
    *batch, size = prompts.shape
    cache = empty_cache(params, size + length, tuple(batch))
    hidden, cache = forward(params, prompts, cache)
    return Context(hidden[..., -1, :], cache)


def sample(
    params: Transformer,
    key: Key[Array, ""],
    context: Context,
    length: int,
    temperature: float | Scalar = 1.0,
) -> tuple[Int[Array, "*b C"], Float[Array, "*b C"]]:
    """Sample a completion of at most `length` tokens for each prompt, token by token.

        y_t  ~  pi(. | x, y_<t)

    Returns the tokens and their log-probabilities, at this temperature.
    Source: Radford et al. (2019), section 2.
    """
    start = context.cache.room - length
    layers = unstacked(params.h)  # once, and not for every token

    def extend(state: PyTree, step: PyTree) -> tuple[PyTree, PyTree]:
        tokens, cache, ended = state
        key, position = step
        hidden, cache = forward(
            params, tokens[..., None], cache, position, layers=layers
        )
        logits = next_token_logits(params, hidden[..., 0, :])
        tokens, log_probs = draw_tokens(key, logits, ended, temperature)
        return (tokens, cache, ended | (tokens == END)), (tokens, log_probs)

    keys = jax.random.split(key, length)
    logits = next_token_logits(params, context.hidden)
    no_end = jnp.zeros(logits.shape[:-1], bool)
    first = draw_tokens(keys[0], logits, no_end, temperature)
    state = first[0], context.cache, first[0] == END
    _, rest = jax.lax.scan(extend, state, (keys[1:], start + jnp.arange(length - 1)))
    tokens, log_probs = (
        jnp.moveaxis(jnp.concatenate([one[None], more]), 0, -1)
        for one, more in zip(first, rest, strict=True)
    )
    return tokens, log_probs


def draw_tokens(
    key: Key[Array, ""],
    logits: Float[Array, "*b V"],
    ended: Bool[Array, "*b"],
    temperature: float | Scalar,
) -> tuple[Int[Array, "*b"], Float[Array, "*b"]]:
    """Draw the next token of each text; return it with its log-probability.

        y  ~  softmax(logits / temperature),       END and 0 where the text has ended

    Log-probabilities are those of the sampling temperature.
    Source: Holtzman et al. (2020), eq. 4.
    """
    log_probs = tempered(logits, temperature)
    tokens = jnp.where(ended, END, jax.random.categorical(key, log_probs))
    return tokens, jnp.where(ended, 0.0, at_tokens(log_probs, tokens))


def prefix_states(
    params: Transformer, context: Context, completions: Int[Array, "*b C"]
) -> Float[Array, "*b C D"]:
    """Hidden states *before* each token: the prompt's, then those of all but the last.

    The state before a token predicts it.
    """
    start = context.cache.room - completions.shape[-1]
    rest, _ = forward(params, completions[..., :-1], context.cache, start)
    return jnp.concatenate([context.hidden[..., None, :], rest], axis=-2)


def token_log_probs(
    params: Transformer,
    prompts: Int[Array, "*b P"],
    completions: Int[Array, "*b C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*b C"]:
    """Log pi(y_t | x, y_<t) of each token of the completion; 0 on the padding.

    Source: Radford et al. (2019), eq. 1.
    """
    context = read_prompts(params, prompts, completions.shape[-1])
    return log_probs_after(params, context, completions, temperature)


def log_probs_after(
    params: Transformer,
    context: Context,
    completions: Int[Array, "*b C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*b C"]:
    """Log-probability of each completion token, given prompts that have been read.

    Source: Radford et al. (2019), eq. 1.
    """
    hidden = prefix_states(params, context, completions)
    log_probs = next_token_log_probs(params, hidden, temperature)
    return at_tokens(log_probs, completions) * completion_mask(completions)


def completion_log_prob(
    params: Transformer,
    prompt: Int[Array, "*b P"],
    completion: Int[Array, "*b C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "*b"]:
    """Log pi(y | x) = sum_t log pi(y_t | x, y_<t), over the tokens up to the end.

    Source: Radford et al. (2019), eq. 1.
    """
    return token_log_probs(params, prompt, completion, temperature).sum(-1)
