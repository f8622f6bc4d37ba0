"""A reward model from people's scores, and how far people agree with it.

    loss = - mean over pairs with s_i > s_j of log sigmoid(r_i - r_j)

Each row of a batch is a text and the score that one person gave it. The text with the
higher score counts as preferred. So n scores are up to n (n - 1) / 2 comparisons for
the price of reading n texts, as a ranking is (Ouyang et al. 2022, section 3.5). Ties
are left out.

How often can a model be right about people? As often as one person is about another:

    agreement = P(two raters, each asked about the pair, prefer the same text)

Source: Bradley & Terry (1952); Ouyang et al. (2022), eq. 1.
Shapes: n texts or scores, 9 possible ratings.
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
    """Shares of pairs of texts about which two judges agree."""

    pairs: int
    model: float  # the model and the mean of all people
    model_and_rater: float  # the model and a single rater who has a preference
    two_raters: float  # two raters who both have a preference


def loss(
    model: RewardModel, batch: Scores | Comparisons
) -> tuple[Scalar, RewardMetrics]:
    """The pairwise loss of a batch of scores or of comparisons."""
    if isinstance(batch, Comparisons):
        return reward_model.loss(model, batch)
    prompts, completions = jnp.asarray(batch.prompts), jnp.asarray(batch.completions)
    rewards = reward_model.score(model, prompts, completions)
    return scored_pairs_loss(rewards, jnp.asarray(batch.scores))


def scored_pairs_loss(
    rewards: Float[Array, "n"], scores: Int[Array, "n"]
) -> tuple[Scalar, RewardMetrics]:
    """The pairwise loss of all pairs of a batch that have different scores.

    Source: Ouyang et al. (2022), eq. 1, with a pair for each two scores that differ.
    """
    above = scores[:, None] > scores[None]
    differences = rewards[:, None] - rewards[None]
    surprise = -jnp.mean(jax.nn.log_sigmoid(differences), where=above)
    return surprise, RewardMetrics(surprise, jnp.mean(differences > 0, where=above))


def rater_agreement(
    rewards: Float[np.ndarray, "n"],
    counts: Int[np.ndarray, "n 9"],
    apart: float = 0.0,
) -> Agreement:
    """The agreement over all pairs of texts whose mean ratings differ.

    Args:
        rewards: the model's score of each text.
        counts: the number of people who gave each rating.
        apart: the smallest difference of two means that counts.
    """
    means = counts @ np.arange(-ratings.SCALE, ratings.SCALE + 1) / counts.sum(1)
    higher = means[:, None] - means[None]
    chosen = (higher > 0) & (higher >= apart)  # each pair once, the better text first
    prefer = ratings.preference_probabilities(counts)
    better, worse = prefer[chosen], prefer.T[chosen]
    right = (rewards[:, None] > rewards[None])[chosen]
    single = np.where(right, better, worse).sum() / (better + worse).sum()
    both = (better**2 + worse**2).sum() / ((better + worse) ** 2).sum()
    return Agreement(int(chosen.sum()), float(right.mean()), float(single), float(both))
