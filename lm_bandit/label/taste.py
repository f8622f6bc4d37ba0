"""Your taste: the weights of the words in your reward, inferred from few answers.

A person gives tens of answers, but a transformer needs thousands. From 40 answers the
transformer learns almost nothing of a taste (a rank correlation of .1 to .2). The
linear reward of `linear_reward.py`, with a weight for each word, learns most of it (.8
to .9). So

    1. your answers give a posterior of the weights,  w ~ N(mean, covariance);
    2. a hundred simulated annotators, each with weights drawn from this posterior,
       answer as many comparisons as the transformer's reward model needs. Where your
       answers leave your taste open, they disagree.

Source: MacKay (1992) for the posterior; Thompson (1933) for a decision by one draw.
Shapes: n answers, D rated words.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import log_expit, ndtr, softmax

from lm_bandit.feedback import linear_reward
from lm_bandit.feedback.accuracy import answer_probabilities
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.reward_model import Comparisons
from lm_bandit.world import World

MIN_ANSWERS = 8  # with fewer answers nothing is learned
SURE = 0.9  # probability from which on a word is named
PRECISIONS = (0.1, 0.3, 1.0)  # of the prior of a weight: strong and weak tastes


def infer_taste(world: World, answers: Comparisons) -> Posterior:
    """Return the posterior of the weights of the rated words, given the answers."""
    differences, counts = _differences(world, answers)
    return linear_reward.fit_weights(differences, counts=counts)


def _differences(
    world: World, answers: Comparisons
) -> tuple[Float[np.ndarray, "m D"], Float[np.ndarray, "m"]]:
    """Return phi(chosen) - phi(rejected) of the answers, and how often each counts."""
    chosen = linear_reward.features(world, answers.prompts, answers.chosen)
    rejected = linear_reward.features(world, answers.prompts, answers.rejected)
    tied = np.zeros(len(chosen), bool) if answers.tied is None else answers.tied
    # A tie is half a win for each side.
    differences = np.concatenate([chosen - rejected, (rejected - chosen)[tied]])
    return differences, np.where(np.concatenate([tied, tied[tied]]), 0.5, 1.0)


class WordClaim(NamedTuple):
    """A word that was asked about, and how it compares with the others."""

    word: str
    answers: int  # in which one side had the word and the other had not
    above: float  # probability that its weight is above the mean of the asked words


def word_claims(world: World, answers: Comparisons) -> list[WordClaim]:
    """Return what the answers say of each word that they are about, the best first.

        P(c . w > 0)  =  sum_lambda P(lambda | answers) Phi(c . mean / sqrt(c' Sigma c))

    Here c is the word less the mean of all asked words. How far tastes differ from word
    to word is not known before: lambda, the precision of the prior, is one of
    PRECISIONS, each with the probability that the answers leave it. With tastes like
    the raters' and some noise, more claims are right than `above` says. Answers at
    random look like a taste as well: few questions repeat a comparison.
    Source: MacKay (1992), section 4, for the evidence of lambda.
    """
    differences, counts = _differences(world, answers)
    is_asked = differences.any(0)
    asked = np.flatnonzero(is_asked)
    contrasts = np.eye(len(world.rated))[asked] - is_asked / max(len(asked), 1)
    evidences, above = [], []
    for precision in PRECISIONS:
        posterior = linear_reward.fit_weights(differences, precision, counts)
        evidences.append(log_evidence(differences, counts, precision, posterior))
        variances = np.sum((contrasts @ posterior.covariance) * contrasts, axis=1)
        # The only word asked about is the average itself, and stays at 1/2.
        scale = np.sqrt(np.maximum(variances, 1e-12))
        above.append(ndtr(contrasts @ posterior.mean / scale))
    probabilities = softmax(evidences) @ np.array(above)
    times = (differences[: len(answers.prompts), asked] != 0).sum(0)
    claims = [
        WordClaim(world.vocabulary[world.rated[i]], int(n), float(p))
        for i, n, p in zip(asked, times, probabilities, strict=True)
    ]
    return sorted(claims, key=lambda claim: -claim.above)


def log_evidence(
    differences: Float[np.ndarray, "m D"],
    counts: Float[np.ndarray, "m"],
    precision: float,
    posterior: Posterior,
) -> float:
    """Return log P(answers | lambda), by Laplace's approximation.

        sum_n log sigmoid(w . z_n) - lambda/2 |w|^2 + D/2 log lambda + 1/2 log det Sigma

    Source: MacKay (1992), section 4.
    """
    weights = posterior.mean
    likelihood = counts @ log_expit(differences @ weights)
    prior = 0.5 * (len(weights) * np.log(precision) - precision * weights @ weights)
    volume = 0.5 * np.linalg.slogdet(posterior.covariance).logabsdet
    return float(likelihood + prior + volume)


def sample_annotators(
    rng: np.random.Generator, world: World, posterior: Posterior, count: int = 100
) -> People:
    """Return people with weights drawn from the posterior, and its logistic noise.

    Source: Thompson (1933).
    """
    tastes = np.zeros((count, len(world.vocabulary)))
    tastes[:, world.rated] = rng.multivariate_normal(
        posterior.mean, posterior.covariance, size=count
    )
    return People(tastes, temperature=1.0)


class CrowdAgreement(NamedTuple):
    """Agreement of answers with the raters; ties and even pairs are left out."""

    answers: int  # counted
    agreed: int  # with the majority of the raters
    one_rater: float  # share in which one rater agrees with the majority, on these


def crowd_agreement(world: World, answers: Comparisons) -> CrowdAgreement:
    """Return how often the answers agree with the majority of the raters."""
    p = answer_probabilities(world, answers)
    counted = np.abs(p - 0.5) > 1e-9
    if answers.tied is not None:
        counted &= ~answers.tied
    p = p[counted]
    one_rater = float(np.maximum(p, 1.0 - p).mean()) if len(p) else float("nan")
    return CrowdAgreement(len(p), int((p > 0.5).sum()), one_rater)


def session_summary(world: World, answers: Comparisons, path: Path) -> str:
    """Return the text that an annotator sees at the end of a session."""
    count = len(answers.prompts)
    lines = [f"\n{count} answer{'s' * (count != 1)} in {path}."]
    if count:
        total, agreed, one_rater = crowd_agreement(world, answers)
        if total:
            lines.append(
                f"You agree with most of the raters in {agreed} of {total} answers "
                f"(without ties and even pairs). One rater does in {one_rater:.0%}."
            )
        lines += _claim_lines(world, word_claims(world, answers))
    if count < MIN_ANSWERS:
        lines.append(f"At least {MIN_ANSWERS} answers are needed to learn your taste.")
    return "\n".join(lines)


def _claim_lines(world: World, claims: list[WordClaim]) -> list[str]:
    """Return what is known of the annotator's taste, and for how many words it is not.

    No word is named that the answers leave open.
    """
    better = [claim for claim in claims if claim.above >= SURE]
    worse = [claim for claim in reversed(claims) if claim.above <= 1.0 - SURE]
    lines = []
    for side, named in (("more", better), ("less", worse)):
        words = ", ".join(
            f"{word} ({max(p, 1.0 - p):.0%} sure, {n} answer{'s' * (n > 1)})"
            for word, n, p in named
        )
        if named:
            lines.append(f"You find these words {side} positive than average: {words}.")
    asked = f"the {len(claims)} word{'s' * (len(claims) > 1)} that you were asked about"
    left = len(claims) - len(better) - len(worse)
    if lines:
        lines.append(
            f'"Average" is that of {asked}, and "sure" means: if you did not answer at '
            f"random. The answers do not tell yet about {left} of them."
        )
    else:
        lines.append(
            f"The answers do not tell your taste yet: they are not {SURE:.0%} sure of "
            f"any of {asked}."
        )
    if never := len(world.rated) - len(claims):
        lines.append(f"{never} of the {len(world.rated)} words were not asked about.")
    return lines
