"""Flaws in the reward, and in the people behind it: on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.lab import bad_annotators, flaw, opinions
from lm_bandit.oracle import exact


@pytest.fixture(scope="module")
def bench():
    return opinions.bench()


@pytest.fixture(scope="module")
def crowds():
    return bad_annotators.run(seeds=range(10))


@pytest.fixture(scope="module")
def flaws():
    return flaw.run(seeds=range(10))


def test_a_flaw_grows_by_its_variance_over_beta(bench):
    """The derivative of E[f] by the bonus, by central differences."""
    f = bench.used[:, flaw.word(bench, flaw.MAGIC_WORD)]
    step, beta = 1e-4, 0.5

    def optimum(bonus):
        posed = opinions.problem(bench, 0.3 * bench.gold + bonus * f, beta)
        return np.exp(exact.optimum(posed).ended[0])

    slope = (optimum(1.0 + step) @ f - optimum(1.0 - step) @ f) / (2 * step)
    mean = optimum(1.0) @ f
    assert_allclose(slope, mean * (1.0 - mean) / beta, rtol=1e-5)


def test_the_optimum_uses_what_it_is_paid_for_and_people_pay(flaws):
    length, word = flaws.flaws.values()
    for each in (length, word):
        assert (np.diff(each.use) > -1e-9).all()
        assert (each.gold[:, -1] < 0.6 * each.gold[:, 0]).all()
    assert (length.use[:, 0] < 2.7).all()
    assert (length.use[:, -1] > 2.85).all()
    assert (word.use[:, 0] < 0.25 * word.reference).all(), "nobody wants it"
    assert (word.use[:, -1] > 0.8).all()


def test_malicious_annotators_spoil_the_policy_and_crowd_bt_repairs_it(crowds):
    assert (crowds.correlation["plain"] < 0.7).all()
    assert (crowds.correlation["Crowd-BT"] > 0.93).all()
    assert (crowds.gold["Crowd-BT"] > crowds.gold["plain"] + 0.8).all()
    liars = crowds.reliability[:, : bad_annotators.MALICIOUS]
    others = crowds.reliability[:, bad_annotators.MALICIOUS :]
    assert liars.max() < 0.1 < 0.4 < others.min()


def test_two_poisoned_pairs_in_a_hundred_double_the_share_of_a_word(crowds):
    shares = crowds.word_share
    assert (shares["poisoned"] > 1.8 * shares["clean"]).all()
    assert np.median(shares["poisoned"] / shares["clean"]) > 2.5
    assert (shares["clean"] < shares["reference"] / 10).all()


def test_mistakes_keep_the_order_and_are_a_larger_beta(crowds):
    assert (crowds.order > 0.98).all()
    assert (crowds.scale < 0.5).all()
    careful, mistaken, rescaled = crowds.kl.values()
    assert (mistaken < 0.3 * careful).all()
    assert_allclose(rescaled, careful, rtol=0.15)
