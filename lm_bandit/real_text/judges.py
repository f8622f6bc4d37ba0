"""A reward model from people's scores, by all the comparisons that they contain.

    loss = - mean over pairs with s_i > s_j of log sigmoid(r_i - r_j)

Each row of a batch is a text and what one person gave it. The text that was given more
is taken to be preferred: n scores are up to n (n - 1) / 2 comparisons, for the price of
reading n texts, as a ranking is (Ouyang et al. 2022, section 3.5). Ties are left out.

How right can a model be? As right as one person is about another:

    agreement = P(two raters, each asked about the pair, prefer the same text)

Source: Bradley & Terry (1952); Ouyang et al. (2022), eq. 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Scalar

from lm_bandit import reward_model
from lm_bandit.feedback.kinds import Scores
from lm_bandit.real_text import ratings
from lm_bandit.reward_model import Comparisons, RewardMetrics, RewardModel


class Agreement(NamedTuple):
    """Of pairs of texts, those that are told apart."""

    pairs: int
    model: float  # share in which the model prefers what people prefer on average
    model_and_rater: float  # the same of a single rater, where she has a preference
    two_raters: float  # share in which two raters prefer the same, where both do


def loss(
    model: RewardModel, batch: Scores | Comparisons
) -> tuple[Scalar, RewardMetrics]:
    """Of either kind of answer."""
    if isinstance(batch, Comparisons):
        return reward_model.loss(model, batch)
    scores = reward_model.score(model, batch.prompts, batch.completions)
    return ranked(scores, batch.scores)


def ranked(
    rewards: Float[Array, "n"], scores: Int[Array, "n"]
) -> tuple[Scalar, RewardMetrics]:
    """The pairwise loss of all pairs of a batch that got different scores."""
    above = scores[:, None] > scores[None]
    differences = rewards[:, None] - rewards[None]
    surprise = -jnp.mean(jax.nn.log_sigmoid(differences), where=above)
    return surprise, RewardMetrics(surprise, jnp.mean(differences > 0, where=above))


def agreement(
    rewards: Float[np.ndarray, "n"],
    counts: Int[np.ndarray, "n 9"],
    apart: float = 0.0,
) -> Agreement:
    """Over all pairs of texts whose mean ratings differ, and by `apart` at least.

    Args:
        rewards: by the model.
        counts: how many people gave each rating.
        apart: the least difference of two means.
    """
    means = counts @ np.arange(-ratings.SCALE, ratings.SCALE + 1) / counts.sum(1)
    higher = means[:, None] - means[None]
    chosen = (higher > 0) & (higher >= apart)  # each pair once, the better text first
    prefer = ratings.preferences(counts)
    better, worse = prefer[chosen], prefer.T[chosen]
    right = (rewards[:, None] > rewards[None])[chosen]
    return Agreement(
        pairs=int(chosen.sum()),
        model=float(right.mean()),
        model_and_rater=float(
            np.where(right, better, worse).sum() / (better + worse).sum()
        ),
        two_raters=float((better**2 + worse**2).sum() / ((better + worse) ** 2).sum()),
    )
