"""Texts as arrays of tokens: rows of one length, the prompt first.

    [ P tokens of prompt | the completion, its end, padding ]

A prompt is the same number of tokens everywhere. The first P tokens of a sentence are
one, and the rest of the sentence completes it. A prompt of one's own that is longer
keeps its last P tokens; a shorter one stands at the right, after ends of text: what
comes before it is another text, which is over.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Int

from lm_bandit.world import END

Tokens = Int[np.ndarray, "_"]


def rows(texts: Iterable[Tokens], length: int) -> Int[np.ndarray, "n T"]:
    """Whole texts with their ends; of one that is too long, the beginning."""
    found = [completion(text, length) for text in texts]
    return np.stack(found) if found else np.zeros((0, length), np.int32)


def sentences(
    texts: Sequence[Tokens], prompt_length: int, length: int
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n P"], Int[np.ndarray, "n C"]]:
    """Which texts are longer than a prompt and fit, their beginnings, and the rest."""
    longest = prompt_length + length - 1  # the end takes a place
    fit = [i for i, x in enumerate(texts) if prompt_length < len(x) <= longest]
    whole = rows([texts[i] for i in fit], prompt_length + length)
    return np.array(fit, int), whole[:, :prompt_length], whole[:, prompt_length:]


def prompt(text: Tokens, length: int) -> Int[np.ndarray, "P"]:
    """The last tokens of a prompt, ends of text before it where it is short."""
    padding = np.full(max(length - len(text), 0), END, np.int32)
    return np.concatenate([padding, text[-length:]])


def completion(text: Tokens, length: int) -> Int[np.ndarray, "C"]:
    """A text, its end and padding; or so much of it as there is room for."""
    row = np.full(length, END, np.int32)
    row[: len(text)] = text[:length]
    return row


def split(
    rng: np.random.Generator, texts: Sequence[str], share: float
) -> tuple[Int[np.ndarray, "a"], Int[np.ndarray, "b"]]:
    """Which texts are learned from, and which are held out: a share of all.

    A text that comes twice is on one side only.
    """
    names = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    out = rng.random(len(names)) < share
    held_out = np.array([out[names[text]] for text in texts], bool)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def encoders(
    encode: Callable[[str], Tokens], prompt_length: int, length: int
) -> tuple[Callable[[str], Tokens], Callable[[str], Tokens]]:
    """Of prompts and of completions, each as a row."""
    return (
        lambda text: prompt(encode(text), prompt_length),
        lambda text: completion(encode(text), length),
    )
