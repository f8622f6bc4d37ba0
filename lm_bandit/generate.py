"""Completions: sampling them, and how probable the model finds them.

    log pi(y | x) = sum_t log pi(y_t | x, y_<t),   t up to and including the end of text

A completion is an array of a fixed length. It ends with the first `END`; what stands
after that is padding (`END` again) and counts nowhere. One without `END` was cut off.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, Scalar

from lm_bandit.text import END
from lm_bandit.transformer import (
    Transformer,
    empty_cache,
    forward,
    hidden_states,
    next_token_log_probs,
)


def completion_mask(completion: Int[Array, "C"]) -> Float[Array, "C"]:
    """1 on the tokens up to and including the first `END`, 0 on the padding."""
    is_end = (completion == END).astype(jnp.int32)
    ends_before = jnp.cumsum(is_end) - is_end
    return (ends_before == 0).astype(jnp.float32)


def has_ended(completion: Int[Array, "C"]) -> Bool[Array, ""]:
    """Whether the completion holds an `END`; if not, the length limit cut it off."""
    return jnp.any(completion == END)


def sample(
    params: Transformer,
    key: Key[Array, ""],
    prompt: Int[Array, "P"],
    length: int,
    temperature: float | Scalar = 1.0,
) -> tuple[Int[Array, "C"], Float[Array, "C"]]:
    """One completion of `length` tokens at most, and the log-probability of each token.

    The sampler is the policy at this temperature, and so are its log-probabilities.
    """
    cache = empty_cache(params, prompt.shape[0] + length)
    hidden, cache = forward(params, prompt, cache)

    def extend(state, step):
        hidden, cache, ended = state
        key, position = step
        log_probs = next_token_log_probs(params, hidden, temperature)
        token = jnp.where(ended, END, jax.random.categorical(key, log_probs))
        log_prob = jnp.where(ended, 0.0, log_probs[token])
        hidden, cache = forward(params, token[None], cache, position)
        return (hidden[0], cache, ended | (token == END)), (token, log_prob)

    positions = prompt.shape[0] + jnp.arange(length)
    _, (tokens, log_probs) = jax.lax.scan(
        extend, (hidden[-1], cache, False), (jax.random.split(key, length), positions)
    )
    return tokens, log_probs


def all_log_probs(
    params: Transformer,
    prompt: Int[Array, "P"],
    completion: Int[Array, "C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "C V"]:
    """Log pi(. | x, y_<t): of every token that could stand at each place."""
    # The hidden state at t predicts token t + 1: the last token is predicted, not read.
    tokens = jnp.concatenate([prompt, completion])[:-1]
    hidden = hidden_states(params, tokens)[prompt.shape[0] - 1 :]
    return next_token_log_probs(params, hidden, temperature)


def token_log_probs(
    params: Transformer,
    prompt: Int[Array, "P"],
    completion: Int[Array, "C"],
    temperature: float | Scalar = 1.0,
) -> Float[Array, "C"]:
    """Log pi(y_t | x, y_<t) of each token of the completion; 0 on the padding."""
    log_probs = all_log_probs(params, prompt, completion, temperature)
    of_tokens = jnp.take_along_axis(log_probs, completion[:, None], axis=1)[:, 0]
    return of_tokens * completion_mask(completion)


def completion_log_prob(
    params: Transformer,
    prompt: Int[Array, "P"],
    completion: Int[Array, "C"],
    temperature: float | Scalar = 1.0,
) -> Scalar:
    """Log pi(completion | prompt): a sum over its tokens, the padding left out."""
    return token_log_probs(params, prompt, completion, temperature).sum()
