"""Simulated people: every setting against the probability that it stands for."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lm_bandit import bandit
from lm_bandit.feedback import annotators
from lm_bandit.feedback.annotators import People

N = 10_000
ERROR = 4 * 0.5 / np.sqrt(N)  # four standard errors of a share


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def someone(world, **tastes):
    """One annotator, who has an opinion of these words alone."""
    ratings = np.zeros((1, len(world.vocabulary)))
    for word, rating in tastes.items():
        ratings[0, world.encode(word)] = rating
    return People(ratings)


def texts(world, *written, count=N):
    """The texts in tokens, repeated: an array [count, texts, tokens]."""
    rows = np.zeros((len(written), world.completion_length), int)
    for row, text in zip(rows, written, strict=True):
        words = world.encode(text)
        row[: len(words)] = words
    return np.tile(rows, (count, 1, 1))


def ask(answer, world, shown, people, which=0):
    """The answers of people to questions about one prompt."""
    asked = np.full(len(shown), which)
    return answer(np.random.default_rng(0), world, asked, shown, people)


def first_share(world, people, first, second, which=0):
    pairs = texts(world, first, second)
    answers = ask(annotators.compare_pairs, world, pairs, people, which)
    return np.mean((answers.chosen == pairs[:, 0]).all(1))


def test_a_new_annotator_has_one_rating_of_each_word_and_a_coin_for_ties(world):
    """The answers of the main job's people, written out."""
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 30, size=(300, 2, 4))
    which = rng.integers(8, size=300)
    got = annotators.compare_pairs(np.random.default_rng(5), world, which, pairs)
    rng = np.random.default_rng(5)
    raters = rng.integers(10, size=(300, 30))
    coins = rng.choice([-0.5, 0.5], size=300)
    for i, pair in enumerate(pairs):
        sums = [
            sum(world.ratings[word, raters[i, word]] for word in set(side))
            for side in pair
        ]
        difference = world.signs[which[i]] * (sums[0] - sums[1])
        first_wins = difference + coins[i] > 0
        assert_array_equal(got.chosen[i], pair[0 if first_wins else 1])
        assert_array_equal(got.rejected[i], pair[1 if first_wins else 0])
    assert got.tied is None
    assert got.annotators is None


def test_rationality_mistakes_clicks_and_malice_have_the_probabilities_they_name(world):
    """'good' is 1.5 points better than 'dull'; at temperature 2 it wins with .68."""
    person = someone(world, good=2.0, dull=0.5)._replace(temperature=2.0)
    right = sigmoid(1.5 / 2.0)
    for settings, expected in (
        ({}, right),
        ({"flips": 0.2}, 0.8 * right + 0.2 * (1 - right)),
        ({"random_clicks": 0.6}, 0.4 * right + 0.6 * 0.5),
        ({"malicious": True}, 1 - right),
        ({"malicious": True, "flips": 1.0}, right),
        ({"position_bias": 1.0}, sigmoid(2.5 / 2.0)),
    ):
        someone_else = person._replace(**settings)
        share = first_share(world, someone_else, "good", "dull")
        assert abs(share - expected) < ERROR, settings
        share = first_share(world, someone_else, "good", "dull", which=-1)
        bias = settings.get("position_bias", 0.0)
        expected = sigmoid((bias - 1.5) / 2.0) if bias else 1 - expected
        assert abs(share - expected) < ERROR, settings


def test_each_annotator_has_settings_of_her_own(world):
    """One never errs, the other always does; who answered is known."""
    people = People(np.repeat(someone(world, good=2.0).tastes, 2, axis=0))
    people = people._replace(malicious=np.array([False, True]))
    pairs = texts(world, "good", "dull", count=100)
    answers = ask(annotators.compare_pairs, world, pairs, people)
    good_wins = (answers.chosen == pairs[:, 0]).all(1)
    assert_array_equal(good_wins, answers.annotators == 0)
    assert 20 < good_wins.sum() < 80


def test_a_length_bias_is_paid_by_the_token(world):
    person = someone(world, good=1.0)._replace(temperature=1.0, length_bias=0.3)
    share = first_share(world, person, "good and the", "good")
    assert abs(share - sigmoid(0.6)) < ERROR


def test_indifference_calls_a_small_difference_a_tie(world):
    person = someone(world, good=2.0, dull=0.5)._replace(indifference=1.0)
    for second, tied in (("dull", False), ("good", True)):
        pairs = texts(world, "good", second, count=2)
        answers = ask(annotators.compare_pairs, world, pairs, person)
        assert_array_equal(answers.tied, [tied, tied])


def test_a_ranking_begins_with_each_completion_as_often_as_luce_says(world):
    person = someone(world, good=2.0, dull=0.5, weird=-1.0)._replace(temperature=1.5)
    words = ("good", "dull", "weird")
    shown = texts(world, *words)
    order = ask(annotators.rank, world, shown, person).completions[:, :, 0]
    weights = np.exp(np.array([2.0, 0.5, -1.0]) / 1.5)
    for word, weight in zip(words, weights, strict=True):
        share = np.mean(order[:, 0] == world.encode(word)[0])
        assert abs(share - weight / weights.sum()) < ERROR
    assert_array_equal(np.sort(order, 1), np.sort(shown[:, :, 0], 1))


def test_scores_lie_on_the_annotators_own_scale_and_between_1_and_10(world):
    person = someone(world, good=2.0, awful=-4.0)._replace(offset=1.0, scale=1.5)
    for text, expected in (("good", 9.5), ("awful", 1.0), ("good and awful", 3.5)):
        got = ask(annotators.rate, world, texts(world, text)[:, 0], person)
        assert abs(got.scores.mean() - expected) < ERROR


def test_a_label_is_okay_above_a_threshold_of_the_annotators_own(world):
    person = someone(world, good=0.5)._replace(temperature=1.0, offset=-1.0)
    okay = ask(annotators.label, world, texts(world, "good")[:, 0], person).okay
    assert abs(okay.mean() - sigmoid(-0.5)) < ERROR


def test_an_edit_replaces_the_word_liked_least_by_one_liked_better(world):
    rng = np.random.default_rng(0)
    person = annotators.hire(rng, world, 1)
    which = rng.integers(8, size=500)
    shown = texts(world, "good and", count=500)[:, 0]
    shown[:, 2] = rng.choice(world.rated, size=500)
    got = annotators.correct(rng, world, which, shown, person)
    opinions = world.signs[which, None] * person.tastes[0]
    changed = got.edited != shown
    assert 100 < changed.sum() < 500
    assert (changed.sum(1) <= 1).all()
    for i, position in np.argwhere(changed):
        before, after = shown[i, position], got.edited[i, position]
        assert opinions[i, after] > opinions[i, before]
        assert opinions[i, before] == opinions[i, shown[i, [0, 2]]].min()
    gold = [
        bandit.gold_scores(world, side)[which, np.arange(500)].mean()
        for side in (got.originals, got.edited)
    ]
    assert gold[1] > gold[0] + 1.0, "edits are demonstrations of something better"


@pytest.mark.parametrize("which", [0, -1])
def test_a_critique_names_the_word_liked_least_if_it_is_disliked(world, which):
    sign = world.signs[which]
    person = someone(world, good=2 * sign, dull=-sign, awful=-3 * sign)
    for text, named in (
        ("dull and awful", "'awful'"),
        ("awful and good", "'awful'"),
        ("good", "Nothing"),
    ):
        shown = texts(world, text, count=5)[:, 0]
        critiques = ask(annotators.criticise, world, shown, person, which)
        assert all(named in sentence for sentence in critiques.texts)


def test_groups_disagree_about_the_words_that_divide_them(world):
    people = annotators.hire(np.random.default_rng(0), world, 4)
    assert all(
        r in world.ratings[i] for row in people.tastes for i, r in enumerate(row)
    )
    words = world.encode("weird tragic")
    members = np.array([True, False, True, False])
    divided = annotators.with_opposite_tastes(people, members, words)
    expected = people.tastes.copy()
    expected[[[0], [2]], words] *= -1
    assert_array_equal(divided.tastes, expected)
    assert np.abs(people.tastes[:, words]).sum() > 0
