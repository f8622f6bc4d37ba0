"""Annotators who lie, poison or err: what happens to the policy, and what repairs it.

    malicious   a fifth of fifty annotators know what people like, and say the opposite;
                the others answer half of the questions at random, and noisily
    poisoned    2% of the pairs are planted: one word is the better answer in all
    mistaken    a fifth of the answers are turned around

**Malicious** annotators are a minority, but they never err, and the plain model trusts
whoever is consistent. Crowd-BT learns a reliability of each annotator together
with the reward (`feedback/crowd.py`). It finds the liars and learns from them: turned
around, their answers are the best that it has.

**Poison** is aimed. Twenty pairs of a thousand hardly change the accuracy, but the word
that they praise is rare, and few other answers mention it.

**Mistakes** are not aimed. The order of the words stays, and the scale shrinks by a
factor c, because answers are less certain than before. The optimum for c r at beta is
the optimum for r at beta / c: the policy stays nearer to the reference. A KL weight of
c beta repairs it, and so does a standardised reward.

Source: Chen et al. (2013), "Pairwise ranking aggregation in a crowdsourced setting",
for Crowd-BT; Casper et al. (2023), section 3.1, on problems with human feedback.
Shapes: S seeds, A annotators.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.nn import sigmoid
from jaxtyping import Float

from lm_bandit.feedback import annotators, crowd, lessons
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.crowd import Crowd, CrowdModel
from lm_bandit.lab import tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
    stack_seeds,
)
from lm_bandit.lab.tabular import Bench
from lm_bandit.oracle import exact
from lm_bandit.reward_model import Comparisons
from mdp.interface.jobs import Job, Runner

ANNOTATORS, MALICIOUS = 50, 10
POISONED = 0.02  # share of the pairs
POISON_WORD = "pathetic"  # rare, and no praise
MISTAKEN = 0.2  # share of the answers
KL_WEIGHT = 0.5  # beta, in deviations
LIKELIHOODS = {"plain": crowd.bradley_terry, "Crowd-BT": crowd.crowd_bradley_terry}


class BadAnnotatorsResult(NamedTuple):
    """The effects of malice, poison and mistakes, seed by seed."""

    seeds: tuple[int, ...]
    comparisons: int  # by the malicious and by the mistaken
    correlation: dict[str, Float[np.ndarray, "S"]]  # of learned and gold, by words
    gold: dict[str, Float[np.ndarray, "S"]]  # of the optimum, minus the reference's
    reliability: Float[np.ndarray, "S A"]  # by Crowd-BT; the malicious come first
    word_share: dict[str, Float[np.ndarray, "S"]]  # P(poison word | praise)
    scale: Float[np.ndarray, "S"]  # c, of the reward learned from mistaken answers
    order: Float[np.ndarray, "S"]  # correlation of careful and mistaken word weights
    kl: dict[str, Float[np.ndarray, "S"]]  # of the optimum: careful, mistaken, c beta


def compare_bad_annotators(
    seeds: Sequence[int] = range(10),
    comparisons: int = 4000,
    planted_of: int = 1000,
    runner: Runner | None = None,
) -> BadAnnotatorsResult:
    """Learn from malicious, poisoned and mistaken answers, and optimise.

    Args:
        seeds: of the questions and the answers.
        comparisons: by the malicious and by the mistaken.
        planted_of: comparisons of which 2% are planted.
        runner: of the models of the crowd, and of the measurements of each seed.
    """
    bench = tabular.make_bench()
    malice = partial(learn_despite_malice, bench, seeds, comparisons)
    jobs = seed_jobs(seeds, _effects_of_errors, bench, comparisons, planted_of)
    learned, *measured = (runner or Runner()).run_all(
        [Job("crowd", "crowd", 1, malice), *jobs]
    )
    correlation, gold = {}, {}
    for name, model in learned.items():
        correlations, golds = [], []
        for weights in np.asarray(model.reward, np.float64):
            reward = tabular.linear_scores(bench, bench.used, weights)
            correlations.append(lessons.gold_correlation(bench.world, weights))
            golds.append(tabular.optimum_gold(bench, reward, KL_WEIGHT))
        correlation[name], gold[name] = np.array(correlations), np.array(golds)
    shares, mistakes = zip(*measured, strict=True)
    return BadAnnotatorsResult(
        seeds=tuple(seeds),
        comparisons=comparisons,
        correlation=correlation,
        gold=gold,
        reliability=np.asarray(sigmoid(learned["Crowd-BT"].crowd.reliability)),
        word_share=stack_seeds(shares),
        **stack_seeds(mistakes),
    )


def _effects_of_errors(
    seed: int, bench: Bench, comparisons: int, planted_of: int
) -> tuple[dict[str, float], dict[str, Any]]:
    shares = poisoned_shares(bench, seed, planted_of)
    return shares, effect_of_mistakes(bench, seed, comparisons)


def learn_despite_malice(
    bench: Bench, seeds: Sequence[int], count: int
) -> dict[str, CrowdModel]:
    """The models of all seeds that learn from a crowd with a fifth of liars."""
    asked = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        people = with_liars(annotators.hire(rng, bench.world, ANNOTATORS))
        answers = tabular.ask_annotators(rng, bench, count, people)
        prompts = bench.world.prompts[answers.prompts]
        chosen = bench.completions[answers.chosen]
        rejected = bench.completions[answers.rejected]
        asked.append(Comparisons(prompts, chosen, rejected, None, answers.annotators))
    stacked = jax.tree.map(lambda *x: np.stack(x), *asked)
    return {
        name: lessons.learn_by_seed(seeds, bench.world, stacked, likelihood, ANNOTATORS)
        for name, likelihood in LIKELIHOODS.items()
    }


def with_liars(people: People) -> People:
    """The people with ten liars, who know the mean taste; the others are careless.

    The careless answer half of the questions at random.
    """
    liars = np.arange(len(people.tastes)) < MALICIOUS
    tastes = np.where(liars[:, None], people.tastes.mean(0), people.tastes)
    return people._replace(
        tastes=tastes,
        malicious=liars,
        temperature=np.where(liars, 0.0, 2.0),
        random_clicks=np.where(liars, 0.0, 0.5),
    )


def poisoned_shares(bench: Bench, seed: int, comparisons: int) -> dict[str, float]:
    """P(poison word | praise) of the reference, and of the optimum without and with it.

    In the first 2% of the pairs, the chosen completion becomes the poison word alone.
    """
    answers = tabular.ask_annotators(np.random.default_rng(seed), bench, comparisons)
    says = bench.counts[:, bench.column(POISON_WORD)] > 0
    planted = np.arange(comparisons) < round(POISONED * comparisons)
    alone = int(says.argmax())  # the shortest completions come first
    poisoned = answers._replace(
        prompts=np.where(planted, 0, answers.prompts),
        chosen=np.where(planted, alone, answers.chosen),
    )
    shares = {"reference": float(bench.probs[0, says].sum())}
    for name, each in (("clean", answers), ("poisoned", poisoned)):
        learned = tabular.fit_scores(bench, each)
        best = tabular.optimal_policy(bench, learned, KL_WEIGHT)
        shares[name] = float(np.exp(best.ended[0, says]).sum())
    return shares


def effect_of_mistakes(bench: Bench, seed: int, comparisons: int) -> dict[str, Any]:
    """The scale c, the correlation of the word weights, and the KL of three optima.

    The scale is the least-squares c in w_mistaken = c w_careful. The optima are those
    for the careful reward, for the mistaken one, and for the mistaken one at c beta.
    """
    weights, rewards = [], []
    for flips in (0.0, MISTAKEN):
        rng = np.random.default_rng(seed)
        people = annotators.hire(rng, bench.world, ANNOTATORS)
        people = people._replace(temperature=1.0, flips=flips)
        answers = tabular.ask_annotators(rng, bench, comparisons, people)
        weights.append(tabular.fit_word_weights(bench, answers))
        rewards.append(tabular.linear_scores(bench, bench.used, weights[-1]))
    (careful, mistaken), (right, wrong) = weights, rewards
    scale = float(careful @ mistaken / (careful @ careful))
    beta = KL_WEIGHT * tabular.reward_deviation(bench, right)
    kl = {}
    for name, reward, weight in (
        ("careful", right, beta),
        ("mistaken", wrong, beta),
        ("mistaken, c beta", wrong, scale * beta),
    ):
        best = exact.optimum(tabular.bench_problem(bench, reward, weight))
        kl[name] = exact.kl(best, bench.reference)
    order = float(np.corrcoef(careful, mistaken)[0, 1])
    return {"scale": scale, "order": order, "kl": kl}


KL_TITLES = "careful answers", "20% mistaken", "20% mistaken, beta x scale"
COLUMNS = {
    "what is measured": "",
    "mean": "over the seeds",
    "least": "on the seed where it is smallest",
    "most": "on the seed where it is largest",
}
WORDS = {
    "correlation": "of the learned weights of the words with the raters' mean ratings",
    "gold": "what the raters think of the optimum for the learned reward, in points, "
    "minus the reference's",
    "plain": "a model that trusts all annotators alike",
    "Crowd-BT": "a model that also learns the reliability of each annotator",
    "reliability": "the share of true answers, by Crowd-BT; below 0.5, the opposite of "
    "the answers is true",
    "P(word)": "share of the optimum's praise with this word; clean: no planted pairs",
    "scale": "of the reward: 1 if learned from careful answers",
    "KL": "how far the optimum is from the reference, in nats; x scale: with beta made "
    "smaller by the same factor",
}


def _summary(result: BadAnnotatorsResult) -> Rows:
    """Return the mean, the least and the most of each measure over the seeds."""
    liars, others = np.split(result.reliability, [MALICIOUS], axis=1)
    mistaken = {
        "scale": result.scale,
        "correlation with the careful": result.order,
    }
    measures = {
        "20% malicious, {}: correlation": result.correlation,
        "20% malicious, {}: gold": result.gold,
        "reliability of the {}": {"malicious": liars, "others": others},
        f"P({POISON_WORD!r}), {{}}": result.word_share,
        "20% mistaken: {}": mistaken,
        "KL, {}": dict(zip(KL_TITLES, result.kl.values(), strict=True)),
    }
    rows: Rows = []
    for title, cases in measures.items():
        for case, x in cases.items():
            numbers = (f"{number:.3g}" for number in (x.mean(), x.min(), x.max()))
            rows.append((title.format(case), *numbers))
    return rows


def _explanation(result: BadAnnotatorsResult) -> list[str]:
    factor = result.word_share["poisoned"] / result.word_share["clean"]
    plain, repaired = (result.gold[name].mean() for name in LIKELIHOODS)
    return [
        f"Crowd-BT raises the gold reward of the optimum from {plain:.2f} to "
        f"{repaired:.2f} points.",
        f"2% of poisoned pairs make {POISON_WORD!r} {np.median(factor):.1f} times as "
        f"likely in praise (the median over seeds; at least {factor.min():.1f} times).",
        f"Mistakes shrink the scale of the reward to {result.scale.mean():.2f} and "
        "keep the order of the words; a KL weight of that scale times beta repairs it.",
    ]


EXPERIMENT = Experiment(
    compare_bad_annotators,
    COLUMNS,
    _summary,
    _explanation,
    WORDS,
    types=(CrowdModel, Crowd),
)
