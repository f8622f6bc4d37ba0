"""Malicious, poisoned and mistaken answers, on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.feedback.annotators import People
from lm_bandit.lab import bad_annotators, plots
from lm_bandit.lab.experiment import number_rows


@pytest.fixture(scope="module")
def result():
    return bad_annotators.compare_bad_annotators(seeds=range(10))


def test_ten_liars_know_the_mean_taste_and_never_err():
    tastes = np.random.default_rng(0).normal(size=(50, 3))
    people = bad_annotators.with_liars(People(tastes))
    assert_allclose(people.tastes[:10], np.tile(tastes.mean(0), (10, 1)))
    assert_allclose(people.tastes[10:], tastes[10:])
    assert people.malicious.sum() == people.malicious[:10].sum() == 10
    assert (people.random_clicks > 0).tolist() == [False] * 10 + [True] * 40


@pytest.mark.slow
def test_malicious_annotators_spoil_the_policy_and_crowd_bt_repairs_it(result):
    assert (result.correlation["plain"] < 0.7).all()
    assert (result.correlation["Crowd-BT"] > 0.93).all()
    assert (result.gold["Crowd-BT"] > result.gold["plain"] + 0.8).all()
    liars = result.reliability[:, : bad_annotators.MALICIOUS]
    others = result.reliability[:, bad_annotators.MALICIOUS :]
    assert liars.max() < 0.1 < 0.4 < others.min()


@pytest.mark.slow
def test_the_result_becomes_rows_a_table_sentences_and_a_picture():
    experiment = bad_annotators.EXPERIMENT
    result = bad_annotators.compare_bad_annotators(range(2), 400, planted_of=200)
    _, comparisons, *rows = number_rows(result, experiment.points)
    assert comparisons == ("comparisons", "", "", 0, 400)
    assert len(rows) == 2 * (2 + 2 + 50 + 3 + 1 + 1 + 3)
    assert ("scale", "", 1, 0, result.scale[1]) in rows
    mean = f"{result.gold['Crowd-BT'].mean():.3g}"
    assert mean in [row[1] for row in experiment.summary(result)]
    assert mean[:3] in experiment.explanation(result)[0]
    assert len(plots.draw_bad_annotators(result).axes) == 3


@pytest.mark.slow
def test_two_poisoned_pairs_in_a_hundred_double_the_share_of_a_word(result):
    shares = result.word_share
    assert (shares["poisoned"] > 1.8 * shares["clean"]).all()
    assert np.median(shares["poisoned"] / shares["clean"]) > 2.5
    assert (shares["clean"] < shares["reference"] / 10).all()


@pytest.mark.slow
def test_mistakes_keep_the_order_and_are_a_larger_beta(result):
    assert (result.order > 0.98).all()
    assert (result.scale < 0.5).all()
    careful, mistaken, rescaled = result.kl.values()
    assert (mistaken < 0.3 * careful).all()
    assert_allclose(rescaled, careful, rtol=0.15)
