"""Mistakes, hard tasks, groups, and what preparation costs: on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import world as text
from lm_bandit.lab import (
    core_and_prepped,
    opinions,
    overlooked,
    too_hard,
    who_was_asked,
)
from lm_bandit.oracle import exact


@pytest.fixture(scope="module")
def bench():
    return opinions.bench()


@pytest.fixture(scope="module")
def oversights():
    return overlooked.run(seeds=range(10))


@pytest.fixture(scope="module")
def hard():
    return too_hard.run(seeds=range(10))


@pytest.fixture(scope="module")
def groups():
    return who_was_asked.run(seeds=range(10))


@pytest.fixture(scope="module")
def prepared():
    return core_and_prepped.run(seeds=range(10))


def test_no_number_of_ten_is_more_than_three_deviations_from_their_mean():
    """sqrt(R - 1), which one number far away from nine equal ones comes to."""
    rng = np.random.default_rng(0)
    values = overlooked.in_deviations(rng.standard_cauchy((1000, 10)))
    assert values.max() < 3.0
    far = np.zeros((1, 10))
    far[0, 3] = 1e6
    assert_allclose(overlooked.in_deviations(far)[0, 3], 3.0)


def test_the_statistics_leave_a_rating_out_of_what_it_is_measured_by():
    ratings = np.array([[-2.0, -3.0, 4.0, -2.0], [1.0, 1.0, 1.0, 2.0]])
    for r in range(4):
        others = np.delete(ratings, r, axis=1)
        away = np.abs(ratings[:, r] - others.mean(1))
        assert_allclose(overlooked.residual(ratings)[:, r], away)
        expected = away / np.maximum(others.std(1), 1.0)
        assert_allclose(overlooked.standardised(ratings)[:, r], expected)
        middle = np.median(others, axis=1)
        spread = np.median(np.abs(others - middle[:, None]), axis=1)
        expected = np.abs(ratings[:, r] - middle) / np.maximum(spread, 1.0) / 1.4826
        assert_allclose(overlooked.robust(ratings)[:, r], expected)


def test_awful_is_the_first_of_2660_unless_it_hides_in_its_own_deviation(oversights):
    for name in ("residual", "standardised", "robust"):
        assert oversights.rank[name] == 1
        assert oversights.tied[name] == 0
        assert oversights.first[name][0] == "awful"
    assert oversights.tied["the rating"] > 100
    assert 1 < oversights.rank["in deviations"] < 10
    share = oversights.planted
    assert (share["the rating"] == 0).all()
    assert (share["standardised"] > 0.65).all()
    assert (share["standardised"] > share["robust"] + 0.2).all()
    assert (share["residual"] > share["in deviations"] + 0.1).all()


def test_one_rating_makes_awful_the_praise_of_who_asks_that_rater_alone(oversights):
    assert (oversights.share["that rater"] > 0.2).all()
    for name in ("that rater, mended", "all ten raters"):
        assert (oversights.share[name] < 0.01).all()
        assert (oversights.worth[name] < -1.0).all()
    assert (oversights.worth["that rater"] > 3.0).all()


def test_what_is_too_hard_for_people_is_known_only_where_the_easy_carries_over(hard):
    one, three = hard.right["tired"][:, 0], hard.right["tired"][:, -1]
    assert (one > 0.75).all()
    assert (three < 0.65).all()
    assert (hard.right["careful"][:, -1] > 0.7).all()
    shared, separate = hard.known["tired, shared"], hard.known["tired, separate"]
    assert (shared > 0.88).all()
    assert (separate[:, -1] < shared[:, -1] - 0.03).all()
    assert (hard.known["careful, separate"][:, -1] > 0.95).all()
    gold = {name: x[:, -1] for name, x in hard.gold.items()}
    assert (gold["tired, separate"] < gold["tired, shared"] - 0.5).all()
    assert_allclose(gold["tired, shared"], gold["careful, shared"], rtol=0.06)


def test_annotators_who_do_not_tire_answer_alike_at_every_length(bench):
    """Without hardness, the noise is the people's disagreement alone."""
    answers = too_hard.ask(3, bench, 20_000, hardness=0.0)
    expected = opinions.ask(np.random.default_rng(4), bench, 20_000)
    right = [too_hard.share_right(bench, each) for each in (answers, expected)]
    assert_allclose(right[0], right[1], atol=0.03)


def test_the_larger_group_is_served_and_the_smaller_one_may_lose(groups):
    assert (np.diff(groups.first, axis=1) < 0).all()
    assert (np.diff(groups.second, axis=1) > 0).all()
    fifth, half, most = (
        int(np.argmin(np.abs(groups.shares - share))) for share in (0.2, 0.5, 0.9)
    )
    assert (groups.first[:, fifth] - groups.second[:, fifth] > 2.5).all()
    assert (groups.second[:, 0] < -1.0).all(), "worse off than with the reference"
    assert (groups.first[:, most] < 0).all()
    for gold in (groups.first, groups.second):
        assert (gold[:, half] > 1.5).all(), "what they agree about serves both"
    alone, mixed = groups.agreement[:, 0], groups.agreement[:, fifth]
    assert (mixed > alone - 0.12).all()


def test_each_group_has_its_own_gold_reward(bench):
    """They are opposites of one another in the divisive words alone."""
    second = who_was_asked.gold_of_the_second(bench)
    divisive = np.isin(bench.world.rated, bench.world.encode(who_was_asked.DIVISIVE))
    only = bench.used[:, divisive].any(1) & ~bench.used[:, ~divisive].any(1)
    never = ~bench.used[:, divisive].any(1)
    assert only.sum() > 100 < never.sum()
    assert_allclose(second[:, only], -bench.gold[:, only], atol=1e-12)
    assert_array_equal(second[:, never], bench.gold[:, never])


def test_the_core_is_the_language_at_large_given_that_it_ends(bench):
    """Next words after "was", of many texts, against the table."""
    core = core_and_prepped.core_model(bench)
    assert_allclose(np.exp(core.ended).sum(1), 1.0, rtol=1e-12)
    texts = text.babble(np.random.default_rng(0), bench.world, 100_000, 10)
    (was,) = bench.world.encode("was")
    starts = np.argmax(texts == was, axis=1) + 1
    rows = np.arange(len(texts))[:, None]
    after = np.pad(texts, ((0, 0), (0, 7)), constant_values=-1)[
        rows, starts[:, None] + np.arange(6)
    ]
    known = {tuple(c): i for i, c in enumerate(bench.completions.tolist())}
    said = [known[t] for t in map(tuple, after.tolist()) if t in known]
    for length in (1, 2, 3):
        p = np.exp(core.ended[0])[too_hard.lengths(bench) == length].sum()
        share = np.mean(too_hard.lengths(bench)[said] == length)
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / len(said))


def test_reward_is_paid_for_in_likelihood_and_in_the_end_in_diversity(prepared):
    core, sft, best = prepared.core, prepared.sft, prepared.optima
    assert core.gold < sft.gold - 1.0
    assert core.surprise < sft.surprise
    assert (np.diff(best.gold, axis=1) > 0).all()
    assert (np.diff(best.surprise, axis=1) > 0).all()
    assert (best.surprise > sft.surprise).all()
    assert (best.surprise[:, -1] > 10 * core.surprise).all()
    assert (np.diff(best.words, axis=1) < 0).all()
    assert (best.words[:, -1] < core.words / 3).all()
    assert (best.distinct.max(1) > sft.distinct + 10).all(), "long answers differ"
    assert (best.distinct[:, -1] < core.distinct / 2).all()


def test_the_cores_surprise_at_itself_is_its_entropy_a_token(bench):
    core = core_and_prepped.core_model(bench)
    traits = core_and_prepped.traits(bench, core, core)
    tokens = np.exp(core.ended[0]) @ (bench.completions != 0).sum(1) + 1
    assert_allclose(traits.surprise * tokens, exact.entropy(core), rtol=1e-9)
    assert_allclose(traits.entropy, exact.entropy(core))
