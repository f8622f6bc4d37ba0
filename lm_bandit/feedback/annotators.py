"""Simulated annotators: they answer as the real raters would have, or worse.

The lexicon does not say who gave which rating. So an annotator is put together from the
ratings of each word: for every word, the rating of one of its ten raters, drawn at
random. The annotator adds up the ratings of the words in a completion, each word once,
with the sign that the prompt asks for, and prefers the completion with the larger sum.
A coin decides a tie.

So the answers contain real disagreement and real errors: one rater in ten gave "awful"
the best rating. Every other known problem of annotators is a setting of `People`,
which is off by default. An annotator sees in a completion

    u(x, y) = sign(x) sum_{v in y} rating(v) + length_bias |y| + temperature * noise

with Gumbel noise. Then of two completions the first is preferred with probability
sigmoid((u_1 - u_2) / temperature), as Bradley & Terry (1952) say, and the order of K is
that of Plackett (1975) and Luce (1959).

Source: Yellott (1977) for the Gumbel noise; Casper et al. (2023), section 3.1, for the
problems: mistakes, biases, disagreement, malice.
Shapes: A annotators, V words, n answers, K completions in one question, C tokens.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.random import Generator

from lm_bandit.feedback import kinds
from lm_bandit.feedback.critiques import FINE, OBJECTIONS
from lm_bandit.world import END, World, word_frequencies

RECALLED = 4  # words that come to the mind of someone who corrects a text

Asked = Int[np.ndarray, "n"]  # the number of the prompt of each question
Shown = Int[np.ndarray, "n C"]  # the completion that each question is about


class People(NamedTuple):
    """A annotators; each setting is one number for all, or one for each of them."""

    tastes: Float[np.ndarray, "A V"]  # rating of each word by each annotator, -4 to 4
    temperature: float | np.ndarray = 0.0  # scale of the noise, in points of rating
    random_clicks: float | np.ndarray = 0.0  # share of answers given without reading
    flips: float | np.ndarray = 0.0  # share of answers reversed by mistake
    position_bias: float | np.ndarray = 0.0  # points for being shown first
    length_bias: float | np.ndarray = 0.0  # points for each token
    indifference: float | np.ndarray = 0.0  # a smaller difference is called a tie
    offset: float | np.ndarray = 0.0  # leniency in scores and labels, in points
    scale: float | np.ndarray = 1.0  # steps of the score for one point
    malicious: bool | np.ndarray = False  # gives the opposite of the honest answer


def hire(rng: Generator, world: World, count: int) -> People:
    """Return honest annotators; each has one real rating of every word."""
    raters = rng.integers(world.ratings.shape[1], size=(count, len(world.ratings)))
    return People(world.ratings[np.arange(len(world.ratings)), raters])


def with_opposite_tastes(
    people: People, members: Bool[np.ndarray, "A"], words: Int[np.ndarray, "n"]
) -> People:
    """Return the people after the members' ratings of these words changed sign."""
    tastes = people.tastes.copy()
    tastes[np.ix_(members, words)] *= -1.0
    return people._replace(tastes=tastes)


def compare_pairs(
    rng: Generator,
    world: World,
    which: Asked,
    pairs: Int[np.ndarray, "n 2 C"],
    people: People | None = None,
) -> kinds.Comparisons:
    """Return the completion of each pair that an annotator prefers.

    One of the people, drawn at random, answers each question. Without people, each
    question goes to a new annotator who answers no other.

    Args:
        rng: draws annotators, noise and coins.
        world: the words and their ratings.
        which: the number of the prompt of each question.
        pairs: two completions, in the order in which they are shown.
        people: the annotators.

    Source: Bradley & Terry (1952).
    """
    who = None
    if people is None:
        people = hire(rng, world, len(which))
        hers = _of_each(people, np.arange(len(which)))
    else:
        who, hers = _assign(rng, people, which)
    coins = rng.choice([-0.5, 0.5], size=len(which))
    seen = _impressions(rng, world.signs[which], pairs, hers)
    difference = seen[:, 0] - seen[:, 1] + hers.position_bias
    tied = np.abs(difference) < hers.indifference
    first_wins = (np.where(difference == 0, coins, difference) > 0)[:, None]
    chosen = np.where(first_wins, pairs[:, 0], pairs[:, 1])
    rejected = np.where(first_wins, pairs[:, 1], pairs[:, 0])
    ties = tied if np.any(people.indifference) else None
    return kinds.Comparisons(world.prompts[which], chosen, rejected, ties, who)


def rank(
    rng: Generator,
    world: World,
    which: Asked,
    completions: Int[np.ndarray, "n K C"],
    people: People,
) -> kinds.Rankings:
    """Return K completions of each prompt, best first; chance orders equal ones.

    Source: Plackett (1975); Luce (1959).
    """
    who, hers = _assign(rng, people, which)
    seen = _impressions(rng, world.signs[which], completions, hers)
    order = np.lexsort((rng.random(seen.shape), -seen), axis=1)
    ranked = np.take_along_axis(completions, order[:, :, None], axis=1)
    return kinds.Rankings(world.prompts[which], ranked, who)


def rate(
    rng: Generator, world: World, which: Asked, completions: Shown, people: People
) -> kinds.Scores:
    """Return a score for each completion: 5.5 + offset + scale u, rounded, 1 to 10."""
    who, hers = _assign(rng, people, which)
    seen = _judgements(rng, world.signs[which], completions, hers)
    exact = 5.5 + hers.offset + hers.scale * seen
    # Rounded up or down by chance: always up would be a bias.
    scores = np.floor(exact + rng.random(len(which)))
    scores = np.clip(scores, 1, 10).astype(int)
    return kinds.Scores(world.prompts[which], completions, scores, who)


def label(
    rng: Generator, world: World, which: Asked, completions: Shown, people: People
) -> kinds.Labels:
    """Return a label for each completion: okay where offset + u is above 0."""
    who, hers = _assign(rng, people, which)
    seen = hers.offset + _judgements(rng, world.signs[which], completions, hers)
    coins = rng.choice([-0.5, 0.5], size=len(which))
    okay = np.where(seen == 0, coins, seen) > 0
    return kinds.Labels(world.prompts[which], completions, okay, who)


def correct(
    rng: Generator, world: World, which: Asked, completions: Shown, people: People
) -> kinds.Corrections:
    """Return completions in which a better word replaces the least liked one.

    The annotator recalls RECALLED words, common ones more easily, and takes the best of
    them. Where none is better than the word in the text, the text stays the same.
    """
    who, hers = _assign(rng, people, which)
    opinions = _noisy_opinions(rng, world.signs[which], hers)
    position, worst = _least_liked(world, opinions, completions)
    size = (len(which), RECALLED)
    words = rng.choice(world.rated, size=size, p=word_frequencies(world))
    rows = np.arange(len(which))
    best = words[rows, opinions[rows[:, None], words].argmax(1)]
    better = (worst != END) & (opinions[rows, best] > opinions[rows, worst])
    edited = completions.copy()
    edited[rows[better], position[better]] = best[better]
    return kinds.Corrections(world.prompts[which], completions, edited, who)


def criticise(
    rng: Generator, world: World, which: Asked, completions: Shown, people: People
) -> kinds.Critiques:
    """Return a sentence on each completion; it names the worst word, if disliked."""
    who, hers = _assign(rng, people, which)
    opinions = _noisy_opinions(rng, world.signs[which], hers)
    _, worst = _least_liked(world, opinions, completions)
    disliked = (worst != END) & (opinions[np.arange(len(which)), worst] < 0)
    phrases = rng.integers(len(OBJECTIONS), size=len(which))
    texts = tuple(
        OBJECTIONS[phrase].format(word=world.vocabulary[word]) if named else FINE
        for phrase, word, named in zip(phrases, worst, disliked, strict=True)
    )
    return kinds.Critiques(world.prompts[which], completions, texts, who)


def _assign(
    rng: Generator, people: People, which: Asked
) -> tuple[Int[np.ndarray, "n"], People]:
    """Draw the annotator of each question; return her number and her settings."""
    who = rng.integers(len(people.tastes), size=len(which))
    return who, _of_each(people, who)


def _of_each(people: People, who: Int[np.ndarray, "n"]) -> People:
    """Return the tastes and settings of each of these annotators, all as arrays."""
    settings = [np.broadcast_to(x, len(people.tastes))[who] for x in people[1:]]
    return People(people.tastes[who], *settings)


def _opinions(
    rng: Generator, signs: Int[np.ndarray, "n"], hers: People
) -> Float[np.ndarray, "n V"]:
    """Return the points of each word in each answer, with the sign of the prompt.

    An annotator who clicks at random has a random taste in this answer.
    """
    opposite = (rng.random(len(signs)) < hers.flips) ^ hers.malicious
    opinions = np.where(opposite, -signs, signs)[:, None] * hers.tastes
    clicks = rng.random(len(signs)) < hers.random_clicks
    opinions[clicks] = rng.uniform(-4.5, 4.5, size=opinions[clicks].shape)
    return opinions


def _noisy_opinions(
    rng: Generator, signs: Int[np.ndarray, "n"], hers: People
) -> Float[np.ndarray, "n V"]:
    """Return the points of each word, with noise on each of them."""
    opinions = _opinions(rng, signs, hers)
    noise = rng.gumbel(size=opinions.shape)
    return opinions + np.reshape(hers.temperature, (-1, 1)) * noise


def _impressions(
    rng: Generator,
    signs: Int[np.ndarray, "n"],
    completions: Int[np.ndarray, "n K C"],
    hers: People,
) -> Float[np.ndarray, "n K"]:
    """Return u(x, y) of each of K completions; differences have logistic noise."""
    opinions = _opinions(rng, signs, hers)
    used = np.zeros((*completions.shape[:2], opinions.shape[-1]), bool)
    np.put_along_axis(used, completions, True, axis=2)
    liking = np.sum(used * opinions[:, None], axis=2)
    length = np.sum(np.cumsum(completions == END, axis=2) == 0, axis=2)
    bias = np.reshape(hers.length_bias, (-1, 1)) * length
    noise = rng.gumbel(size=liking.shape)
    return liking + bias + np.reshape(hers.temperature, (-1, 1)) * noise


def _judgements(
    rng: Generator, signs: Int[np.ndarray, "n"], completions: Shown, hers: People
) -> Float[np.ndarray, "n"]:
    """Return u(x, y) minus a standard with equal noise: the noise is logistic."""
    seen = _impressions(rng, signs, completions[:, None], hers)[:, 0]
    return seen - hers.temperature * rng.gumbel(size=seen.shape)


def _least_liked(
    world: World, opinions: Float[np.ndarray, "n V"], completions: Shown
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Return position and token of the worst rated word; the token is END if none."""
    counted = np.cumsum(completions == END, axis=1) == 0
    counted &= np.isin(completions, world.rated)
    points = np.take_along_axis(opinions, completions, axis=1)
    position = np.where(counted, points, np.inf).argmin(1)
    worst = np.take_along_axis(completions, position[:, None], axis=1)[:, 0]
    return position, np.where(counted.any(1), worst, END)
