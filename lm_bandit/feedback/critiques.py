"""Text as feedback: the word that a critique names, and what follows from it.

    "Response A is not quite right: 'awful' should go"
        ->  label        not okay
        ->  correction   "boring and awful"  <  "boring"
    "Nothing to object to"
        ->  label        okay

A sentence says more than a comparison: not only that a completion is the worse one, but
which of its words makes it so. Read the other way round, it is evidence about the
reward that the critic has in mind: she named the word because her reward rises without
it. To read free text takes a language model; here the named word stands in quotes.

Source: Casper et al. (2023), section 3.1, on feedback in language.
"""

import re

import numpy as np
from jaxtyping import Int

from lm_bandit.feedback.kinds import Critiques, ParsedCritiques
from lm_bandit.world import END, World

FINE = "Nothing to object to."
OBJECTIONS = (
    "'{word}' should go.",
    "Not quite right: I would not say '{word}' here.",
    "Better without '{word}'.",
)


def parse_critiques(world: World, critiques: Critiques) -> ParsedCritiques:
    """What each critique says: is its completion okay, and if not, what is to go?

    Raises ValueError where a critique neither is `FINE` nor quotes one word of its
    completion.
    """
    n, C = critiques.completions.shape
    edited = critiques.completions.copy()
    passed_over = np.repeat(critiques.completions[:, None], C - 1, axis=1)
    possible = np.zeros((n, C - 1), bool)
    okay = np.zeros(n, bool)
    for i, (text, completion) in enumerate(
        zip(critiques.texts, critiques.completions, strict=True)
    ):
        words = completion[: _length(completion)]
        others = np.intersect1d(words, world.rated)
        okay[i] = text == FINE
        if not okay[i]:
            named = _named(world, i, text, completion)
            edited[i] = without_word(world, completion, named)
            others = others[others != named]
        for j, word in enumerate(others):
            passed_over[i, j] = without_word(world, completion, int(word))
            possible[i, j] = True
    return ParsedCritiques(
        critiques.prompts,
        critiques.completions,
        edited,
        passed_over,
        possible,
        okay,
        critiques.annotators,
    )


def without_word(
    world: World, completion: Int[np.ndarray, "C"], token: int
) -> Int[np.ndarray, "C"]:
    """The completion without a word, nor the "and" that joined it to the others."""
    (and_,) = world.encode("and")
    words = list(completion[: _length(completion)])
    while token in words:
        i = words.index(token)
        joined = [j for j in (i - 1, i + 1) if 0 <= j < len(words) and words[j] == and_]
        words = [word for j, word in enumerate(words) if j not in (i, *joined[:1])]
    return np.array([*words, *[END] * (len(completion) - len(words))], completion.dtype)


def _named(world, i, text, completion):
    """The token of the one word in quotes."""
    used = world.decode(completion).split()
    named = [word for word in re.findall(r"'([^']+)'", text) if word in used]
    if len(named) != 1:
        raise ValueError(
            f"critiques[{i}] must quote one word of {' '.join(used)!r}, or be "
            f"{FINE!r}, got {text!r}"
        )
    return world.vocabulary.index(named[0])


def _length(completion):
    """Words before the end."""
    return int(np.append(completion == END, True).argmax())
