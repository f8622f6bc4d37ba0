"""Lessons: the cost of each kind of feedback, and what a reward model learns from it.

The cost of an answer is what an annotator has to read (and perhaps write) for it. What
it teaches is measured with the linear reward model (`linear_reward.py`), trained on the
answers of one kind alone. The measure is the order of the words, compared with their
mean ratings:

    Spearman's correlation of w and the gold weights:  1 equal order, -1 reversed order

Fifty people of `annotators.py` answer at temperature 1. The likelihoods are those of
`crowd.py`. The questions are random: one or two words, as the language uses them. Mean
over eight seeds:

    answers                                                     250   1000   4000
    comparison        reads 2, points at one                    .91    .96    .98
    ranking of 4      reads 4, orders them                      .97    .98    .99
    score             reads 1, says a number            up to   .90    .96    .98
    label             reads 1, says yes or no                   .80    .95    .97
    correction        reads 1, writes a word                    .89    .96    .97
    critique          reads 1, writes a sentence        up to   .89    .94    .95

A ranking teaches as much as four comparisons, and costs the reading of two. Labels and
critiques show a threshold rather than a scale: where all agree that a word is good,
they cannot tell how good.

Source: Spearman (1904); Casper et al. (2023), section 3.1, on the kinds of feedback.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy import stats

from lm_bandit import reward_model, sft
from lm_bandit.config import RewardConfig
from lm_bandit.feedback import annotators, critiques, crowd, linear_reward
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.crowd import CrowdModel, Likelihood
from lm_bandit.feedback.kinds import Answers, Critiques
from lm_bandit.world import World

TRAINING = RewardConfig(num_updates=500, batch_size=128, step_size=0.1)


class Kind(NamedTuple):
    """A kind of question, and the likelihood of its answers."""

    name: str
    reads: int  # completions that an annotator reads for one answer
    answer: Callable  # from annotators.py: reads completions [n C], or [n reads C]
    likelihood: Likelihood

    def ask(
        self,
        rng: np.random.Generator,
        world: World,
        which: Int[np.ndarray, "n"],
        completions: Int[np.ndarray, "n reads C"],
        people: People,
    ) -> Answers:
        """Return these people's answers about the completions; critiques are parsed."""
        shown = completions[:, 0] if self.reads == 1 else completions
        answers = self.answer(rng, world, which, shown, people)
        if isinstance(answers, Critiques):
            return critiques.parse_critiques(world, answers)
        return answers


KINDS = (
    Kind("comparison", 2, annotators.compare_pairs, crowd.bradley_terry),
    Kind("ranking of 4, as pairs", 4, annotators.rank, crowd.ranked_pairs),
    Kind("ranking of 4, by turns", 4, annotators.rank, crowd.plackett_luce),
    Kind("score, as a number", 1, annotators.rate, crowd.interval),
    Kind("score, as a word", 1, annotators.rate, crowd.ordinal),
    Kind("label", 1, annotators.label, crowd.logistic),
    Kind("correction", 1, annotators.correct, crowd.corrected),
    Kind("critique, as edit and label", 1, annotators.criticise, crowd.edit_and_label),
    Kind("critique, as a choice", 1, annotators.criticise, crowd.chosen_edit),
)


def correlations_by_seed(
    world: World,
    kind: Kind,
    people: Callable[[World, np.random.Generator], People],
    count: int,
    seeds: Sequence[int],
) -> Float[np.ndarray, "seeds"]:
    """Return the correlation with the gold weights after `count` answers, by seed."""
    asked = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        which, completions = questions(rng, world, count, kind.reads)
        asked.append(kind.ask(rng, world, which, completions, people(world, rng)))
    known = [x.annotators for x in asked if x.annotators is not None]
    num_annotators = 1 + int(np.max(known))
    stacked = jax.tree.map(lambda *x: np.stack(x), *asked)
    learned = learn_by_seed(seeds, world, stacked, kind.likelihood, num_annotators)
    return np.array([gold_correlation(world, w) for w in np.asarray(learned.reward)])


def questions(
    rng: np.random.Generator, world: World, count: int, reads: int
) -> tuple[Int[np.ndarray, "count"], Int[np.ndarray, "count reads C"]]:
    """Draw prompts, by their numbers, and completions of one or two words for each."""
    which = rng.integers(world.num_prompts, size=count)
    _, completions = sft.demonstrations(rng, world, count * reads, care=0.0)
    return which, completions.reshape(count, reads, -1)


def learn_by_seed(
    seeds: Sequence[int],
    world: World,
    answers: Answers,
    likelihood: Likelihood,
    num_annotators: int,
) -> CrowdModel:
    """Return the learned weights of the words and the learned crowd, for each seed.

    Args:
        seeds: of the batches.
        world: the words.
        answers: arrays with a leading axis of seeds.
        likelihood: one of `crowd.py`.
        num_annotators: number of people in the crowd.
    """
    loss = crowd.loss(likelihood, linear_reward.scorer(world))
    start = crowd.init(jnp.zeros(len(world.rated)), num_annotators)

    def learn(key: Key[Array, ""], answers: Answers) -> CrowdModel:
        return reward_model.train(key, start, answers, TRAINING, loss=loss)[0]

    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    return jax.vmap(learn)(keys, answers)


def gold_correlation(world: World, weights: Float[np.ndarray, "D"]) -> float:
    """Return Spearman's rank correlation of learned weights with the gold weights.

    Source: Spearman (1904).
    """
    gold = linear_reward.gold_weights(world)
    return float(stats.spearmanr(weights, gold).statistic)
