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

from lm_bandit.feedback import linear_reward
from lm_bandit.feedback.accuracy import answer_probabilities
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.reward_model import Comparisons
from lm_bandit.world import World

MIN_ANSWERS = 8  # with fewer answers nothing is learned


def infer_taste(world: World, answers: Comparisons) -> Posterior:
    """Return the posterior of the weights of the rated words, given the answers."""
    chosen = linear_reward.features(world, answers.prompts, answers.chosen)
    rejected = linear_reward.features(world, answers.prompts, answers.rejected)
    tied = np.zeros(len(chosen), bool) if answers.tied is None else answers.tied
    # A tie is half a win for each side.
    differences = np.concatenate([chosen - rejected, (rejected - chosen)[tied]])
    counts = np.where(np.concatenate([tied, tied[tied]]), 0.5, 1.0)
    return linear_reward.fit_weights(differences, counts=counts)


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
    lines = [f"\n{count} answers in {path}."]
    if count:
        total, agreed, one_rater = crowd_agreement(world, answers)
        if total:
            lines.append(
                f"You agree with most of the raters in {agreed} of {total} answers "
                f"(without ties and even pairs). One rater does in {one_rater:.0%}."
            )
        weights = infer_taste(world, answers).mean
        order = [world.vocabulary[world.rated[i]] for i in np.argsort(-weights)]
        lines.append(f"You seem to like these words most: {', '.join(order[:3])};")
        lines.append(f"and these least: {', '.join(order[:-4:-1])}.")
    if count < MIN_ANSWERS:
        lines.append(f"At least {MIN_ANSWERS} answers are needed to learn your taste.")
    return "\n".join(lines)
