"""How often can anybody predict what a person will prefer?

    Bayes accuracy = mean over pairs of  max(p, 1 - p),    p = P(first is preferred)

People disagree, so even someone who knows the gold reward, and every rating, is wrong
about single answers. No reward model is right more often than this on new comparisons,
and how good one is, is to be read between a coin and this line:

    (accuracy - 1/2) / (Bayes accuracy - 1/2)

For the annotators of `annotators.compare` p is known exactly. What one of them thinks
of a word is one of R ratings, independently of the others; so the difference of two
completions is a sum of independent numbers, and its distribution the convolution of
theirs: a product of their Fourier transforms.

Source: Devroye, Gyorfi & Lugosi (1996), theorem 2.1, for the bound.
"""

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.feedback.kinds import Comparisons
from lm_bandit.world import World


def bayes_accuracy(world: World, pairs: Comparisons) -> float:
    """The best possible accuracy on fresh annotators' answers about these pairs."""
    return best_accuracy(answer_probabilities(world, pairs))


def best_accuracy(probs: Float[np.ndarray, "n"]) -> float:
    """Mean of max(p, 1 - p): who knows p bets on the likelier answer, pair by pair."""
    return float(np.mean(np.maximum(probs, 1.0 - probs)))


def answer_probabilities(world: World, pairs: Comparisons) -> Float[np.ndarray, "n"]:
    """P(a fresh annotator answers like this one), for each answer."""
    first_tokens = list(world.prompts[:, 0])  # they say what is asked for
    which = np.array([first_tokens.index(token) for token in pairs.prompts[:, 0]])
    return win_probabilities(world, which, pairs.chosen, pairs.rejected)


def win_probabilities(
    world: World,
    which: Int[np.ndarray, "n"],
    first: Int[np.ndarray, "n C"],
    second: Int[np.ndarray, "n C"],
) -> Float[np.ndarray, "n"]:
    """P(a fresh annotator prefers the first), where a coin decides a tie.

    She draws one rating of each word, adds up those of the words that a completion
    uses, each once, and prefers the larger sum, or the smaller where the prompt asks
    for complaint. What both use is the same to her in both.
    """
    longest = 4 * 2 * world.completion_length  # no difference of ratings is larger
    size = 2 * longest + 2
    # The transform of each word's distribution, and of a completion's: their product.
    waves = np.exp(-2j * np.pi * np.arange(size)[:, None, None] * world.ratings / size)
    transforms = waves.mean(-1)  # [size, V]
    of_difference = np.ones((len(which), size), complex)
    used = [_used(world, side) for side in (first, second)]
    for token, transform in enumerate(transforms.T):
        added = used[0][:, token] & ~used[1][:, token]
        subtracted = used[1][:, token] & ~used[0][:, token]
        of_difference[added] *= transform
        of_difference[subtracted] *= transform.conj()
    probs = np.fft.ifft(of_difference).real  # of the difference 0, 1, .., -2, -1
    above = probs[:, 1 : longest + 1].sum(1) + 0.5 * probs[:, 0]
    return np.where(world.signs[which] > 0, above, 1.0 - above)


def _used(world, completions):
    used = np.zeros((len(completions), len(world.vocabulary)), bool)
    np.put_along_axis(used, completions, True, axis=1)
    return used
