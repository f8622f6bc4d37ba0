"""Bayes accuracy: the best possible prediction of what a person will prefer.

    Bayes accuracy = mean over pairs of  max(p, 1 - p),    p = P(first is preferred)

People disagree. So even a predictor that knows the gold reward and every rating fails
on some answers. No reward model has a higher accuracy on new comparisons than the Bayes
accuracy. The quality of a reward model lies between a coin and this bound:

    (accuracy - 1/2) / (Bayes accuracy - 1/2)

For the annotators of `annotators.compare_pairs` p is known exactly. The opinion of one
annotator about a word is one of R ratings, independent of the opinions about other
words. So the difference of two completions is a sum of independent numbers. Its
distribution is the convolution of theirs: a product of their Fourier transforms.

Source: Devroye, Gyorfi & Lugosi (1996), theorem 2.1, for the bound.
Shapes: n pairs, C tokens of a completion.
"""

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.reward_model import Comparisons
from lm_bandit.world import World


def bayes_accuracy(world: World, pairs: Comparisons) -> float:
    """Return the best possible accuracy on new annotators' answers to these pairs."""
    return best_accuracy(answer_probabilities(world, pairs))


def best_accuracy(probs: Float[np.ndarray, "n"]) -> float:
    """Return the accuracy of the best bet on each pair: the mean of max(p, 1 - p).

    Source: Devroye, Gyorfi & Lugosi (1996), theorem 2.1.
    """
    return float(np.mean(np.maximum(probs, 1.0 - probs)))


def answer_probabilities(world: World, pairs: Comparisons) -> Float[np.ndarray, "n"]:
    """Return, for each answer, the probability that a new annotator agrees with it."""
    first_tokens = list(world.prompts[:, 0])  # they say what is asked for
    which = np.array([first_tokens.index(token) for token in pairs.prompts[:, 0]])
    return win_probabilities(world, which, pairs.chosen, pairs.rejected)


def win_probabilities(
    world: World,
    which: Int[np.ndarray, "n"],
    first: Int[np.ndarray, "n C"],
    second: Int[np.ndarray, "n C"],
) -> Float[np.ndarray, "n"]:
    """Return the probability that a new annotator prefers the first of each pair.

        P(first) = P(D > 0) + 1/2 P(D = 0),    D = sign(x) (sum over y - sum over y')

    `which` is the number of each pair's prompt x; `first` and `second` are the tokens
    of its completions y and y'. She draws one rating of each word and adds up the
    ratings of the words that a completion uses, each word once. She prefers the larger
    sum, or the smaller one where the prompt asks for complaint. Words that both
    completions use cancel. A coin decides a tie.
    """
    longest = 4 * 2 * world.completion_length  # no difference of ratings is larger
    size = 2 * longest + 2
    # A Fourier transform per word; that of a completion is their product.
    waves = np.exp(-2j * np.pi * np.arange(size)[:, None, None] * world.ratings / size)
    transforms = waves.mean(-1)  # [size, V]
    of_difference = np.ones((len(which), size), complex)
    used = np.zeros((2, len(which), len(world.vocabulary)), bool)
    np.put_along_axis(used, np.stack([first, second]), True, axis=2)
    for token, transform in enumerate(transforms.T):
        added = used[0, :, token] & ~used[1, :, token]
        subtracted = used[1, :, token] & ~used[0, :, token]
        of_difference[added] *= transform
        of_difference[subtracted] *= transform.conj()
    probs = np.fft.ifft(of_difference).real  # of the differences 0, 1, .., -2, -1
    above = probs[:, 1 : longest + 1].sum(1) + 0.5 * probs[:, 0]
    return np.where(world.signs[which] > 0, above, 1.0 - above)
