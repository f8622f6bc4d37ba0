"""Your taste: few answers tell it, and simulated annotators answer by it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from lm_bandit import world as text
from lm_bandit.feedback import annotators, lessons, linear_reward
from lm_bandit.feedback.kinds import Comparisons
from lm_bandit.feedback.linear_reward import Posterior
from lm_bandit.label import infer_taste, sample_annotators, session_summary
from lm_bandit.label.taste import SURE, crowd_agreement, log_evidence, word_claims


def comparisons(world, pairs, prompt=0):
    """Comparisons of words, the better one first."""
    sides = np.zeros((2, len(pairs), world.completion_length), int)
    sides[:, :, 0] = np.array([world.encode(f"{a} {b}") for a, b in pairs]).T
    return Comparisons(world.prompts[np.full(len(pairs), prompt)], *sides)


def test_a_tie_is_half_a_win_for_each_side(world):
    """A tie counts as one answer, not as two: the curvature is that of one, at 1/2."""
    pairs = [("good", "bad"), ("dull", "weird"), ("nice", "awful")]
    tied = comparisons(world, pairs)._replace(tied=np.ones(3, bool))
    posterior = infer_taste(world, tied)
    assert_allclose(posterior.mean, 0.0, atol=1e-12)
    differences = np.zeros((3, len(world.rated)))
    for row, words in zip(differences, pairs, strict=True):
        row[[list(world.rated).index(world.encode(word)[0]) for word in words]] = 1, -1
    curvature = 0.1 * np.eye(len(world.rated)) + differences.T @ differences / 4
    assert_allclose(posterior.covariance, np.linalg.inv(curvature), atol=1e-9)


def test_the_preferred_words_get_the_larger_weights_also_where_a_prompt_complains(
    world,
):
    pairs = [("boring", "superb"), ("boring", "funny")]
    praise = infer_taste(world, comparisons(world, pairs)).mean
    complaint = infer_taste(world, comparisons(world, pairs, prompt=-1)).mean
    boring = list(world.rated).index(world.encode("boring")[0])
    assert praise.argmax() == boring
    assert_allclose(complaint, -praise)


def test_sampled_annotators_answer_as_the_posterior_says(world):
    n, mean = 20_000, np.linspace(-2.0, 2.0, len(world.rated))
    certain = Posterior(mean, np.zeros((len(mean), len(mean))))
    rng = np.random.default_rng(0)
    people = sample_annotators(rng, world, certain)
    pairs = np.full((n, 2, 4), text.END)
    pairs[:, :, 0] = world.rated[[12, 8]]
    answers = annotators.compare_pairs(rng, world, np.zeros(n, int), pairs, people)
    wins = (answers.chosen[:, 0] == world.rated[12]).mean()
    p = expit(mean[12] - mean[8])
    assert abs(wins - p) < 4 * np.sqrt(p * (1 - p) / n)


def test_sampled_annotators_disagree_where_the_answers_leave_it_open(world):
    posterior = infer_taste(world, comparisons(world, [("good", "bad")] * 8))
    rng = np.random.default_rng(0)
    people = sample_annotators(rng, world, posterior, 20_000)
    tastes = people.tastes[:, world.rated]
    deviations = np.sqrt(np.diag(posterior.covariance))
    error = 5 * deviations.max() / 20_000**0.5
    assert_allclose(tastes.mean(0), posterior.mean, atol=error)
    assert_allclose(tastes.std(0), deviations, rtol=0.03)


def test_agreement_counts_answers_that_most_raters_would_give(world):
    """'superb' beats 'awful' for nine raters of ten; ties and even pairs are out."""
    pairs = [
        ("superb", "awful"),
        ("awful", "superb"),
        ("good", "good"),
        ("good", "bad"),
    ]
    answers = comparisons(world, pairs)
    answers = answers._replace(tied=np.array([False, False, False, True]))
    total, agreed, one_rater = crowd_agreement(world, answers)
    assert (total, agreed) == (2, 1)
    superb, awful = (world.ratings[world.encode(w)[0]] for w in ("superb", "awful"))
    gains = np.sign(superb[:, None] - awful)
    assert_allclose(one_rater, np.mean(gains / 2 + 0.5))


@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_what_is_claimed_of_a_taste_is_right_at_least_as_often_as_stated(
    world, temperature
):
    """Each of 40 annotators has one real rating of every word; some answer noisily."""
    stated, right = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        me = annotators.hire(rng, world, 1)._replace(temperature=temperature)
        which, pairs = lessons.questions(rng, world, 30, 2)
        claims = word_claims(
            world, annotators.compare_pairs(rng, world, which, pairs, me)
        )
        liking = dict(zip(world.vocabulary, me.tastes[0], strict=True))
        mean = np.mean([liking[claim.word] for claim in claims])
        for word, _, above in claims:
            if not 1.0 - SURE < above < SURE:
                stated.append(max(above, 1.0 - above))
                right.append((liking[word] > mean) == (above > 0.5))
    assert len(stated) >= 40, "the answers tell something"
    assert np.mean(right) >= np.mean(stated)


def test_the_evidence_is_the_probability_of_the_answers(world):
    """One answer about two words: P = E[sigmoid(w_1 - w_2)] = 1/2 for every prior.

    The error is that of Laplace's approximation, which a weak prior makes larger.
    """
    differences = np.zeros((1, len(world.rated)))
    differences[0, :2] = 1, -1
    for precision, error in ((0.3, 0.2), (3.0, 0.02), (30.0, 0.002)):
        posterior = linear_reward.fit_weights(differences, precision)
        found = log_evidence(differences, np.ones(1), precision, posterior)
        assert_allclose(np.exp(found), 0.5, rtol=error)


def test_words_are_claimed_only_where_the_answers_tell_and_counted(world):
    pairs = [("boring", "superb")] * 12 + [("boring", "funny")] * 12
    answers = comparisons(world, [*pairs, ("dull", "weird")])
    claims = {claim.word: claim for claim in word_claims(world, answers)}
    assert {word: claim.answers for word, claim in claims.items()} == {
        "boring": 24, "superb": 12, "funny": 12, "dull": 1, "weird": 1
    }  # fmt: skip
    assert claims["boring"].above > 0.97
    assert claims["dull"].above > 0.5 > claims["weird"].above
    summary = session_summary(world, answers, Path("mine.jsonl"))
    assert "more positive than average: boring (" in summary
    assert "sure, 24 answers)" in summary
    assert "dull" not in summary
    assert "weird" not in summary
    assert "15 of the 20 words were not asked about." in summary


def test_one_answer_tells_nothing_of_a_taste(world):
    answers = comparisons(world, [("boring", "superb")])
    summary = session_summary(world, answers, Path("mine.jsonl"))
    assert "1 answer in mine.jsonl." in summary
    assert "The answers do not tell your taste yet" in summary
    assert "any of the 2 words that you were asked about" in summary
    assert not {"boring", "superb"} & set(summary.split())
    assert "At least 8 answers are needed" in summary
    none = Comparisons(*(side[:0] for side in answers[:3]))
    assert "0 answers in" in session_summary(world, none, Path("mine.jsonl"))
