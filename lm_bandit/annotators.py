"""Simulated annotators, who answer as the real raters would have.

The lexicon does not say who gave which rating, so an annotator is put together: for
every word, one of the ten raters of that word, drawn at random. The annotator likes a
completion as much as those ratings say, with the sign that the prompt asks for, each
word counted once, and prefers the one liked more; a tie is decided by a coin.

Real disagreement and real errors are in the answers: one annotator in ten thinks that
"awful" is splendid.
"""

import numpy as np
from jaxtyping import Int

from lm_bandit.feedback import Comparisons
from lm_bandit.text import World


def compare(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    first: Int[np.ndarray, "n C"],
    second: Int[np.ndarray, "n C"],
) -> Comparisons:
    """A fresh annotator for each pair of completions of prompt number `which`."""
    raters = rng.integers(world.ratings.shape[1], size=(len(which), len(world.ratings)))
    tastes = world.ratings[np.arange(len(world.ratings)), raters]
    liking = [_liking(tastes, side) for side in (first, second)]
    difference = world.signs[which] * (liking[0] - liking[1])
    coins = rng.choice([-0.5, 0.5], size=len(which))
    first_wins = (difference + coins > 0)[:, None]
    return Comparisons(
        world.prompts[which],
        np.where(first_wins, first, second),
        np.where(first_wins, second, first),
    )


def _liking(tastes, completions):
    """The sum of an annotator's own ratings of the words used, each counted once."""
    used = np.zeros(tastes.shape, bool)
    np.put_along_axis(used, completions, True, axis=1)
    return np.sum(used * tastes, axis=1)
