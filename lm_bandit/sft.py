"""Learning to predict the next token: pretraining, and supervised fine-tuning.

    loss = - sum_t w_t log pi(y_t | y_<t) / sum_t w_t

Pretraining reads texts of every kind and learns them all (w = 1). Supervised fine-
tuning is behavioural cloning: it reads demonstrations of the task and learns the
completions alone (w = 0 on the prompt), up to and including the end-of-text token. It
learns what answers look like; what makes one *better* than another it is never told.

Source: Radford et al. (2019); Ouyang et al. (2022), section 3.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, Scalar

from lm_bandit.generate import at_tokens, completion_mask
from lm_bandit.transformer import Transformer, hidden_states, next_token_log_probs
from lm_bandit.world import END, World, word_frequencies
from mdp.interface.configs import require_positive
from policy_gradient import training


@dataclass(frozen=True)
class LanguageConfig:
    """Next-token training, by Adam with a step size annealed to 0."""

    num_updates: int = 300
    batch_size: int = 128  # texts
    step_size: float = 5e-3

    def __post_init__(self):
        require_positive(self, "num_updates", "batch_size", "step_size")


class Texts(NamedTuple):
    tokens: Int[Array, "n T"]
    weights: Float[Array, "n T"]  # 1 on tokens to be learned, 0 on prompts and padding


def as_texts(tokens: Int[np.ndarray, "n T"]) -> Texts:
    """Whole texts to be learned, up to and including their end."""
    return Texts(jnp.asarray(tokens), jax.vmap(completion_mask)(jnp.asarray(tokens)))


def as_demonstrations(
    prompts: Int[np.ndarray, "n P"], completions: Int[np.ndarray, "n C"]
) -> Texts:
    """Prompts to be read and completions to be learned."""
    tokens = jnp.concatenate([prompts, completions], axis=1)
    weights = jax.vmap(completion_mask)(jnp.asarray(completions))
    return Texts(tokens, jnp.concatenate([jnp.zeros(prompts.shape), weights], axis=1))


def demonstrations(
    rng: np.random.Generator, world: World, count: int, care: float = 0.5
) -> tuple[Int[np.ndarray, "count P"], Int[np.ndarray, "count C"]]:
    """Prompts, and what hurried people write: "<word>" or "<word> and <word>".

    With probability `care` a writer means a word to answer the prompt: it is one that a
    rater, drawn at random, rated with the sign asked for. Otherwise it is any word.
    """
    (and_,) = world.encode("and")
    which = rng.integers(world.num_prompts, size=count)
    words = (
        _words(rng, world, world.signs[which], care),
        _words(rng, world, world.signs[which], care),
    )
    completions = np.full((count, world.completion_length), END)
    completions[:, 0] = words[0]
    two = rng.random(count) < 0.5
    completions[two, 1], completions[two, 2] = and_, words[1][two]
    return world.prompts[which], completions


def _words(rng, world, signs, care):
    """One word for each sign asked for."""
    likes = (signs[:, None, None] * world.ratings[world.rated] > 0).mean(-1)
    weights = word_frequencies(world) * np.where(
        rng.random((len(signs), 1)) < care, likes, 1.0
    )
    cumulative = np.cumsum(weights, axis=1)
    uniforms = rng.random((len(signs), 1)) * cumulative[:, -1:]
    return world.rated[(uniforms > cumulative).sum(1)]


def train(
    key: Key[Array, ""],
    params: Transformer,
    texts: Texts,
    config: LanguageConfig,
    report: Callable[[int, Scalar], None] | None = None,
) -> tuple[Transformer, Float[Array, "updates"]]:
    """Minimise the loss on random batches; returns the parameters and the losses."""
    schedule = optax.linear_schedule(config.step_size, 0.0, config.num_updates)
    optimizer = optax.adam(schedule)

    def update(state, key):
        params, optimizer_state, texts = state
        rows = jax.random.randint(key, (config.batch_size,), 0, len(texts.tokens))
        batch = jax.tree.map(lambda x: x[rows], texts)
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state)
        params = optax.apply_updates(params, updates)
        return (params, optimizer_state, texts), value

    state = (params, optimizer.init(params), texts)
    (params, _, _), losses = training.loop(
        key, state, update, config.num_updates, report
    )
    return params, losses


def loss(params: Transformer, texts: Texts) -> Scalar:
    """The cross-entropy of a model on texts."""
    hidden = hidden_states(params, texts.tokens[:, :-1])
    return cross_entropy(next_token_log_probs(params, hidden), *texts)


def cross_entropy(
    log_probs: Float[Array, "n before V"],
    tokens: Int[Array, "n T"],
    weights: Float[Array, "n T"],
) -> Scalar:
    """Minus the log-probability in nats, a mean over the learned tokens of the batch.

    log_probs[:, t] are those of every token that could follow tokens[:, t].
    """
    # The first token is predicted by none.
    of_targets = at_tokens(log_probs, tokens[:, 1:])
    return -jnp.sum(of_targets * weights[:, 1:]) / jnp.sum(weights[:, 1:])
