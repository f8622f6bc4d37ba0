"""Critiques: find the word that a sentence criticises, and what follows from it.

    "'awful' should go."
        ->  label        not okay
        ->  correction   "boring and awful"  <  "boring"
    "Nothing to object to."
        ->  label        okay

A critique says more than a comparison: it names the word that makes a completion worse.
Read backwards, it is evidence about the reward of the critic: she chose this word
because the reward rises most without it (`crowd.chosen_edit`). Reading free text takes
a language model; here a critique puts the word in quotes.

Source: Casper et al. (2023), section 3.1, on feedback in language.
Shapes: n critiques, C tokens of a completion, J = C - 1 edits that were not asked for.
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
    """Return the label and the edit that each critique asks for.

    Raises ValueError where a critique is not `FINE` and does not quote exactly one word
    of its completion.
    """
    n, C = critiques.completions.shape
    edited = critiques.completions.copy()
    passed_over = np.repeat(critiques.completions[:, None], C - 1, axis=1)
    possible = np.zeros((n, C - 1), bool)
    okay = np.array([text == FINE for text in critiques.texts])
    for i, completion in enumerate(critiques.completions):
        others = np.intersect1d(completion[: _length(completion)], world.rated)
        if not okay[i]:
            named = _named_word(world, i, critiques.texts[i], completion)
            edited[i] = without_word(world, completion, named)
            others = others[others != named]
        for j, word in enumerate(others):
            passed_over[i, j] = without_word(world, completion, int(word))
            possible[i, j] = True
    prompts, completions, _, annotators = critiques
    return ParsedCritiques(
        prompts, completions, edited, passed_over, possible, okay, annotators
    )


def without_word(
    world: World, completion: Int[np.ndarray, "C"], token: int
) -> Int[np.ndarray, "C"]:
    """Return the completion without a word, and without the "and" that joined it."""
    (and_,) = world.encode("and")
    words = list(completion[: _length(completion)])
    while token in words:
        i = words.index(token)
        joined = [j for j in (i - 1, i + 1) if 0 <= j < len(words) and words[j] == and_]
        words = [word for j, word in enumerate(words) if j not in (i, *joined[:1])]
    return np.array([*words, *[END] * (len(completion) - len(words))], completion.dtype)


def _named_word(
    world: World, i: int, text: str, completion: Int[np.ndarray, "C"]
) -> int:
    """Return the token of the one word of the completion that is in quotes."""
    used = world.decode(completion).split()
    named = [word for word in re.findall(r"'([^']+)'", text) if word in used]
    if len(named) != 1:
        raise ValueError(
            f"critiques[{i}] must quote one word of {' '.join(used)!r}, or be "
            f"{FINE!r}, got {text!r}"
        )
    return world.vocabulary.index(named[0])


def _length(completion: Int[np.ndarray, "C"]) -> int:
    """Return the number of words before the end of the text."""
    return int(np.append(completion == END, True).argmax())
