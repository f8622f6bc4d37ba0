"""Simulated people: every dial against the probability that it stands for."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import bandit
from lm_bandit.feedback import accuracy as bayes_accuracy
from lm_bandit.feedback import annotators, critiques
from lm_bandit.feedback.annotators import People
from lm_bandit.feedback.critiques import FINE
from lm_bandit.world import pocket_world

N = 20_000
ERROR = 4 * 0.5 / np.sqrt(N)  # four standard errors of a share


@pytest.fixture(scope="module")
def world():
    return pocket_world()


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def someone(world, **tastes):
    """One annotator, who has an opinion of these words alone."""
    ratings = np.zeros((1, len(world.vocabulary)))
    for word, rating in tastes.items():
        ratings[0, world.encode(word)] = rating
    return People(ratings)


def texts(world, text, count=N):
    row = np.zeros(world.completion_length, int)
    words = world.encode(text)
    row[: len(words)] = words
    return np.tile(row, (count, 1))


def first_share(world, people, first, second, which=0):
    sides = [texts(world, text) for text in (first, second)]
    asked = np.full(N, which)
    pairs = annotators.compare_pairs(
        np.random.default_rng(0), world, asked, np.stack(sides, 1), people
    )
    return np.mean((pairs.chosen == sides[0]).all(1))


def test_a_fresh_annotator_has_one_rating_of_each_word_and_a_coin_for_ties(world):
    """What the main job's people answered, spelled out."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 30, size=(2, 300, 4))
    which = rng.integers(8, size=300)
    got = annotators.compare_pairs(
        np.random.default_rng(5), world, which, np.stack([first, second], 1)
    )
    rng = np.random.default_rng(5)
    raters = rng.integers(10, size=(300, 30))
    coins = rng.choice([-0.5, 0.5], size=300)
    for i in range(300):
        liking = [
            sum(world.ratings[word, raters[i, word]] for word in set(side[i]))
            for side in (first, second)
        ]
        difference = world.signs[which[i]] * (liking[0] - liking[1])
        better = first if difference + coins[i] > 0 else second
        assert_array_equal(got.chosen[i], better[i])
    assert got.tied is None
    assert got.annotators is None


@pytest.mark.parametrize("which", [0, -1])
def test_annotators_prefer_what_the_raters_would(world, which):
    """'good' to 'dull': the share of the 100 pairs of ratings in which it is higher."""
    n = N
    first, second = (
        np.tile(world.encode(f"{word} <end> <end> <end>"), (n, 1))
        for word in ("good", "awful")
    )
    prompts = np.full(n, which % world.num_prompts)
    rng = np.random.default_rng(0)
    pairs = annotators.compare_pairs(rng, world, prompts, np.stack([first, second], 1))
    good, awful = (world.ratings[world.encode(w)[0]] for w in ("good", "awful"))
    difference = world.signs[which] * (good[:, None] - awful)
    expected = np.mean(difference > 0) + 0.5 * np.mean(difference == 0)
    share = np.mean((pairs.chosen == first).all(1))
    assert abs(share - expected) < 4 * 0.5 / np.sqrt(n)
    assert 0.05 < abs(expected - 0.5) < 0.5, "people err: it is never unanimous"


def test_an_annotator_rates_a_word_once_however_often_it_is_used(world):
    texts = ["good good and <end>", "and good <end> <end>"]
    sides = [np.tile(world.encode(text), (2000, 1)) for text in texts]
    which = np.zeros(2000, int)
    pairs = annotators.compare_pairs(
        np.random.default_rng(0), world, which, np.stack(sides, 1)
    )
    share = np.mean((pairs.chosen == sides[0]).all(1))
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(2000), "a tie is decided by a coin"


def test_rationality_mistakes_clicks_and_malice_have_the_probabilities_they_name(world):
    """'good' is worth 1.5 points more than 'odd' ones; at temperature 2 that is .68."""
    person = someone(world, good=2.0, dull=0.5)._replace(temperature=2.0)
    right = sigmoid(1.5 / 2.0)
    for dials, expected in (
        ({}, right),
        ({"flips": 0.2}, 0.8 * right + 0.2 * (1 - right)),
        ({"random_clicks": 0.6}, 0.4 * right + 0.6 * 0.5),
        ({"malicious": True}, 1 - right),
        ({"malicious": True, "flips": 1.0}, right),
        ({"position_bias": 1.0}, sigmoid(2.5 / 2.0)),
    ):
        share = first_share(world, person._replace(**dials), "good", "dull")
        assert abs(share - expected) < ERROR, dials
        share = first_share(world, person._replace(**dials), "good", "dull", which=-1)
        bias = dials.get("position_bias", 0.0)
        expected = sigmoid((bias - 1.5) / 2.0) if bias else 1 - expected
        assert abs(share - expected) < ERROR, dials


def test_a_length_bias_is_paid_by_the_token(world):
    person = someone(world, good=1.0)._replace(temperature=1.0, length_bias=0.3)
    share = first_share(world, person, "good and the", "good")
    assert abs(share - sigmoid(0.6)) < ERROR


def test_the_indifferent_call_close_ones_a_tie(world):
    person = someone(world, good=2.0, dull=0.5)._replace(indifference=1.0)
    sides = [texts(world, text, 2) for text in ("good", "dull")]
    for second, tied in ((sides[1], False), (sides[0], True)):
        rng = np.random.default_rng(0)
        pairs = annotators.compare_pairs(
            rng, world, np.zeros(2, int), np.stack([sides[0], second], 1), person
        )
        assert_array_equal(pairs.tied, [tied, tied])


def test_a_ranking_begins_with_each_completion_as_often_as_luce_says(world):
    person = someone(world, good=2.0, dull=0.5, weird=-1.0)._replace(temperature=1.5)
    words = ("good", "dull", "weird")
    shown = np.stack([texts(world, word) for word in words], axis=1)
    rng = np.random.default_rng(0)
    ranked = annotators.rank(rng, world, np.zeros(N, int), shown, person)
    order = ranked.completions[:, :, 0]
    weights = np.exp(np.array([2.0, 0.5, -1.0]) / 1.5)
    for word, weight in zip(words, weights, strict=True):
        token = world.encode(word)[0]
        share = np.mean(order[:, 0] == token)
        assert abs(share - weight / weights.sum()) < ERROR
    assert_array_equal(np.sort(order, 1)[0], np.sort(order, 1)[-1])


def test_scores_lie_on_the_annotators_own_scale_and_between_1_and_10(world):
    person = someone(world, good=2.0, awful=-4.0)
    person = person._replace(offset=1.0, scale=1.5)
    for text, expected in (("good", 9.5), ("awful", 1.0), ("good and awful", 3.5)):
        shown = texts(world, text)
        rng = np.random.default_rng(0)
        got = annotators.rate(rng, world, np.zeros(N, int), shown, person)
        assert abs(got.scores.mean() - expected) < ERROR


def test_a_label_is_okay_above_a_threshold_of_the_annotators_own(world):
    person = someone(world, good=0.5)._replace(temperature=1.0, offset=-1.0)
    shown = texts(world, "good")
    rng = np.random.default_rng(0)
    okay = annotators.label(rng, world, np.zeros(N, int), shown, person).okay
    assert abs(okay.mean() - sigmoid(-0.5)) < ERROR


def test_an_edit_replaces_the_word_liked_least_by_one_liked_better(world):
    rng = np.random.default_rng(0)
    person = annotators.hire(rng, world, 1)
    which = rng.integers(8, size=500)
    shown = texts(world, "good and", 500)
    shown[:, 2] = rng.choice(world.rated, size=500)
    got = annotators.correct(rng, world, which, shown, person)
    worths = world.signs[which, None] * person.tastes[0]
    changed = got.edited != shown
    assert 100 < changed.sum() < 500
    assert (changed.sum(1) <= 1).all()
    for i, position in np.argwhere(changed):
        assert worths[i, got.edited[i, position]] > worths[i, shown[i, position]]
        assert worths[i, shown[i, position]] == worths[i, shown[i, [0, 2]]].min()
    gold = [
        bandit.gold_scores(world, texts)[which, np.arange(500)].mean()
        for texts in (got.originals, got.edited)
    ]
    assert gold[1] > gold[0] + 1.0, "edits are demonstrations of something better"


def test_a_critique_names_the_word_liked_least_and_is_understood(world):
    person = someone(world, good=2.0, dull=-1.0, awful=-3.0)
    for text, without in (
        ("dull and awful", "dull"),
        ("awful and good", "good"),
        ("good", "good"),
    ):
        shown = texts(world, text, 3)
        rng = np.random.default_rng(0)
        said = annotators.criticise(rng, world, np.zeros(3, int), shown, person)
        findings = critiques.parse_critiques(world, said)
        for text_said, row in zip(said.texts, findings.edited, strict=True):
            assert (text_said == FINE) == (text == without)
            assert ("'awful'" in text_said) == (text != without)
            assert world.decode(row) == without
        assert_array_equal(findings.okay, text == without)
    unclear = said._replace(texts=(FINE, "'good' and 'bad'", "hm, 'awful'?"))
    with pytest.raises(
        ValueError, match=r"critiques\[2\] must quote one word of 'good'"
    ):
        critiques.parse_critiques(world, unclear)


def test_groups_disagree_about_the_words_that_divide_them(world):
    people = annotators.hire(np.random.default_rng(0), world, 4)
    assert all(
        r in world.ratings[i] for row in people.tastes for i, r in enumerate(row)
    )
    members = np.array([True, False, True, False])
    divided = annotators.with_opposite_tastes(
        people, members, world.encode("weird tragic")
    )
    turned = divided.tastes != people.tastes
    assert set(np.flatnonzero(turned.any(0))) <= set(world.encode("weird tragic"))
    assert_array_equal(divided.tastes[turned], -people.tastes[turned])
    assert not turned[[1, 3]].any()
    assert turned[[0, 2]].any()


@pytest.mark.parametrize("which", [0, 7])
def test_the_probability_of_an_answer_is_that_over_all_raters_of_all_words(
    world, which
):
    sides = [
        texts(world, text, 1) for text in ("funny and weird", "weird and laughable")
    ]
    got = bayes_accuracy.win_probabilities(world, np.array([which]), *sides)
    likes = [
        world.signs[which] * (funny + weird - weird - laughable)
        for funny, weird, laughable in product(
            *(
                world.ratings[world.encode(w)[0]]
                for w in "funny weird laughable".split()
            )
        )
    ]
    expected = np.mean(np.sign(likes) / 2 + 0.5)
    assert 0.05 < expected < 0.95
    assert_allclose(got, expected, rtol=1e-9)


def test_knowing_the_gold_reward_is_hardly_better_than_knowing_the_raters(world):
    """Nobody beats the Bayes accuracy; the sign of the gold difference comes close."""
    rng = np.random.default_rng(0)
    sides = np.zeros((2, N, 4), int)
    sides[:, :, 0] = rng.choice(world.rated, size=(2, N))
    which = rng.integers(8, size=N)
    pairs = annotators.compare_pairs(rng, world, which, np.stack(sides, 1))
    best = bayes_accuracy.bayes_accuracy(world, pairs)
    p = bayes_accuracy.win_probabilities(world, which, pairs.chosen, pairs.rejected)
    told = np.mean(np.where(p == 0.5, 0.5, p > 0.5))
    assert abs(told - best) < ERROR
    gold = world.ratings.mean(-1)
    gained = world.signs[which] * (gold[pairs.chosen] - gold[pairs.rejected])[:, 0]
    by_gold = np.mean(np.where(gained == 0, 0.5, gained > 0))
    assert best - 0.02 < by_gold < best + ERROR
