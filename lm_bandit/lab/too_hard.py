"""Tasks too hard to judge: who reads more words, sees less of what they are worth.

    P(first before second) = sigmoid((u_1 - u_2) / temperature)
    temperature            = hardness (words in both completions - 2)

Two single words are compared without a slip, two completions of three words with much
noise. The answers about long completions teach little. Does the reward model know less
about them, too? That depends on what it may carry over:

    shared      one worth for each word, wherever it stands
    separate    a worth for each word in completions of each length, as if "superb"
                alone and "superb" among three had nothing to do with each other

The first learns from the easy questions what it needs for the hard ones; the second
cannot, and its scores of long completions shrink and scatter. To judge what is too hard
for people, find a form in which the easy carries over: that is the hope of scalable
oversight, and of assistance to annotators. Which of the two a network is, nobody knows
beforehand.

Source: Casper et al. (2023), section 3.1.2, on oversight of difficult tasks; Luce
(1959) for the noise.
Shapes: S seeds, L lengths.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from lm_bandit.feedback import annotators, linear_reward
from lm_bandit.lab import opinions
from lm_bandit.lab.opinions import WORDS, Asked, Bench

ANNOTATORS = 50
HARDNESS = 4.0  # points of noise for each word after the second
KL_WEIGHT = 0.5  # beta
MODELS = ("shared", "separate")


class Found(NamedTuple):
    """By completion length; of annotators who are careful, and who tire."""

    seeds: tuple[int, ...]
    comparisons: int
    right: dict[str, Float[np.ndarray, "S L"]]  # share of answers as by the gold reward
    known: dict[str, Float[np.ndarray, "S L"]]  # learned against gold, by rank
    gold: dict[str, Float[np.ndarray, "S L"]]  # of the optimum's completions, in points


def run(seeds: Sequence[int] = range(10), comparisons: int = 2000) -> Found:
    """Ask, learn in both forms, and optimise, for each seed and kind of annotator."""
    on = opinions.bench()
    right, known, gold = {}, {}, {}
    for people, hardness in (("careful", 0.0), ("tired", HARDNESS)):
        asked = [ask(seed, on, comparisons, hardness) for seed in seeds]
        right[people] = np.stack([share_right(on, each) for each in asked])
        for model in MODELS:
            rewards = [learned(on, each, model == "shared") for each in asked]
            name = f"{people}, {model}"
            known[name] = np.stack([by_rank(on, each) for each in rewards])
            gold[name] = np.stack([worth(on, each) for each in rewards])
    return Found(tuple(seeds), comparisons, right, known, gold)


def ask(seed: int, on: Bench, count: int, hardness: float) -> Asked:
    """Pairs drawn from the reference, each judged with the noise of its length."""
    rng = np.random.default_rng(seed)
    people = annotators.hire(rng, on.world, ANNOTATORS)
    which = rng.integers(len(on.gold), size=count)
    pairs = opinions.draw(rng, on.probs, np.repeat(which, 2)).reshape(-1, 2)
    read = lengths(on)[pairs].sum(1)
    chosen = np.zeros(count, int)
    for words in np.unique(read):
        rows = read == words
        noisy = people._replace(temperature=hardness * (words - 2.0))
        shown = on.completions[pairs[rows]]
        told = annotators.compare_pairs(rng, on.world, which[rows], shown, noisy)
        won = (told.chosen == shown[:, 0]).all(1)
        chosen[rows] = np.where(won, *pairs[rows].T)
    return Asked(which, chosen, pairs.sum(1) - chosen, None)


def lengths(on: Bench) -> Int[np.ndarray, "E"]:
    """Words in each completion, repeated ones among them."""
    return on.counts.sum(1)


def learned(on: Bench, asked: Asked, shared: bool) -> Float[np.ndarray, "k E"]:
    """The reward, with one worth for each word, or one for each word and length."""
    at = lengths(on)[:, None]
    each = [np.where(at == length, on.used, 0.0) for length in range(1, WORDS + 1)]
    features = on.used if shared else np.concatenate(each, axis=1)
    worths = linear_reward.fit_weights(opinions.differences(on, asked, features)).mean
    return opinions.scores(on, features, worths)


def share_right(on: Bench, asked: Asked) -> Float[np.ndarray, "L"]:
    """How many answers about two of the same length are as by the gold reward."""
    better, worse = (
        on.gold[asked.which, rows] for rows in (asked.chosen, asked.rejected)
    )
    length, other = lengths(on)[asked.chosen], lengths(on)[asked.rejected]
    told = (length == other) & (better != worse)
    return np.array(
        [
            np.mean((better > worse)[told & (length == words)])
            for words in range(1, WORDS + 1)
        ]
    )


def by_rank(on: Bench, reward: Float[np.ndarray, "k E"]) -> Float[np.ndarray, "L"]:
    """Spearman's correlation of learned and gold, of completions of one length."""
    of_length = [lengths(on) == words for words in range(1, WORDS + 1)]
    return np.array(
        [
            stats.spearmanr(reward[0, rows], on.gold[0, rows]).statistic
            for rows in of_length
        ]
    )


def worth(on: Bench, reward: Float[np.ndarray, "k E"]) -> Float[np.ndarray, "L"]:
    """The mean gold reward of the optimum's completions of each length."""
    probs = np.exp(opinions.optimum(on, reward, KL_WEIGHT).ended)
    of_length = [lengths(on) == words for words in range(1, WORDS + 1)]
    return np.array(
        [
            np.sum((probs * on.gold)[:, rows]) / probs[:, rows].sum()
            for rows in of_length
        ]
    )


def rows(found: Found) -> list[tuple]:
    """A header, and a row for each number, length and seed."""
    table = [("about", "of", "words", "seed", "number")]
    for about in ("right", "known", "gold"):
        for of, numbers in getattr(found, about).items():
            for i, seed in enumerate(found.seeds):
                for j, number in enumerate(numbers[i].tolist()):
                    table.append((about, of, j + 1, seed, number))
    return table


def summary(found: Found) -> list[tuple]:
    """Each number by length; means over the seeds."""
    table = [("words in a completion", *map(str, range(1, WORDS + 1)))]
    told = {
        **{f"answers that are right, {n}": x for n, x in found.right.items()},
        **{f"order known to the model, {n}": x for n, x in found.known.items()},
        **{f"gold reward of the optimum, {n}": x for n, x in found.gold.items()},
    }
    for name, numbers in told.items():
        table.append((name, *(f"{x:.2f}" for x in numbers.mean(0))))
    return table


def meaning(found: Found) -> list[str]:
    """What the table says."""
    shared, separate = (found.known[f"tired, {model}"].mean(0) for model in MODELS)
    return [
        f"Tired people are right about {found.right['tired'][:, -1].mean():.0%} of the "
        f"pairs of three words, and about {found.right['tired'][:, 0].mean():.0%} of "
        "those of one.",
        f"What the model knows of three words is {separate[-1]:.2f} where lengths have "
        f"nothing in common, and {shared[-1]:.2f} where the easy carries over.",
    ]
