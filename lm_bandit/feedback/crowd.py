"""A crowd of annotators, learned together with the reward.

    P(a before b by k) = eta_k sigmoid(r_a - r_b) + (1 - eta_k) sigmoid(r_b - r_a)
    score by k         = offset_k + scale_k r + noise
    P(okay by k)       = sigmoid(offset_k + r)

A model that ignores who answered learns the average of honest and malicious, of lenient
and strict annotators. Here each annotator k has a few parameters, fitted by the same
gradient as the reward. The reliability eta_k is 1 for someone who says what she means,
1/2 for someone who clicks at random, and 0 for someone who always says the opposite.
Her answers teach as much as honest ones.

The answers cannot distinguish "all are honest" from "all lie, and the reward is upside
down". That most people are honest is an assumption, and fitting starts from it.
Questions with a known answer (gold questions) can check it.

    batch_loss = crowd.loss(crowd.crowd_bradley_terry, reward_model.score)
    learned, _ = reward_model.train(key, crowd.init(model, 20), answers, config,
                                    loss=batch_loss)

Source: Chen et al. (2013), "Pairwise ranking aggregation in a crowdsourced setting"
(Crowd-BT); Casper et al. (2023), section 3.1, on the problems of annotators.
Shapes: A annotators, n answers, K completions in one answer.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from lm_bandit.feedback import likelihoods
from lm_bandit.feedback.kinds import (
    Answers,
    Comparisons,
    Corrections,
    Labels,
    ParsedCritiques,
    Rankings,
    Scores,
    shown_completions,
)
from lm_bandit.reward_model import pairwise_loss, soft_pairwise_loss


class Crowd(NamedTuple):
    """Parameters of A annotators; no kind of answer needs all of them."""

    reliability: Float[Array, "A"]  # logit of eta
    offsets: Float[Array, "A"]  # of scores and labels
    log_scales: Float[Array, "A"]  # of scores; their mean is subtracted
    first_cut: Scalar  # of the ten scores
    log_steps: Float[Array, "8"]  # between the nine cuts


class CrowdModel(NamedTuple):
    """A reward and the crowd that judges by it, learned together."""

    reward: PyTree
    crowd: Crowd


# scores [n K], a crowd, a batch of one kind of answers -> loss
Likelihood = Callable[..., Scalar]


def init(
    reward: PyTree,
    num_annotators: int = 1,
    reliability: Float[np.ndarray, "A"] | None = None,
) -> CrowdModel:
    """Return the reward with a new crowd: honest, or of the given reliability."""
    zeros = jnp.zeros(num_annotators)
    eta = jnp.full(num_annotators, 0.9) if reliability is None else reliability
    logits = jax.scipy.special.logit(jnp.asarray(eta, float))
    return CrowdModel(
        reward, Crowd(logits, zeros, zeros, jnp.array(-4.0), jnp.zeros(8))
    )


def loss(
    likelihood: Likelihood, score: Callable
) -> Callable[[CrowdModel, Answers], tuple[Scalar, Scalar]]:
    """Return the loss that `reward_model.train` minimises, for one kind of answer.

    Args:
        likelihood: one of those below; `functools.partial` sets their options.
        score: from a reward, prompts [n K P] and completions [n K C] to scores [n K].
    """

    def batch_loss(model: CrowdModel, batch: Answers) -> tuple[Scalar, Scalar]:
        completions = shown_completions(batch)
        n, K, _ = completions.shape
        prompts = jnp.broadcast_to(
            batch.prompts[:, None], (n, K, batch.prompts.shape[-1])
        )
        scores = score(model.reward, prompts, completions)
        value = likelihood(scores, model.crowd, batch)
        return value, value

    return batch_loss


def bradley_terry(
    scores: Float[Array, "n 2"],
    crowd: Crowd,
    batch: Comparisons | Corrections,
    margin: float = 0.0,
    smoothing: float = 0.0,
) -> Scalar:
    """Return the loss of comparisons, or of corrections: the edit is the better one.

    Source: Bradley & Terry (1952).
    """
    tied = getattr(batch, "tied", None)
    tied = jnp.zeros(len(scores), bool) if tied is None else tied
    chosen, rejected = scores.T
    return soft_pairwise_loss(chosen, rejected, tied, margin, smoothing)


def noisy_bradley_terry(
    scores: Float[Array, "n 2"],
    crowd: Crowd,
    batch: Comparisons | Corrections,
    flips: float,
) -> Scalar:
    """Return the loss of comparisons if a known share is reversed by mistake.

    Source: Natarajan et al. (2013), section 3, on learning from noisy labels.
    """
    chosen, rejected = scores.T
    reliability = jnp.full(len(scores), 1.0 - flips)
    return likelihoods.noisy_pairwise_loss(chosen, rejected, reliability)


def crowd_bradley_terry(
    scores: Float[Array, "n 2"], crowd: Crowd, batch: Comparisons | Corrections
) -> Scalar:
    """Return the loss of comparisons with a reliability per annotator (Crowd-BT).

    Source: Chen et al. (2013), section 3.
    """
    chosen, rejected = scores.T
    return joint_pairwise_loss(chosen, rejected, crowd.reliability, _annotators(batch))


def joint_pairwise_loss(
    chosen: Float[Array, "n"],
    rejected: Float[Array, "n"],
    logits: Float[Array, "A"],
    annotators: Int[Array, "n"],
) -> Scalar:
    """Return the loss of comparisons by annotators k of reliability eta_k.

        - log( eta_k sigmoid(d) + (1 - eta_k) sigmoid(-d) ),    eta_k = sigmoid(logit_k)

    with d = r(chosen) - r(rejected). Two changes lower it: scores that agree with the
    answer, or less trust in the annotator who gave it.

    Source: Chen et al. (2013), section 3, the model of Crowd-BT.
    """
    reliability = jax.nn.sigmoid(logits)[annotators]
    return likelihoods.noisy_pairwise_loss(chosen, rejected, reliability)


def ranked_pairs(scores: Float[Array, "n K"], crowd: Crowd, batch: Rankings) -> Scalar:
    """Return the loss of rankings, as all their pairs.

    Source: Ouyang et al. (2022), eq. 1.
    """
    return likelihoods.ranking_loss(scores)


def plackett_luce(scores: Float[Array, "n K"], crowd: Crowd, batch: Rankings) -> Scalar:
    """Return the loss of rankings, as one choice after the other.

    Source: Plackett (1975); Luce (1959).
    """
    return likelihoods.plackett_luce_loss(scores)


def interval(scores: Float[Array, "n 1"], crowd: Crowd, batch: Scores) -> Scalar:
    """Return the loss of scores, as measurements on each annotator's own scale.

    Half the reward on scales of twice the length gives the same scores. So the
    geometric mean of the scales is fixed at 1.
    """
    annotators = _annotators(batch)
    scales = jnp.exp(crowd.log_scales - crowd.log_scales.mean())[annotators]
    offsets = 5.5 + crowd.offsets[annotators]  # from the middle of 1 to 10
    return likelihoods.score_loss(
        scores[:, 0], jnp.asarray(batch.scores), offsets, scales
    )


def ordinal(scores: Float[Array, "n 1"], crowd: Crowd, batch: Scores) -> Scalar:
    """Return the loss of scores, as ten ordered categories.

    All annotators share the cuts; each one shifts them by an offset.

    Source: McCullagh (1980), the proportional odds model.
    """
    steps = jnp.exp(crowd.log_steps)
    cuts = crowd.first_cut + jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)])
    offsets = crowd.offsets - crowd.offsets.mean()
    shifted = scores[:, 0] + offsets[_annotators(batch)]
    return likelihoods.ordinal_loss(shifted, jnp.asarray(batch.scores), cuts)


def logistic(scores: Float[Array, "n 1"], crowd: Crowd, batch: Labels) -> Scalar:
    """Return the loss of labels by annotators of different leniency.

    Source: Cox (1958), the logistic model of a binary answer.
    """
    offsets = crowd.offsets[_annotators(batch)]
    return likelihoods.label_loss(scores[:, 0] + offsets, jnp.asarray(batch.okay))


def corrected(scores: Float[Array, "n 2"], crowd: Crowd, batch: Corrections) -> Scalar:
    """Return the loss of corrections, as comparisons of what was changed.

    Source: Casper et al. (2023), section 3.1; Bradley & Terry (1952).
    """
    edited, original = scores.T
    differs = jnp.asarray(batch.edited != batch.originals).any(-1)
    return likelihoods.correction_loss(edited, original, differs)


def edit_and_label(
    scores: Float[Array, "n K"], crowd: Crowd, batch: ParsedCritiques
) -> Scalar:
    """Return the loss of critiques, as corrections and labels: the sum of both."""
    edited, original = scores.T[:2]
    offsets = crowd.offsets[_annotators(batch)]
    labelled = likelihoods.label_loss(original + offsets, jnp.asarray(batch.okay))
    return pairwise_loss(edited, original) + labelled


def chosen_edit(
    scores: Float[Array, "n K"], crowd: Crowd, batch: ParsedCritiques
) -> Scalar:
    """Return the loss of critiques, as a choice of one edit among all possible edits.

    Source: Jeon, Milli & Dragan (2020), "Reward-rational (implicit) choice".
    """
    return likelihoods.critique_loss(
        scores, jnp.asarray(batch.okay), jnp.asarray(batch.possible)
    )


def reliability_by_gold(
    right: Bool[np.ndarray, "n"], annotators: Int[np.ndarray, "n"], num_annotators: int
) -> Float[np.ndarray, "A"]:
    """Return each annotator's reliability, from questions with a known answer.

        eta_k = (right_k + 1) / (asked_k + 2)

    This is the posterior mean of eta_k if every value was equally likely before.

    Source: Laplace (1774), the rule of succession.
    """
    asked = np.bincount(annotators, minlength=num_annotators)
    correct = np.bincount(annotators, right, minlength=num_annotators)
    return (correct + 1) / (asked + 2)


def _annotators(batch: Answers) -> Int[Array, "n"]:
    """Return the annotator of each answer; number 0 for all if they are not known."""
    if batch.annotators is None:
        return jnp.zeros(len(batch.prompts), int)
    return jnp.asarray(batch.annotators)
