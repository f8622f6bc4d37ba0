"""A reward model: a number for a completion, learned from which of two was preferred.

    P(chosen > rejected) = sigmoid(r(x, chosen) - r(x, rejected))     (Bradley & Terry)
    loss = - log sigmoid(r(x, chosen) - r(x, rejected))

The trunk starts as the SFT model and a linear head reads its hidden state at the
end-of-text token. Comparisons fix r only up to a constant per prompt, and its scale is
that of the annotators' agreement: `normalize` makes it 0 on average and 1 in standard
deviation over the completions of a prompt by the reference, so that a nat costs beta of
these deviations whatever the constants are.

Source: Bradley & Terry (1952); Ziegler et al. (2019), section 2.1 and eq. 1 (for four
completions); Stiennon et al. (2020), section 3.4; Ouyang et al. (2022), section 3.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Scalar

from lm_bandit import generate
from lm_bandit.generate import Context
from lm_bandit.transformer import Transformer, forward
from mdp.interface.configs import require_positive
from policy_gradient import training

Model = TypeVar("Model")


@dataclass(frozen=True)
class RewardConfig:
    """Training on comparisons, by Adam with a step size annealed to 0."""

    num_updates: int = 800
    batch_size: int = 64  # pairs
    step_size: float = 1e-3

    def __post_init__(self):
        require_positive(self, "num_updates", "batch_size", "step_size")


class Comparisons(NamedTuple):
    """For each prompt, the completion that an annotator preferred and the other one."""

    prompts: Int[np.ndarray, "n P"]
    chosen: Int[np.ndarray, "n C"]
    rejected: Int[np.ndarray, "n C"]
    tied: Bool[np.ndarray, "n"] | None = None  # neither was preferred
    annotators: Int[np.ndarray, "n"] | None = None


class RewardModel(NamedTuple):
    trunk: Transformer
    head: Float[Array, "D"]
    bias: Scalar


class RewardMetrics(NamedTuple):
    """One row per update, of its batch."""

    loss: Float[Array, "..."]
    accuracy: Float[Array, "..."]  # share of pairs whose chosen side scores higher


def init(trunk: Transformer) -> RewardModel:
    """The trunk as it is, and a head that gives every completion 0."""
    return RewardModel(trunk, jnp.zeros(trunk.wte.shape[1]), jnp.zeros(()))


def score(
    model: RewardModel, prompts: Int[Array, "*b P"], completions: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """r(x, y), read at the first end-of-text token; of completions that have ended."""
    context = generate.read_prompts(model.trunk, prompts, completions.shape[-1])
    return score_after(model, context, completions)


def score_after(
    model: RewardModel, context: Context, completions: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """The same, of prompts that have been read by the trunk."""
    length = completions.shape[-1]
    positions = jnp.broadcast_to(jnp.arange(float(length)), completions.shape)
    # Not the last position: what follows the first end of text is padding.
    end = generate.at_last_token(positions, completions).astype(int)
    start = context.cache.room - length
    hidden, _ = forward(model.trunk, completions, context.cache, start, only=end)
    return apply_head(model, hidden[..., 0, :])


def prefix_values(
    model: RewardModel, context: Context, completions: Int[Array, "*b C"]
) -> Float[Array, "*b C"]:
    """The head read *before* each token of a completion: a critic, q-hat of prefixes.

    The value at t has read the prompt and y_<t, not y_t: a baseline that sees the
    action which it is subtracted from makes the gradient biased.
    """
    return apply_head(model, generate.prefix_states(model.trunk, context, completions))


def apply_head(model: RewardModel, hidden: Float[Array, "*n D"]) -> Float[Array, "*n"]:
    """The head, on the hidden state at an end-of-text token."""
    return hidden @ model.head + model.bias


@jax.jit
def score_pairs(
    model: RewardModel, pairs: Comparisons
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """r(x, chosen) and r(x, rejected), in one pass over both; a prompt is read once."""
    completions = jnp.concatenate([pairs.chosen, pairs.rejected])
    context = generate.read_prompts(model.trunk, pairs.prompts, completions.shape[-1])
    of_both = generate.gather_contexts(
        context, jnp.tile(jnp.arange(len(pairs.prompts)), 2)
    )
    chosen, rejected = jnp.split(score_after(model, of_both, completions), 2)
    return chosen, rejected


def normalize(model: RewardModel, pairs: Comparisons) -> RewardModel:
    """The same order of completions; mean 0, and deviation 1 within a prompt.

    The pairs are the reference's own samples (Ziegler et al. 2019, section 2.2).
    """
    mean, deviation = mean_and_deviation(*score_pairs(model, pairs))
    bias = (model.bias - mean) / deviation
    return model._replace(head=model.head / deviation, bias=bias)


def mean_and_deviation(
    first: Float[Array, "n"], second: Float[Array, "n"]
) -> tuple[Scalar, Scalar]:
    """The mean of all scores, and their deviation within a prompt.

        deviation^2 = 1/2 mean of (r(x, y) - r(x, y'))^2

    Both sides of a pair answer one prompt, so half of their mean squared difference is
    the variance within a prompt; the spread between prompts means nothing and is not
    counted.
    """
    deviation = jnp.sqrt(jnp.mean((first - second) ** 2) / 2.0)
    return 0.5 * (first.mean() + second.mean()), deviation


def pair_accuracy(model: RewardModel, pairs: Comparisons) -> float:
    """The share of pairs whose chosen completion scores higher; ties are left out."""
    chosen, rejected = score_pairs(model, pairs)
    counted = True if pairs.tied is None else jnp.logical_not(pairs.tied)
    return float(jnp.mean(chosen > rejected, where=counted))


def loss(model: RewardModel, batch: Comparisons) -> tuple[Scalar, RewardMetrics]:
    """The pairwise loss of a batch, and what is to be seen of it."""
    chosen, rejected = score_pairs(model, batch)
    if batch.tied is None:
        value = pairwise_loss(chosen, rejected)
    else:
        value = soft_pairwise_loss(chosen, rejected, jnp.asarray(batch.tied))
    return value, RewardMetrics(value, jnp.mean(chosen > rejected))


def pairwise_loss(chosen: Float[Array, "n"], rejected: Float[Array, "n"]) -> Scalar:
    """-log sigmoid(r(x, chosen) - r(x, rejected)): the mean surprise at the answers.

    Source: Stiennon et al. (2020), section 3.4.
    """
    return -jnp.mean(jax.nn.log_sigmoid(chosen - rejected))


def soft_pairwise_loss(
    chosen: Float[Array, "n"],
    rejected: Float[Array, "n"],
    tied: Bool[Array, "n"],
    margin: float = 0.0,
    smoothing: float = 0.0,
) -> Scalar:
    """The pairwise loss where an answer need not be taken at its word.

        - t log sigmoid(d) - (1 - t) log sigmoid(-d),    d = r(chosen) - r(rejected) - m

    A tie is half a win for each side (t = 1/2, m = 0). Of the other answers t is
    1 - smoothing, which keeps d from growing beyond log(t / (1 - t)); and they ask for
    a margin m between the two.
    """
    shares = jnp.where(tied, 0.5, 1.0 - smoothing)
    differences = chosen - rejected - jnp.where(tied, 0.0, margin)
    for_chosen = jax.nn.log_sigmoid(differences)
    for_rejected = jax.nn.log_sigmoid(-differences)
    return -jnp.mean(shares * for_chosen + (1.0 - shares) * for_rejected)


def train(
    key: Key[Array, ""],
    model: Model,
    answers: PyTree,
    config: RewardConfig,
    report: Callable[[int, PyTree], None] | None = None,
    loss: Callable[[Model, PyTree], tuple[Scalar, PyTree]] = loss,
) -> tuple[Model, PyTree]:
    """Minimise a loss on random batches of answers, by default comparisons.

    Args:
        key: of the batches.
        model: whatever the loss is to be minimised over.
        answers: arrays of n rows; a batch is some of their rows.
        config: of the optimiser.
        report: called with the updates done and the metrics of the last of them.
        loss: of a model on a batch, and its metrics; `crowd.py` has those of all kinds.
    """
    schedule = optax.linear_schedule(config.step_size, 0.0, config.num_updates)
    optimizer = optax.adam(schedule)

    def update(state, key):
        model, optimizer_state, answers = state
        size = (config.batch_size,)
        rows = jax.random.randint(key, size, 0, len(answers.prompts))
        batch = jax.tree.map(lambda x: x[rows], answers)
        gradient, metrics = jax.grad(loss, has_aux=True)(model, batch)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state)
        model = optax.apply_updates(model, updates)
        return (model, optimizer_state, answers), metrics

    data = jax.tree.map(jnp.asarray, answers)
    state = (model, optimizer.init(model), data)
    (model, _, _), metrics = training.loop(
        key, state, update, config.num_updates, report
    )
    return model, metrics
