"""Tasks that are too hard to judge: the more words to read, the noisier the answer.

    P(first before second) = sigmoid((u_1 - u_2) / temperature)
    temperature            = hardness (words in both completions - 2)

Two single words are compared without noise, two completions of three words with much
noise. So answers about long completions teach little. Does the reward model know less
about long completions, too? That depends on what it can carry over:

    shared      one weight for each word, wherever it stands
    separate    one weight for each word and completion length, as if "superb" alone and
                "superb" among three words had nothing in common

The shared model learns from the easy questions what it needs for the hard ones. The
separate one cannot: its scores of long completions shrink and scatter. To judge what is
too hard for people, find a form in which easy cases carry over to hard ones: that is
the hope of scalable oversight. Nobody knows beforehand which of the two a neural
network is.

Source: Casper et al. (2023), section 3.1.2, on oversight of difficult tasks; Luce
(1959) for the noise.
Shapes: S seeds, L lengths.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from lm_bandit.feedback import annotators, linear_reward
from lm_bandit.lab import tabular
from lm_bandit.lab.experiment import (
    Experiment,
    Rows,
    seed_jobs,
    stack_seeds,
)
from lm_bandit.lab.tabular import MAX_WORDS, Bench, BenchComparisons, Rewards
from mdp.interface.jobs import Runner

ANNOTATORS = 50
HARDNESS = 4.0  # points of noise for each word after the second
KL_WEIGHT = 0.5  # beta
MODELS = ("shared", "separate")
LENGTHS = tuple(range(1, MAX_WORDS + 1))


class TooHardResult(NamedTuple):
    """Results by completion length; annotators are careful, or tire with length."""

    seeds: tuple[int, ...]
    comparisons: int
    accuracy: dict[str, Float[np.ndarray, "S L"]]  # share of right answers
    rank_correlation: dict[str, Float[np.ndarray, "S L"]]  # of learned and gold
    gold: dict[str, Float[np.ndarray, "S L"]]  # of the optimum, in points


def vary_hardness(
    seeds: Sequence[int] = range(10),
    comparisons: int = 2000,
    runner: Runner | None = None,
) -> TooHardResult:
    """Learn both reward models from careful and from tired annotators, and optimise."""
    bench = tabular.make_bench()
    jobs = seed_jobs(seeds, hardness_effects, bench, comparisons)
    results = (runner or Runner()).run_all(jobs)
    return TooHardResult(tuple(seeds), comparisons, **stack_seeds(results))


def hardness_effects(
    seed: int, bench: Bench, comparisons: int
) -> dict[str, dict[str, Float[np.ndarray, "L"]]]:
    """The accuracy, rank correlations and gold rewards for one seed, by length."""
    accuracy, rank_correlation, gold = {}, {}, {}
    for people, hardness in (("careful", 0.0), ("tired", HARDNESS)):
        answers = ask_tired_annotators(seed, bench, comparisons, hardness)
        accuracy[people] = answer_accuracy(bench, answers)
        for model in MODELS:
            name = f"{people}, {model}"
            reward = scores_by_length(bench, answers, model == "shared")
            rank_correlation[name] = rank_correlations(bench, reward)
            gold[name] = gold_by_length(bench, reward)
    return {"accuracy": accuracy, "rank_correlation": rank_correlation, "gold": gold}


def ask_tired_annotators(
    seed: int, bench: Bench, count: int, hardness: float
) -> BenchComparisons:
    """Pairs drawn from the reference, each judged with the noise of its length."""
    rng = np.random.default_rng(seed)
    people = annotators.hire(rng, bench.world, ANNOTATORS)
    prompts, pairs = tabular.draw_pairs(rng, bench, count)
    words_read = bench.lengths[pairs].sum(1)
    chosen = np.zeros(count, int)
    for words in np.unique(words_read):
        rows = words_read == words
        noisy = people._replace(temperature=hardness * (words - 2.0))
        answers = tabular.judge_pairs(rng, bench, prompts[rows], pairs[rows], noisy)
        chosen[rows] = answers.chosen
    return BenchComparisons(prompts, chosen, pairs.sum(1) - chosen, None)


def scores_by_length(bench: Bench, answers: BenchComparisons, shared: bool) -> Rewards:
    """The learned scores, with weights that all lengths share, or separate weights."""
    features = bench.used
    if not shared:
        features = np.hstack([features * rows[:, None] for rows in _of_length(bench)])
    differences = tabular.feature_differences(bench, answers, features)
    weights = linear_reward.fit_weights(differences).mean
    return tabular.linear_scores(bench, features, weights)


def answer_accuracy(bench: Bench, answers: BenchComparisons) -> Float[np.ndarray, "L"]:
    """The share of answers that agree with the gold reward, by completion length.

    Only pairs of the same length count, and only where the gold rewards differ.
    """
    chosen = bench.gold[answers.prompts, answers.chosen]
    rejected = bench.gold[answers.prompts, answers.rejected]
    length, other = bench.lengths[answers.chosen], bench.lengths[answers.rejected]
    counted = (length == other) & (chosen != rejected)
    right = chosen > rejected
    return np.array([np.mean(right[counted & (length == n)]) for n in LENGTHS])


def rank_correlations(bench: Bench, reward: Rewards) -> Float[np.ndarray, "L"]:
    """Spearman's correlation of learned and gold praise, by completion length."""
    pairs = [(reward[0, rows], bench.gold[0, rows]) for rows in _of_length(bench)]
    return np.array([stats.spearmanr(x, y).statistic for x, y in pairs])


def gold_by_length(bench: Bench, reward: Rewards) -> Float[np.ndarray, "L"]:
    """The mean gold reward of the optimum's completions, by their length."""
    probs = np.exp(tabular.optimal_policy(bench, reward, KL_WEIGHT).ended)
    earned = probs * bench.gold
    means = [earned[:, x].sum() / probs[:, x].sum() for x in _of_length(bench)]
    return np.array(means)


def _of_length(bench: Bench) -> list[Bool[np.ndarray, "E"]]:
    """Masks of the completions of one word, of two, and of three."""
    return [bench.lengths == n for n in LENGTHS]


COLUMNS = {
    "what is measured": "means over the seeds",
    **{f"{n} word{'s' * (n > 1)}": "" for n in LENGTHS},
}
WORDS = {
    "1 to 3 words": "the length of the completions that are judged",
    "careful": "annotators who read all completions alike",
    "tired": "annotators whose answers are noisier the more words they must read",
    "right answers": "share of the answers that prefer what the raters prefer",
    "rank correlation": "Spearman's, of learned and gold reward: 1 is the same order",
    "gold": "what the raters think of the optimum's completions, in points",
    "shared": "a reward model with one weight for each word",
    "separate": "a reward model with other weights for each length",
}


def _summary(result: TooHardResult) -> Rows:
    """Return each measure by the length of the completions."""
    rows: Rows = []
    for title, cases in (
        ("right answers", result.accuracy),
        ("rank correlation", result.rank_correlation),
        ("gold", result.gold),
    ):
        for case, numbers in cases.items():
            rows.append((f"{title}, {case}", *(f"{x:.2f}" for x in numbers.mean(0))))
    return rows


def _explanation(result: TooHardResult) -> list[str]:
    right = result.accuracy["tired"].mean(0)
    known = {name: x[:, -1].mean() for name, x in result.rank_correlation.items()}
    return [
        f"Tired annotators answer {right[-1]:.0%} of the questions about three words "
        f"right, and {right[0]:.0%} of those about one.",
        f"For three words, the learned reward's rank correlation is "
        f"{known['tired, separate']:.2f} if each length has its own weights, and "
        f"{known['tired, shared']:.2f} if all lengths share them.",
    ]


EXPERIMENT = Experiment(vary_hardness, COLUMNS, _summary, _explanation, WORDS)
