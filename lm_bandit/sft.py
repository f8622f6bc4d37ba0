"""Learning to predict the next token: pretraining, and supervised fine-tuning.

    loss = - sum_t w_t log pi(y_t | y_<t) / sum_t w_t

Pretraining reads texts of every kind and learns all their tokens (w = 1). Supervised
fine-tuning is behavioural cloning: it reads demonstrations of the task and learns only
the completions (w = 0 on the prompt), up to and including the end-of-text token. The
model learns the format of an answer; nothing tells it which answer is *better*.

Source: Radford et al. (2019); Ouyang et al. (2022), section 3.5.
Shapes: n texts of T tokens; P tokens of a prompt, C of a completion; V tokens in all.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar

from lm_bandit.bandit import in_format
from lm_bandit.config import AdamConfig, LanguageConfig
from lm_bandit.generate import at_tokens, completion_mask
from lm_bandit.transformer import Transformer, hidden_states, next_token_log_probs
from lm_bandit.world import END, World, word_frequencies
from mdp.interface.progress import next_checkpoint
from policy_gradient import training
from policy_gradient.devices import split

Model = TypeVar("Model")


class Texts(NamedTuple):
    """Texts to learn from."""

    tokens: Int[Array, "n T"]
    weights: Float[Array, "n T"]  # 1 on tokens to be learned, 0 on prompts and padding


class Descent(NamedTuple):
    """A model on its way down a loss, between two gradient steps."""

    model: PyTree
    optimizer_state: optax.OptState


def as_texts(tokens: Int[np.ndarray, "n T"]) -> Texts:
    """Return whole texts, to be learned up to and including their end."""
    return Texts(jnp.asarray(tokens), completion_mask(jnp.asarray(tokens)))


def as_demonstrations(
    prompts: Int[np.ndarray, "n P"], completions: Int[np.ndarray, "n C"]
) -> Texts:
    """Return prompts that are only read, with completions that are learned."""
    tokens = jnp.concatenate([prompts, completions], axis=1)
    weights = completion_mask(jnp.asarray(completions))
    return Texts(tokens, jnp.concatenate([jnp.zeros(prompts.shape), weights], axis=1))


def demonstrations(
    rng: np.random.Generator, world: World, count: int, care: float = 0.5
) -> tuple[Int[np.ndarray, "count P"], Int[np.ndarray, "count C"]]:
    """Return prompts with simulated answers to them: "<word>" or "<word> and <word>".

    With probability `care` a word answers the prompt: a rater, drawn at random, gave it
    the sign asked for. Otherwise it is any word, as if written in a hurry.
    """
    (and_,) = world.encode("and")
    which = rng.integers(world.num_prompts, size=count)
    first, second = (_words(rng, world, world.signs[which], care) for _ in range(2))
    completions = np.full((count, world.completion_length), END)
    completions[:, 0] = first
    two = rng.random(count) < 0.5
    completions[two, 1], completions[two, 2] = and_, second[two]
    return world.prompts[which], completions


def _words(
    rng: np.random.Generator, world: World, signs: Int[np.ndarray, "count"], care: float
) -> Int[np.ndarray, "count"]:
    """Draw one word for each sign asked for."""
    careful = rng.random((len(signs), 1)) < care
    weights = word_frequencies(world) * np.where(careful, _likes(world, signs), 1.0)
    cumulative = np.cumsum(weights, axis=1)
    uniforms = rng.random((len(signs), 1)) * cumulative[:, -1:]
    return world.rated[(uniforms > cumulative).sum(1)]


def _likes(
    world: World, signs: Int[np.ndarray, "count"]
) -> Float[np.ndarray, "count words"]:
    """Return the share of the raters who gave each word the sign asked for."""
    return (signs[:, None, None] * world.ratings[world.rated] > 0).mean(-1)


def demonstration_probs(
    world: World, completions: Int[np.ndarray, "n C"], care: float = 0.5
) -> Float[np.ndarray, "k n"]:
    """Probability of each completion as a demonstration for each prompt.

        p("w" | x) = p(w | x) / 2,     p("w and w'" | x) = p(w | x) p(w' | x) / 2

    It is 0 for a completion that is not in the format, and the sum over all that end
    is 1. No model can have a lower loss on demonstrations than their own entropy.
    Source: Cover & Thomas (2006), theorem 2.6.3, the information inequality.
    """
    (and_,) = world.encode("and")
    by_token = np.zeros((world.num_prompts, len(world.vocabulary)))
    by_token[:, world.rated] = demonstration_word_probs(world, care)
    first, second = by_token[:, completions[:, 0]], by_token[:, completions[:, 2]]
    probs = 0.5 * first * np.where(completions[:, 1] == and_, second, 1.0)
    return np.where(in_format(world, completions), probs, 0.0)


def demonstration_word_probs(
    world: World, care: float = 0.5
) -> Float[np.ndarray, "k words"]:
    """Probability of each rated word in a demonstration for each prompt.

        p(w | x) = care f(w) like(w, x) / sum_w' f(w') like(w', x) + (1 - care) f(w)

    f is the frequency of a word in the language, and like(w, x) the share of the raters
    who gave it the sign that the prompt asks for: a careful writer follows one of them.
    """
    frequencies = word_frequencies(world)
    meant = frequencies * _likes(world, world.signs)
    careful = meant / meant.sum(1, keepdims=True)
    return care * careful + (1.0 - care) * frequencies


def train(
    key: Key[Array, ""],
    params: Transformer,
    texts: Texts,
    config: LanguageConfig,
    report: Callable[[int, Scalar], None] | None = None,
) -> tuple[Transformer, Float[Array, "updates"]]:
    """Minimise the loss on random batches; return the parameters and the losses."""
    return minimise(key, params, texts, loss_and_metric, config, report)


def minimise(
    key: Key[Array, ""],
    model: Model,
    data: PyTree,
    loss: Callable[[Model, PyTree], tuple[Scalar, PyTree]],
    config: AdamConfig,
    report: Callable[[int, PyTree], None] | None = None,
) -> tuple[Model, PyTree]:
    """Minimise a loss by Adam on random batches; return the model and the metrics.

    Source: Kingma & Ba (2015), algorithm 1.

    Args:
        key: draws the batches.
        model: the parameters over which the loss is minimised.
        data: arrays of n rows; a batch is some of their rows.
        loss: maps a model and a batch to the loss and the metrics of that batch.
        config: the optimizer's settings.
        report: called with the updates done and the metrics of the last of them; with
            it, `BrokenRun` is raised where a number is not finite.
    """
    start = Descent(model, _optimizer(config).init(model))
    (descent, _), metrics = training.loop(
        key,
        (start, jax.tree.map(jnp.asarray, data)),
        _updates(loss, config),
        config.num_updates,
        report,
        _require_finite,
        next_checkpoint(report),
    )
    return descent.model, metrics


@training.shared
def _updates(
    loss: Callable[[Model, PyTree], tuple[Scalar, PyTree]], config: AdamConfig
) -> training.Program:
    """Return the gradient steps as one program."""
    optimizer = _optimizer(config)

    def advance(
        carry: tuple[Descent, PyTree], key: Key[Array, ""]
    ) -> tuple[tuple[Descent, PyTree], PyTree]:
        descent, data = carry
        descent, metrics = descend_once(
            descent, key, data, loss, optimizer, config.batch_size
        )
        return (descent, data), metrics

    return training.scanned(advance)


def descend_once(
    descent: Descent,
    key: Key[Array, ""],
    data: PyTree,
    loss: Callable[[Model, PyTree], tuple[Scalar, PyTree]],
    optimizer: optax.GradientTransformation,
    batch_size: int,
) -> tuple[Descent, PyTree]:
    """Take one gradient step on a random batch; return the state and the metrics.

        batch  ~  rows of the data, with replacement
        theta  <-  theta + the optimizer's step for grad loss(theta, batch)

    Row numbers are `jax.random.randint(key, (batch_size,), 0, n)`. Each leaf of the
    data has n rows; for SFT the data are `Texts`, whose weights are 0 on prompts.
    `loss` returns the loss and the metrics of a batch, before the step.
    Source: Kingma & Ba (2015), algorithm 1.
    """
    num_rows = len(jax.tree.leaves(data)[0])
    rows = jax.random.randint(key, (batch_size,), 0, num_rows)
    batch = split(jax.tree.map(lambda x: x[rows], data))
    gradient, metrics = jax.grad(loss, has_aux=True)(descent.model, batch)
    step, optimizer_state = optimizer.update(gradient, descent.optimizer_state)
    return Descent(optax.apply_updates(descent.model, step), optimizer_state), metrics


def _optimizer(config: AdamConfig) -> optax.GradientTransformation:
    """Return Adam with a step size that falls to 0 linearly."""
    schedule = optax.linear_schedule(config.step_size, 0.0, config.num_updates)
    return optax.adam(schedule)


def _require_finite(done: int, before: PyTree, after: PyTree, metrics: PyTree) -> None:
    """Raise `BrokenRun` if a loss or the model after `done` updates is not finite."""
    rows = [np.reshape(x, (len(x), -1)) for x in jax.tree.leaves(metrics)]
    sound = np.all(np.isfinite(np.concatenate(rows, axis=1)), axis=1, keepdims=True)
    # A gradient step that breaks the model shows in the loss of the next one.
    sound[-1] &= all(np.isfinite(x).all() for x in jax.tree.leaves(after[0].model))
    if not sound.all():
        update = done - len(sound) + int(sound.argmin()) + 1
        message = "expected finite numbers, got nan or inf: try a smaller step size"
        raise training.BrokenRun(update, message, before[0].model)


def loss_and_metric(params: Transformer, texts: Texts) -> tuple[Scalar, Scalar]:
    """Return the loss on texts twice: to minimise, and to report."""
    value = loss(params, texts)
    return value, value


def loss(params: Transformer, texts: Texts) -> Scalar:
    """Cross-entropy of a model on texts, in nats per learned token.

    Source: Radford et al. (2019), section 2; Ouyang et al. (2022), section 3.5.
    """
    hidden = hidden_states(params, texts.tokens[:, :-1])
    log_probs = next_token_log_probs(params, hidden)
    return cross_entropy(log_probs, texts.tokens, texts.weights)


def cross_entropy(
    log_probs: Float[Array, "n before V"],
    tokens: Int[Array, "n T"],
    weights: Float[Array, "n T"],
) -> Scalar:
    """- sum_t w_t log pi(y_t | y_<t) / sum_t w_t, over the learned tokens of the batch.

    log_probs[:, t] are those of every token that could follow tokens[:, t].
    Source: Radford et al. (2018), eq. 1.
    """
    # The first token has no prediction.
    of_targets = at_tokens(log_probs, tokens[:, 1:])
    return -jnp.sum(of_targets * weights[:, 1:]) / jnp.sum(weights[:, 1:])
