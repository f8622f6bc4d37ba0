"""A reward model: a number for a completion, learned from comparisons.

    P(chosen > rejected) = sigmoid(r(x, chosen) - r(x, rejected))     (Bradley & Terry)
    loss = - log sigmoid(r(x, chosen) - r(x, rejected))

The trunk starts as the SFT model and a linear head reads its hidden state at the
end-of-text token. Comparisons determine r only up to a constant per prompt, and its
scale depends on how often annotators agree. `normalize` sets both: over the reference's
completions r has mean 0, and standard deviation 1 within a prompt. So beta is a price
per nat in units of that deviation.

Source: Bradley & Terry (1952); Ziegler et al. (2019), section 2.1 and eq. 1 (for four
completions); Stiennon et al. (2020), section 3.4; Ouyang et al. (2022), section 3.5.
Shapes: P tokens of a prompt, C of a completion; D the width of the trunk.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, Scalar

from lm_bandit import generate
from lm_bandit.config import RewardConfig
from lm_bandit.generate import Context
from lm_bandit.sft import Model, minimise
from lm_bandit.transformer import Transformer, forward


class Comparisons(NamedTuple):
    """For each prompt, the completion that an annotator preferred and the other one."""

    prompts: Int[np.ndarray, "n P"]
    chosen: Int[np.ndarray, "n C"]
    rejected: Int[np.ndarray, "n C"]
    tied: Bool[np.ndarray, "n"] | None = None  # neither was preferred
    annotators: Int[np.ndarray, "n"] | None = None


class RewardModel(NamedTuple):
    """A transformer with a linear head; r = hidden . head + bias."""

    trunk: Transformer
    head: Float[Array, "D"]
    bias: Scalar


class RewardMetrics(NamedTuple):
    """Metrics of one batch; training returns a row per update."""

    loss: Float[Array, "..."]
    accuracy: Float[Array, "..."]  # share of pairs whose chosen side scores higher


def init(trunk: Transformer) -> RewardModel:
    """Return a reward model that gives every completion 0, on this trunk."""
    return RewardModel(trunk, jnp.zeros(trunk.wte.shape[1]), jnp.zeros(()))


def score(
    model: RewardModel, prompts: Int[Array, "*b P"], completions: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """r(x, y), read at the first end-of-text token; valid for completions that ended.

    Source: Stiennon et al. (2020), section 3.4.
    """
    context = generate.read_prompts(model.trunk, prompts, completions.shape[-1])
    return score_after(model, context, completions)


def score_after(
    model: RewardModel, context: Context, completions: Int[Array, "*b C"]
) -> Float[Array, "*b"]:
    """r(x, y) of each completion, given prompts that the trunk has read.

    Source: Stiennon et al. (2020), section 3.4.
    """
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
    """Value of each prefix: the head's output *before* each token, used as a critic.

    The value at t has read the prompt and y_<t, not y_t: a baseline that sees the
    action makes the gradient biased. Source: Ziegler et al. (2019), section 2.2.
    """
    return apply_head(model, generate.prefix_states(model.trunk, context, completions))


def apply_head(model: RewardModel, hidden: Float[Array, "*n D"]) -> Float[Array, "*n"]:
    """Output of the linear head on hidden states: hidden . head + bias."""
    return hidden @ model.head + model.bias


@jax.jit
def score_pairs(
    model: RewardModel, pairs: Comparisons
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """r(x, chosen) and r(x, rejected), in one pass over both; a prompt is read once."""
    completions = jnp.concatenate([pairs.chosen, pairs.rejected])
    prompts, length = jnp.asarray(pairs.prompts), completions.shape[-1]
    context = generate.read_prompts(model.trunk, prompts, length)
    twice = context.rows(jnp.tile(jnp.arange(len(prompts)), 2))
    chosen, rejected = jnp.split(score_after(model, twice, completions), 2)
    return chosen, rejected


def normalize(model: RewardModel, pairs: Comparisons) -> RewardModel:
    """Return the model with scores of mean 0, and deviation 1 within a prompt.

    The order of completions stays. The pairs are samples of the reference.
    Source: Ziegler et al. (2019), section 2.1.
    """
    mean, deviation = mean_and_deviation(*score_pairs(model, pairs))
    bias = (model.bias - mean) / deviation
    return model._replace(head=model.head / deviation, bias=bias)


def require_spread(model: RewardModel) -> None:
    """Raise ValueError if a normalised model has no scores that differ in a prompt."""
    if not all(np.isfinite(part).all() for part in (model.head, model.bias)):
        raise ValueError(
            "the reward model gives all completions of a prompt the same score: try "
            "more --reward.num-updates, or a larger --reward.step-size"
        )


def mean_and_deviation(
    first: Float[Array, "n"], second: Float[Array, "n"]
) -> tuple[Scalar, Scalar]:
    """Mean of all scores, and their standard deviation within a prompt.

        deviation^2 = 1/2 mean of (r(x, y) - r(x, y'))^2

    Both sides of a pair answer one prompt, so half of their mean squared difference is
    the variance within a prompt. The spread between prompts has no meaning and is not
    counted. Source: Ziegler et al. (2019), section 2.1, for the normalisation.
    """
    deviation = jnp.sqrt(jnp.mean((first - second) ** 2) / 2.0)
    return 0.5 * (first.mean() + second.mean()), deviation


def pair_accuracy(model: RewardModel, pairs: Comparisons) -> float:
    """Share of pairs whose chosen completion scores higher; ties are left out."""
    chosen, rejected = score_pairs(model, pairs)
    counted = True if pairs.tied is None else jnp.logical_not(pairs.tied)
    return float(jnp.mean(chosen > rejected, where=counted))


def loss(model: RewardModel, batch: Comparisons) -> tuple[Scalar, RewardMetrics]:
    """Pairwise loss of a batch, with its metrics. A tie is half a win for each side.

    Source: Stiennon et al. (2020), section 3.4.
    """
    chosen, rejected = score_pairs(model, batch)
    if batch.tied is None:
        value = pairwise_loss(chosen, rejected)
    else:
        value = soft_pairwise_loss(chosen, rejected, jnp.asarray(batch.tied))
    return value, RewardMetrics(value, jnp.mean(chosen > rejected))


def learn_from_pairs(
    key: Key[Array, ""],
    reference: Transformer,
    pairs: Comparisons,
    config: RewardConfig,
    report: Callable[[int, PyTree], None] | None = None,
) -> tuple[RewardModel, float]:
    """Return a normalised reward model, and its accuracy on held-out pairs.

        the first n // 10 pairs are held out; the others are seen
        r  <-  the reference's trunk, with a head of zeros          (init)
        r  <-  minimise the pairwise loss on the pairs seen         (train)
        r  <-  scores of mean 0 and deviation 1 on these pairs      (normalize)
        accuracy  <-  share of held-out pairs that r orders right   (pair_accuracy)

    Source: Stiennon et al. (2020), section 3.4; Ziegler et al. (2019), section 2.1.
    """
    num_held_out = len(pairs.prompts) // 10
    held_out = jax.tree.map(lambda x: x[:num_held_out], pairs)
    seen = jax.tree.map(lambda x: x[num_held_out:], pairs)
    model, _ = train(key, init(reference), seen, config, report)
    model = normalize(model, seen)
    return model, pair_accuracy(model, held_out)


def train(
    key: Key[Array, ""],
    model: Model,
    answers: PyTree,
    config: RewardConfig,
    report: Callable[[int, PyTree], None] | None = None,
    loss: Callable[..., tuple[Scalar, PyTree]] = loss,
) -> tuple[Model, PyTree]:
    """Minimise a loss on random batches of answers, by default comparisons.

    `feedback.crowd` has losses for all kinds of answers. See `sft.minimise`.
    """
    return minimise(key, model, answers, loss, config, report)


def pairwise_loss(chosen: Float[Array, "n"], rejected: Float[Array, "n"]) -> Scalar:
    """-log sigmoid(r(x, chosen) - r(x, rejected)): the mean surprise at the answers.

    Only differences count, and nothing holds the level of the scores: `normalize` sets
    it afterwards. TRL can add a centring term instead, a multiple of the mean of
    (r(x, chosen) + r(x, rejected))^2 (Eisenstein et al. 2023); there is none here.
    Source: Stiennon et al. (2020), section 3.4.
    """
    return -jnp.mean(jax.nn.log_sigmoid(chosen - rejected))


def soft_pairwise_loss(
    chosen: Float[Array, "n"],
    rejected: Float[Array, "n"],
    tied: Bool[Array, "n"],
    margin: float | Scalar = 0.0,
    smoothing: float | Scalar = 0.0,
) -> Scalar:
    """Pairwise loss with ties, a margin and smoothed labels.

        - t log sigmoid(d) - (1 - t) log sigmoid(-d),    d = r(chosen) - r(rejected) - m

    A tie is half a win for each side (t = 1/2, m = 0). For other answers t is
    1 - smoothing, which keeps d from growing beyond log(t / (1 - t)), and m is the
    margin. Source: Touvron et al. (2023, "Llama 2"), eq. 2, for the margin; Szegedy et
    al. (2016), section 7, for smoothing.
    """
    targets = jnp.where(tied, 0.5, 1.0 - smoothing)
    differences = chosen - rejected - jnp.where(tied, 0.0, margin)
    for_chosen = jax.nn.log_sigmoid(differences)
    for_rejected = jax.nn.log_sigmoid(-differences)
    return -jnp.mean(targets * for_chosen + (1.0 - targets) * for_rejected)
