"""Each kind of feedback teaches the order of the words, from enough answers."""

import numpy as np
import pytest

from lm_bandit.feedback import annotators, lessons
from tests.lm_bandit.feedback.fitting import careful_people, fit

# Spearman's correlation with the gold order after 1000 answers; of all others, 0.92.
LEAST = {"ranking of 4": 0.96, "label": 0.88, "critique": 0.88}


@pytest.mark.parametrize("kind", lessons.KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_feedback_recovers_the_order_of_the_gold_reward(world, kind):
    rng = np.random.default_rng(0)
    people = careful_people(world, rng)
    which, completions = lessons.questions(rng, world, 1000, kind.reads)
    answers = kind.ask(rng, world, which, completions, people)
    learned = np.asarray(fit(kind.likelihood, answers, 50).reward)
    least = LEAST.get(kind.name.split(",")[0], 0.92)
    assert lessons.gold_correlation(world, learned) > least


@pytest.mark.slow
def test_scores_need_the_scales_of_those_who_gave_them(world):
    """Half of the people are strict and use few steps; the others are lenient."""
    kind = lessons.KINDS[3]
    assert kind.name == "score, as a number"

    def mixed(world, rng):
        strict = np.arange(50) < 25
        offset, scale = np.where(strict, -3.0, 3.0), np.where(strict, 0.3, 0.6)
        return careful_people(world, rng)._replace(offset=offset, scale=scale)

    def anonymous(rng, world, which, completions, people):
        scores = annotators.rate(rng, world, which, completions, people)
        return scores._replace(annotators=np.zeros_like(scores.annotators))

    seeds = (0, 1)
    known = lessons.correlations_by_seed(world, kind, mixed, 300, seeds)
    unknown = kind._replace(answer=anonymous)
    unknown = lessons.correlations_by_seed(world, unknown, mixed, 300, seeds)
    assert known.min() > 0.8
    assert (known > unknown + 0.1).all()
    assert known[0] != known[1], "each seed asks other people other questions"
