"""What is compared where answers alone do not say enough."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.policy_gradient.exercises.views import with_gradients

WRITING, OVER = 800, 100  # texts that go on, and texts that have ended


def draws(function, inputs):
    """What all good draws have in common, of many texts at once; the rest is chance."""
    key, logits, _, temperature = inputs.values()
    num_tokens = len(logits)
    texts = jnp.broadcast_to(logits, (WRITING + OVER, num_tokens))
    ended = jnp.arange(WRITING + OVER) >= WRITING
    answer = function(key, texts, ended, temperature)
    shapes = tuple(map(np.shape, answer)) if isinstance(answer, tuple) else answer
    if shapes != (ended.shape, ended.shape):
        return {"shapes of tokens and log-probabilities of so many texts": shapes}
    tokens, told = map(np.asarray, answer)
    again = np.asarray(function(key, texts, ended, temperature)[0])
    other = np.asarray(function(jax.random.key(99), texts, ended, temperature)[0])
    weights = np.exp(np.asarray(logits, float) / temperature)
    probs = weights / weights.sum()
    shares = np.bincount(tokens[:WRITING], minlength=num_tokens) / WRITING
    errors = np.sqrt(probs * (1 - probs) / WRITING)
    drawn = [told[:WRITING][tokens[:WRITING] == token] for token in range(num_tokens)]
    return {
        "whole numbers": bool(tokens.dtype.kind == "i"),
        "log-probability told of each token": np.array(
            [some.mean() if some.size else 0.0 for some in drawn], np.float32
        ),
        "drawn as often as pi_T says": bool((abs(shares - probs) < 4.5 * errors).all()),
        "different tokens drawn": int((shares > 0).sum()),
        "END after the end": bool((tokens[WRITING:] == 0).all()),
        "log-probabilities after the end are 0": bool((told[WRITING:] == 0).all()),
        "the same key, the same tokens": bool((again == tokens).all()),
        "another key, other tokens": bool((other != tokens).any()),
    }


def compiled(function, inputs):
    """The answer, by one compiled program: a transformer has many operations."""
    return jax.jit(function)(*inputs.values())


def scores_and_people(function, inputs):
    """A loss, and its gradients by both scores and by what is thought of the people."""
    return with_gradients(function, inputs, 3)
