"""The people behind the answers, learned together with the reward.

    P(a before b by k) = eta_k sigmoid(r_a - r_b) + (1 - eta_k) sigmoid(r_b - r_a)
    score by k         = offset_k + scale_k r + noise
    P(okay by k)       = sigmoid(offset_k + r)

A model that takes every answer for the same person's learns the average of the honest
and the malicious, of the lenient and the strict. Here each annotator k has a few
numbers of her own, fitted by the same gradient as the reward. Reliability eta_k is 1 of
someone who means what she says, 1/2 of one who clicks at random, 0 of one who always
says the opposite: from her one learns as much as from an honest one.

Nothing distinguishes "all are honest" from "all lie, and the reward is upside down":
that most people mean what they say is an assumption, and it is where fitting starts.
Questions with a known answer (gold questions) can tell.

    kinds = crowd.loss(crowd.crowd_bradley_terry, reward_model.score)
    learned, _ = reward_model.train(key, crowd.init(model, 20), answers, config,
                                    loss=kinds)

Source: Chen et al. (2013), "Pairwise ranking aggregation in a crowdsourced setting"
(Crowd-BT); Casper et al. (2023), section 3.1, for what is wrong with annotators.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, Scalar

from lm_bandit.feedback import kinds as feedback
from lm_bandit.feedback import likelihoods as preferences
from lm_bandit.feedback.kinds import (
    Answers,
    Comparisons,
    Corrections,
    Labels,
    ParsedCritiques,
    Rankings,
    Scores,
)


class Crowd(NamedTuple):
    """What is to be learned of A annotators; no kind of answer needs all of it."""

    reliability: Float[Array, "A"]  # logit of eta
    offsets: Float[Array, "A"]  # of scores and labels
    log_scales: Float[Array, "A"]  # of scores; their mean is taken away
    first_cut: Scalar
    log_steps: Float[Array, "8"]  # between the nine cuts of the ten scores


class CrowdModel(NamedTuple):
    """A reward, and the crowd that judges by it."""

    reward: PyTree
    crowd: Crowd


Likelihood = Callable[[Float[Array, "n K"], Crowd, Answers], Scalar]


def init(
    reward: PyTree,
    num_annotators: int = 1,
    reliability: Float[np.ndarray, "A"] | None = None,
) -> CrowdModel:
    """The reward as it is, and a crowd of good will, or of the reliability given."""
    zeros = jnp.zeros(num_annotators)
    eta = jnp.full(num_annotators, 0.9) if reliability is None else reliability
    logits = jax.scipy.special.logit(jnp.asarray(eta, float))
    return CrowdModel(
        reward, Crowd(logits, zeros, zeros, jnp.array(-4.0), jnp.zeros(8))
    )


def loss(
    likelihood: Likelihood, score: Callable
) -> Callable[[CrowdModel, Answers], tuple[Scalar, Scalar]]:
    """What `reward_model.train` minimises, of any reward and any kind of answer.

    Args:
        likelihood: one of those below, `functools.partial` for their options.
        score: of a reward, prompts [n K P] and completions [n K C], the scores [n K].
    """

    def of_batch(judged, batch):
        completions = feedback.shown_completions(batch)
        n, K, _ = completions.shape
        prompts = jnp.broadcast_to(
            batch.prompts[:, None], (n, K, batch.prompts.shape[-1])
        )
        scores = score(judged.reward, prompts, completions)
        value = likelihood(scores, judged.crowd, batch)
        return value, value

    return of_batch


def bradley_terry(
    scores: Float[Array, "n 2"],
    crowd: Crowd,
    batch: Comparisons | Corrections,
    margin: float = 0.0,
    smoothing: float = 0.0,
) -> Scalar:
    """Comparisons, ties among them; or corrections: the edit is the better one."""
    tied = getattr(batch, "tied", None)
    tied = jnp.zeros(len(scores), bool) if tied is None else tied
    return preferences.soft_pairwise_loss(*scores.T, tied, margin, smoothing)


def noisy_bradley_terry(
    scores: Float[Array, "n 2"],
    crowd: Crowd,
    batch: Comparisons | Corrections,
    flips: float,
) -> Scalar:
    """The same, of people who are known to answer by mistake in a share of cases."""
    reliability = jnp.full(len(scores), 1.0 - flips)
    return preferences.noisy_pairwise_loss(*scores.T, reliability)


def crowd_bradley_terry(
    scores: Float[Array, "n 2"], crowd: Crowd, batch: Comparisons | Corrections
) -> Scalar:
    """The same, with a reliability of each annotator (Crowd-BT)."""
    return joint_pairwise_loss(*scores.T, crowd.reliability, _who(batch))


def joint_pairwise_loss(
    chosen: Float[Array, "n"],
    rejected: Float[Array, "n"],
    logits: Float[Array, "A"],
    annotators: Int[Array, "n"],
) -> Scalar:
    """- log( eta_k sigmoid(d) + (1 - eta_k) sigmoid(-d) ),    eta_k = sigmoid(logit_k)

    k is who gave the answer, d = r(chosen) - r(rejected). It falls by either: scores
    that agree with the answer, or less trust in who gave it.

    Source: Chen et al. (2013), the model of Crowd-BT.
    """
    reliability = jax.nn.sigmoid(logits)[annotators]
    return preferences.noisy_pairwise_loss(chosen, rejected, reliability)


def ranked_pairs(scores: Float[Array, "n K"], crowd: Crowd, batch: Rankings) -> Scalar:
    """Rankings, as all their pairs."""
    return preferences.ranking_loss(scores)


def plackett_luce(scores: Float[Array, "n K"], crowd: Crowd, batch: Rankings) -> Scalar:
    """Rankings, as one choice after the other."""
    return preferences.plackett_luce_loss(scores)


def interval(scores: Float[Array, "n 1"], crowd: Crowd, batch: Scores) -> Scalar:
    """Scores, as measurements on each annotator's own scale.

    Half as much reward on scales of twice the length would be the same: the scales are
    1 in the geometric mean.
    """
    scales = jnp.exp(crowd.log_scales - crowd.log_scales.mean())
    who = _who(batch)
    offsets = 5.5 + crowd.offsets[who]  # from the middle of 1 to 10
    return preferences.score_loss(scores[:, 0], batch.scores, offsets, scales[who])


def ordinal(scores: Float[Array, "n 1"], crowd: Crowd, batch: Scores) -> Scalar:
    """Scores, as ten ordered words: the cuts are common, shifted by each annotator."""
    steps = jnp.exp(crowd.log_steps)
    cuts = crowd.first_cut + jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)])
    offsets = crowd.offsets - crowd.offsets.mean()
    shifted = scores[:, 0] + offsets[_who(batch)]
    return preferences.ordinal_loss(shifted, batch.scores, cuts)


def logistic(scores: Float[Array, "n 1"], crowd: Crowd, batch: Labels) -> Scalar:
    """Labels, by annotators who are more or less lenient."""
    lenient = crowd.offsets[_who(batch)]
    return preferences.label_loss(scores[:, 0] + lenient, batch.okay)


def corrected_and_labelled(
    scores: Float[Array, "n K"], crowd: Crowd, batch: ParsedCritiques
) -> Scalar:
    """Critiques: the edit is better than the original, and that is okay or not."""
    edited, original = scores.T[:2]
    lenient = crowd.offsets[_who(batch)]
    return preferences.pairwise_loss(edited, original) + preferences.label_loss(
        original + lenient, batch.okay
    )


def chosen_edit(
    scores: Float[Array, "n K"], crowd: Crowd, batch: ParsedCritiques
) -> Scalar:
    """Critiques, read backwards: of all edits that she could ask for, why this one?

        P(e) = exp(r(x, e)) / sum over all edits, and none at all, of exp(r(x, e'))

    Source: Jeon, Milli & Dragan (2020), "Reward-rational (implicit) choice".
    """
    # Where nothing is to go, the original itself was chosen, and counts once.
    original = jnp.where(batch.okay, -jnp.inf, scores[:, 1])
    others = jnp.where(batch.possible, scores[:, 2:], -jnp.inf)
    options = jnp.concatenate([scores[:, :1], original[:, None], others], axis=1)
    return -jnp.mean(jax.nn.log_softmax(options)[:, 0])


def reliability_by_gold(
    right: Bool[np.ndarray, "n"],
    annotators: Int[np.ndarray, "n"],
    num_annotators: int,
) -> Float[np.ndarray, "A"]:
    """How often each annotator answered a question right whose answer is known.

        eta_k = (right_k + 1) / (asked_k + 2)

    the mean of what is to be believed of eta_k after these answers, when every value
    was as credible before (Laplace's rule of succession).
    """
    asked = np.bincount(annotators, minlength=num_annotators)
    correct = np.bincount(annotators, right, minlength=num_annotators)
    return (correct + 1) / (asked + 2)


def _who(batch):
    """The rows of the crowd; all answers are one person's where nobody knows whose."""
    if batch.annotators is None:
        return jnp.zeros(len(batch.prompts), int)
    return batch.annotators
