"""Sums: prompts such as "3 + 4 =", and texts with a known share of wrong answers.

    3 + 4 =       ->  7                7 + 5 =   ->  1 2
    1 + 3 + 2 =   ->  4 6              with a scratchpad: 1 + 3 is 4, and 4 + 2 is 6

A word is a digit, + or =. The model learns from texts whose authors err: a sum s is
wrong with probability

    noise s^2 / E[s^2],     by 1 or 2, up or down

so that the share of wrong sums is `noise`, and large sums are hard. A perfect student
of these texts is right as often as they are.

Shapes: k prompts of P tokens, n texts, C tokens of a completion, N terms of a sum.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lm_bandit.world import END, World

DIGITS = tuple("0123456789")
VOCABULARY = ("<end>", *DIGITS, "+", "=")  # digit d is token d + 1
PLUS, EQUALS = VOCABULARY.index("+"), VOCABULARY.index("=")
FARTHEST = 2  # a wrong sum is off by at most this


class Sums(NamedTuple):
    """A world of sums, and how often its texts are wrong."""

    world: World
    terms: Int[np.ndarray, "k N"]  # the numbers that each prompt adds
    scratchpad: bool
    noise: float

    @property
    def largest(self) -> int:
        """The largest number in a prompt."""
        return int(self.terms.max())


def sums_world(scratchpad: bool = False, noise: float = 0.3) -> Sums:
    """Return the 100 sums of two digits; or 64 sums of three, with a scratchpad.

    157 completions of a prompt end, and 1,728 are cut off.
    """
    size, largest = (3, 3) if scratchpad else (2, 9)
    terms = np.indices((largest + 1,) * size).reshape(size, -1).T
    prompts = np.full((len(terms), 2 * size), PLUS, np.int32)
    prompts[:, 0::2] = terms + 1
    prompts[:, -1] = EQUALS
    nobody = np.zeros((len(VOCABULARY), 1))  # no person has rated a digit
    world = World(
        VOCABULARY, prompts, np.ones(len(terms), int), nobody, completion_length=3
    )
    return Sums(world, terms, scratchpad, noise)


def written_probs(sums: Sums, added: int) -> Float[np.ndarray, "sums written"]:
    """P(written number | right sum of the first `added` terms), a row for each sum.

    The diagonal has the probabilities that a text is right.
    """
    right = np.arange(added * sums.largest + 1)
    mean_square = np.mean(sums.terms.sum(1) ** 2)
    wrong = np.minimum(sums.noise * right**2 / mean_square, 1.0)
    distance = np.abs(right[:, None] - right)
    near = (distance > 0) & (distance <= FARTHEST)
    shares = near / near.sum(1, keepdims=True)
    return np.diag(1.0 - wrong) + wrong[:, None] * shares


def written_sums(
    rng: np.random.Generator, sums: Sums, count: int
) -> tuple[Int[np.ndarray, "count P"], Int[np.ndarray, "count C"]]:
    """Return prompts with answers in the right format, some of them wrong.

    With a scratchpad each step adds the next term to the number that stands there, be
    it right or wrong.
    """
    which = rng.integers(len(sums.terms), size=count)
    terms = sums.terms[which]
    completions = np.full((count, sums.world.completion_length), END)
    if not sums.scratchpad:
        number = _written(rng, sums, terms.sum(1), terms.shape[1])
        long = number >= 10
        completions[:, 0] = np.where(long, number // 10, number) + 1
        completions[long, 1] = number[long] % 10 + 1
        return sums.world.prompts[which], completions
    number = terms[:, 0]
    for step in range(1, terms.shape[1]):
        number = _written(rng, sums, number + terms[:, step], step + 1)
        completions[:, step - 1] = number + 1
    return sums.world.prompts[which], completions


def babble_sums(
    rng: np.random.Generator, sums: Sums, count: int
) -> Int[np.ndarray, "count length"]:
    """Return texts for pretraining: half of them are not in the format of an answer.

    Without a scratchpad these go on after the answer, as in "3 + 4 = 7 + 2"; with one
    they leave the scratchpad out.
    """
    prompts, completions = written_sums(rng, sums, count)
    other = rng.random(count) < 0.5
    if sums.scratchpad:
        completions[other] = np.roll(completions[other], -1, axis=1)
        return np.hstack([prompts, completions])
    ends = (completions != END).sum(1)
    completions[other, ends[other]] = PLUS
    room = other & (ends + 1 < completions.shape[1])
    completions[room, ends[room] + 1] = rng.integers(1, 11, size=room.sum())
    return np.hstack([prompts, completions])


def _written(
    rng: np.random.Generator, sums: Sums, right: Int[np.ndarray, "n"], added: int
) -> Int[np.ndarray, "n"]:
    """Return the number that a text gives for each sum of `added` terms."""
    cumulative = np.cumsum(written_probs(sums, added), axis=1)[right]
    return (rng.random((len(right), 1)) * cumulative[:, -1:] > cumulative).sum(1)
