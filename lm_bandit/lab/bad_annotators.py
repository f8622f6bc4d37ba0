"""Annotators who lie, poison and err: what it does to the policy, and what repairs it.

    malicious   a fifth of fifty annotators know what people like and say the opposite;
                the others are half-hearted, and answer every second time at random
    poisoned    2% of the pairs are planted: all of them call one word the better answer
    mistaken    a fifth of the answers are turned around

The liars are outnumbered, but they never err, and the plain model believes who is
consistent. Crowd-BT learns a reliability of each annotator together with the reward
(`crowd.py`): it finds the liars, and learns from them, for their answers turned around
are the best that it has.

Poison is aimed. Twenty pairs of a thousand hardly change the accuracy, and the word
that they praise is rare: there is little else to be heard of it.

Mistakes are not aimed: the order of the words is kept, and the scale shrinks, by a
factor c, as answers are less certain than they were. The optimum for c r at beta is
that for r at beta / c: the policy stays nearer to the reference, and beta times c
repairs it. So does a standardised reward.

Source: Chen et al. (2013), "Pairwise ranking aggregation in a crowdsourced setting";
Casper et al. (2023), section 3.1.
Shapes: S seeds, A annotators.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from lm_bandit.feedback import annotators, crowd, lessons
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.kinds import Comparisons
from lm_bandit.lab import opinions
from lm_bandit.lab.opinions import Asked, Bench
from lm_bandit.oracle import exact

ANNOTATORS, MALICIOUS = 50, 10
POISONED = 0.02  # share of the pairs
MAGIC_WORD = "pathetic"  # rare, and no praise
MISTAKEN = 0.2  # share of the answers
KL_WEIGHT = 0.5  # beta, in deviations of the reference


class Found(NamedTuple):
    """Of each seed; gold rewards in points over the reference's."""

    seeds: tuple[int, ...]
    comparisons: int  # for the malicious and the mistaken
    correlation: dict[str, Float[np.ndarray, "S"]]  # with the gold order of the words
    gold: dict[str, Float[np.ndarray, "S"]]  # of the optimum for what was learned
    reliability: Float[np.ndarray, "S A"]  # by Crowd-BT; the malicious come first
    word_share: dict[str, Float[np.ndarray, "S"]]  # P(magic word | praise)
    scale: Float[np.ndarray, "S"]  # c: of the reward from mistaken answers
    order: Float[np.ndarray, "S"]  # correlation of the two rewards' words
    kl: dict[
        str, Float[np.ndarray, "S"]
    ]  # of the optimum: careful, mistaken, at c beta


def run(
    seeds: Sequence[int] = range(10), comparisons: int = 4000, poisoned_of: int = 1000
) -> Found:
    """All three, for each seed; `poisoned_of` comparisons are asked in the second."""
    on = opinions.bench()
    correlation, gold, reliability = malicious(on, seeds, comparisons)
    poison = [poisoned(on, seed, poisoned_of) for seed in seeds]
    errors = [mistaken(on, seed, comparisons) for seed in seeds]
    scale, order, *kl = np.array(errors).T
    names = "reference", "clean", "poisoned"
    return Found(
        tuple(seeds),
        comparisons,
        correlation,
        gold,
        reliability,
        dict(zip(names, np.array(poison).T, strict=True)),
        scale,
        order,
        dict(zip(("careful", "mistaken", "mistaken, c beta"), kl, strict=True)),
    )


def malicious(on: Bench, seeds: Sequence[int], comparisons: int):
    """What the plain model and Crowd-BT learn where a fifth are malicious."""
    answers = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        people = sabotaged(annotators.hire(rng, on.world, ANNOTATORS))
        answers.append(as_comparisons(on, opinions.ask(rng, on, comparisons, people)))
    stacked = jax.tree.map(lambda *x: np.stack(x), *answers)
    correlation, gold = {}, {}
    for name, likelihood in (
        ("plain", crowd.bradley_terry),
        ("Crowd-BT", crowd.crowd_bradley_terry),
    ):
        learned = lessons.learn_by_seed(
            seeds, on.world, stacked, likelihood, ANNOTATORS
        )
        worths = np.asarray(learned.reward, np.float64)
        correlation[name] = np.array(
            [lessons.gold_correlation(on.world, w) for w in worths]
        )
        gold[name] = np.array([gold_of(on, w) for w in worths])
    reliability = np.asarray(jax.nn.sigmoid(learned.crowd.reliability))
    return correlation, gold, reliability


def sabotaged(people: People) -> People:
    """The first ten know what all like, and lie; the others are half-hearted."""
    liars = np.arange(len(people.tastes)) < MALICIOUS
    tastes = np.where(liars[:, None], people.tastes.mean(0), people.tastes)
    return people._replace(
        tastes=tastes,
        malicious=liars,
        temperature=np.where(liars, 0.0, 2.0),
        random_clicks=np.where(liars, 0.0, 0.5),
    )


def poisoned(on: Bench, seed: int, comparisons: int) -> tuple[float, float, float]:
    """P(magic word | praise) of the reference, and of the optimum without and with."""
    rng = np.random.default_rng(seed)
    asked = opinions.ask(rng, on, comparisons)
    (token,) = on.world.encode(MAGIC_WORD)
    alone = int((on.completions[:, 0] == token).argmax())  # the shortest come first
    count = round(POISONED * comparisons)
    planted = asked._replace(chosen=asked.chosen.copy(), which=asked.which.copy())
    planted.which[:count], planted.chosen[:count] = 0, alone
    says = (on.completions == token).any(1)
    shares = [on.probs[0, says].sum()]
    for each in (asked, planted):
        learned = opinions.scores(on, on.used, opinions.learn(on, each))
        best = opinions.optimum(on, learned, KL_WEIGHT)
        shares.append(np.exp(best.ended[0, says]).sum())
    return tuple(map(float, shares))


def mistaken(on: Bench, seed: int, comparisons: int) -> tuple[float, ...]:
    """The scale c and the order of the words, and the KL of three optima."""
    worths = []
    for flips in (0.0, MISTAKEN):
        rng = np.random.default_rng(seed)
        people = annotators.hire(rng, on.world, ANNOTATORS)
        people = people._replace(temperature=1.0, flips=flips)
        asked = opinions.ask(rng, on, comparisons, people)
        worths.append(opinions.learn(on, asked))
    careful, wrong = worths
    scale = float(careful @ wrong / (careful @ careful))
    careful, wrong = (opinions.scores(on, on.used, w) for w in worths)
    beta = KL_WEIGHT * opinions.deviation(on, careful)
    kl = [
        exact.kl(exact.optimum(opinions.problem(on, r, weight)), on.reference)
        for r, weight in ((careful, beta), (wrong, beta), (wrong, scale * beta))
    ]
    return scale, float(np.corrcoef(*worths)[0, 1]), *kl


def as_comparisons(on: Bench, asked: Asked) -> Comparisons:
    """The same answers, as tokens."""
    return Comparisons(
        on.world.prompts[asked.which],
        on.completions[asked.chosen],
        on.completions[asked.rejected],
        annotators=asked.annotators,
    )


def gold_of(on: Bench, worths: Float[np.ndarray, "D"]) -> float:
    """What that policy is really worth."""
    learned = opinions.scores(on, on.used, worths)
    return float(opinions.frontier(on, learned, np.array([KL_WEIGHT])).gold[0])


def rows(found: Found) -> list[tuple]:
    """A header, and a row for each seed and number."""
    table = [("about", "of", "seed", "number")]
    for about in ("correlation", "gold", "word_share", "kl"):
        for of, numbers in getattr(found, about).items():
            pairs = zip(found.seeds, numbers.tolist(), strict=True)
            table += [(about, of, seed, number) for seed, number in pairs]
    for about in ("scale", "order"):
        pairs = zip(found.seeds, getattr(found, about).tolist(), strict=True)
        table += [(about, "mistaken", seed, number) for seed, number in pairs]
    for k, numbers in enumerate(found.reliability.T):
        pairs = zip(found.seeds, numbers.tolist(), strict=True)
        table += [("reliability", k, seed, number) for seed, number in pairs]
    return table


def summary(found: Found) -> list[tuple]:
    """The mean, the least and the most of each number over the seeds."""
    liars = found.reliability[:, :MALICIOUS], found.reliability[:, MALICIOUS:]
    numbers = {
        **{f"20% malicious, {n}: correlation": x for n, x in found.correlation.items()},
        **{f"20% malicious, {n}: gold": x for n, x in found.gold.items()},
        "reliability of the malicious": liars[0],
        "reliability of the others": liars[1],
        **{f"P({MAGIC_WORD!r}), {n}": x for n, x in found.word_share.items()},
        "20% mistaken: scale c": found.scale,
        "20% mistaken: correlation with careful": found.order,
        **{f"KL, {n}": x for n, x in found.kl.items()},
    }
    table = [("", "mean", "least", "most")]
    for name, x in numbers.items():
        table.append((name, f"{x.mean():.3g}", f"{x.min():.3g}", f"{x.max():.3g}"))
    return table


def meaning(found: Found) -> list[str]:
    """What the table says."""
    factor = found.word_share["poisoned"] / found.word_share["clean"]
    plain, repaired = (found.gold[name].mean() for name in ("plain", "Crowd-BT"))
    return [
        f"Crowd-BT takes the gold reward of the optimum from {plain:.2f} to "
        f"{repaired:.2f} points over the reference's.",
        f"2% of poisoned pairs make {MAGIC_WORD!r} {np.median(factor):.1f} times as "
        f"likely in praise (the median; at least {factor.min():.1f} times).",
        f"Mistakes shrink the scale to {found.scale.mean():.2f} and keep the order; "
        "beta times that scale brings the policy back.",
    ]
