"""Simulated annotators, who answer as the real raters would have, or worse.

The lexicon does not say who gave which rating, so an annotator is put together: for
every word, one of the ten raters of that word, drawn at random. The annotator likes a
completion as much as those ratings say, with the sign that the prompt asks for, each
word counted once, and prefers the one liked more; a tie is decided by a coin.

Real disagreement and real errors are in the answers: one annotator in ten thinks that
"awful" is splendid. All else that is known to go wrong with annotators is a dial of
`People`, and 0 by default. What an annotator sees in a completion is

    u(x, y) = sign(x) sum_{v in y} rating(v) + length_bias |y| + temperature * noise

with Gumbel noise: of two, the first is preferred with probability sigmoid of the
difference over the temperature (Bradley & Terry); of K, the order is Plackett & Luce's.

Source: Luce (1959), Yellott (1977) for the Gumbel noise; Casper et al. (2023), section
3.1, for what goes wrong: mistakes, biases, disagreement, malice.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from lm_bandit.feedback.critiques import FINE, OBJECTIONS
from lm_bandit.feedback.kinds import (
    Comparisons,
    Corrections,
    Critiques,
    Labels,
    Rankings,
    Scores,
)
from lm_bandit.world import END, World, word_frequencies


class People(NamedTuple):
    """A annotators. A dial is one number for all, or an array of a number for each."""

    tastes: Float[np.ndarray, "A V"]  # what each thinks of each word, -4 to 4
    temperature: float | np.ndarray = 0.0  # of the noise, in points of rating
    random_clicks: float | np.ndarray = 0.0  # share of answers given without reading
    flips: float | np.ndarray = 0.0  # share of answers turned around by mistake
    position_bias: float | np.ndarray = 0.0  # points for being shown first
    length_bias: float | np.ndarray = 0.0  # points for each token
    indifference: float | np.ndarray = 0.0  # two that differ by less are called a tie
    offset: float | np.ndarray = 0.0  # leniency: on scores and labels, in points
    scale: float | np.ndarray = 1.0  # steps on the scale of scores, for a point
    malicious: bool | np.ndarray = False  # answers the opposite of what she thinks


def hire(rng: np.random.Generator, world: World, count: int) -> People:
    """People of honest will, each with one real rating of every word."""
    raters = rng.integers(world.ratings.shape[1], size=(count, len(world.ratings)))
    return People(world.ratings[np.arange(len(world.ratings)), raters])


def with_opposite_tastes(
    people: People, members: Bool[np.ndarray, "A"], words: Int[np.ndarray, "n"]
) -> People:
    """The same people, but the members' taste in these words is the opposite."""
    tastes = people.tastes.copy()
    tastes[np.ix_(members, words)] *= -1.0
    return people._replace(tastes=tastes)


def compare_pairs(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    pairs: Int[np.ndarray, "n 2 C"],
    people: People | None = None,
) -> Comparisons:
    """Which of two completions of prompt number `which` is the better answer to it?

    By one of the people each, drawn at random; without people, a fresh annotator for
    each pair, who is never seen again.
    """
    who = None if people is None else _assign(rng, people, which)
    people = hire(rng, world, len(which)) if people is None else people
    asked = np.arange(len(which)) if who is None else who
    coins = rng.choice([-0.5, 0.5], size=len(which))
    seen = _impressions(rng, world, people, asked, which, pairs)
    difference = seen[:, 0] - seen[:, 1] + _of(people.position_bias, asked)
    tied = np.abs(difference) < _of(people.indifference, asked)
    first_wins = (np.where(difference == 0, coins, difference) > 0)[:, None]
    return Comparisons(
        world.prompts[which],
        np.where(first_wins, pairs[:, 0], pairs[:, 1]),
        np.where(first_wins, pairs[:, 1], pairs[:, 0]),
        tied if np.any(people.indifference) else None,
        who,
    )


def rank(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    completions: Int[np.ndarray, "n K C"],
    people: People,
) -> Rankings:
    """K completions, best first; equals are ordered by chance."""
    who = _assign(rng, people, which)
    seen = _impressions(rng, world, people, who, which, completions)
    order = np.lexsort((rng.random(seen.shape), -seen), axis=1)
    ranked = np.take_along_axis(completions, order[:, :, None], axis=1)
    return Rankings(world.prompts[which], ranked, who)


def rate(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    completions: Int[np.ndarray, "n C"],
    people: People,
) -> Scores:
    """5.5 + offset + scale u, as a whole number from 1 to 10."""
    who = _assign(rng, people, which)
    seen = _judgement(rng, world, people, who, which, completions)
    exact = 5.5 + _of(people.offset, who) + _of(people.scale, who) * seen
    # Up or down by chance: always up would be a bias.
    scores = np.floor(exact + rng.random(len(which)))
    scores = np.clip(scores, 1, 10).astype(int)
    return Scores(world.prompts[which], completions, scores, who)


def label(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    completions: Int[np.ndarray, "n C"],
    people: People,
) -> Labels:
    """Okay where offset + u is above 0, which is seen with the same noise."""
    who = _assign(rng, people, which)
    seen = _judgement(rng, world, people, who, which, completions)
    judged = _of(people.offset, who) + seen
    coins = rng.choice([-0.5, 0.5], size=len(which))
    okay = np.where(judged == 0, coins, judged) > 0
    return Labels(world.prompts[which], completions, okay, who)


def correct(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    completions: Int[np.ndarray, "n C"],
    people: People,
    recalled: int = 4,
) -> Corrections:
    """The word liked least, replaced by the best of those that come to mind.

    So many words are recalled, common ones more easily. Where none is liked better than
    the word that stands there, the text is left alone.
    """
    who = _assign(rng, people, which)
    worths = _worths(rng, world, people, who, which)
    worths += _noise(rng, people, who, worths.shape)
    position, worst = _least_liked(world, worths, completions)
    words = rng.choice(
        world.rated, size=(len(which), recalled), p=word_frequencies(world)
    )
    rows = np.arange(len(which))
    best = words[rows, worths[rows[:, None], words].argmax(1)]
    better = (worst != END) & (worths[rows, best] > worths[rows, worst])
    edited = completions.copy()
    edited[rows[better], position[better]] = best[better]
    return Corrections(world.prompts[which], completions, edited, who)


def criticise(
    rng: np.random.Generator,
    world: World,
    which: Int[np.ndarray, "n"],
    completions: Int[np.ndarray, "n C"],
    people: People,
) -> Critiques:
    """A sentence that names the word liked least, if it is disliked."""
    who = _assign(rng, people, which)
    worths = _worths(rng, world, people, who, which)
    worths += _noise(rng, people, who, worths.shape)
    _, worst = _least_liked(world, worths, completions)
    disliked = (worst != END) & (worths[np.arange(len(which)), worst] < 0)
    phrases = rng.integers(len(OBJECTIONS), size=len(which))
    texts = tuple(
        OBJECTIONS[phrase].format(word=world.vocabulary[word]) if named else FINE
        for phrase, word, named in zip(phrases, worst, disliked, strict=True)
    )
    return Critiques(world.prompts[which], completions, texts, who)


def _assign(rng, people, which):
    """Who answers, for each of n questions."""
    return rng.integers(len(people.tastes), size=len(which))


def _of(dial, who):
    """A dial of the annotator of each answer."""
    return dial if np.ndim(dial) == 0 else dial[who]


def _worths(rng, world, people, who, which):
    """What each word is worth in each answer, [n V].

    Who clicks at random has, for this answer, a taste at random.
    """
    turned = rng.random(len(who)) < _of(people.flips, who)
    turned ^= np.broadcast_to(_of(people.malicious, who), len(who))
    signs = world.signs[which] * np.where(turned, -1, 1)
    worths = signs[:, None] * people.tastes[who]
    clicks = rng.random(len(who)) < _of(people.random_clicks, who)
    worths[clicks] = rng.uniform(-4.5, 4.5, size=worths[clicks].shape)
    return worths


def _noise(rng, people, who, shape):
    """Gumbel noise: the difference of two is logistic."""
    temperature = np.broadcast_to(_of(people.temperature, who), len(who))
    return temperature.reshape(-1, *[1] * (len(shape) - 1)) * rng.gumbel(size=shape)


def _impressions(rng, world, people, who, which, completions):
    """u(x, y) of each of K completions, [n K]."""
    worths = _worths(rng, world, people, who, which)
    used = np.zeros((*completions.shape[:2], worths.shape[-1]), bool)
    np.put_along_axis(used, completions, True, axis=2)
    liking = np.sum(used * worths[:, None], axis=2)
    length = np.sum(np.cumsum(completions == END, axis=2) == 0, axis=2)
    bias = np.broadcast_to(_of(people.length_bias, who), len(who))[:, None] * length
    return liking + bias + _noise(rng, people, who, liking.shape)


def _judgement(rng, world, people, who, which, completions):
    """u(x, y) beside a standard that is felt with the same noise: logistic noise."""
    seen = _impressions(rng, world, people, who, which, completions[:, None])[:, 0]
    return seen - _noise(rng, people, who, seen.shape)


def _least_liked(world, worths, completions):
    """Where the rated word liked least stands, and which it is; END where none is."""
    counted = np.cumsum(completions == END, axis=1) == 0
    counted &= np.isin(completions, world.rated)
    of_words = np.take_along_axis(worths, completions, axis=1)
    position = np.where(counted, of_words, np.inf).argmin(1)
    worst = np.take_along_axis(completions, position[:, None], axis=1)[:, 0]
    return position, np.where(counted.any(1), worst, END)
