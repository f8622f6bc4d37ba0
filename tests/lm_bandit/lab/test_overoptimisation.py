"""The learned reward climbs; the gold reward rises, peaks and falls, on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.lab import overoptimisation, tabular
from lm_bandit.lab.overoptimisation import peak_index, share_lost
from lm_bandit.lab.tabular import RewardPath

PLAIN = "100 comparisons"


@pytest.fixture(scope="module")
def result():
    return overoptimisation.optimise_learned_rewards(seeds=range(10))


def test_the_share_lost_is_of_the_peak():
    gold = np.array([[0.0, 2.0, 4.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    path = RewardPath(gold, gold, gold)
    assert_allclose(share_lost(path), [0.75, 0.0])
    assert peak_index(path).tolist() == [2, 3]


@pytest.mark.slow
def test_the_learned_reward_climbs_and_the_gold_reward_peaks_and_falls(result):
    """At least three tenths of the gain are lost again, on each seed."""
    plain = result.paths[PLAIN]
    for path in (plain, result.best_of):
        assert (np.diff(path.kl) > -1e-9).all()
        assert (np.diff(path.learned) > -1e-9).all()
        assert (path.gold.max(1) > 2.0).all()
        assert (share_lost(path) > 0.3).all()
    for fit in (result.best_of_fit, result.frontier_fit_squared):
        assert fit.beta.low > 0.5, "it bends down"
        assert fit.r_squared > 0.8


@pytest.mark.slow
def test_the_favourite_is_one_good_word_as_often_as_there_is_room(result):
    """Nobody was asked about that: the gold reward counts a word once."""
    for favourite in result.favourites:
        words = favourite.split(" and ")
        assert len(words) == 3
        assert len(set(words)) == 1


@pytest.mark.slow
def test_only_a_reward_that_cannot_learn_better_turns_over(result):
    for name in ("control", "right form", "10,000 comparisons"):
        assert (share_lost(result.paths[name]) < 0.05).all(), name
    assert (share_lost(result.paths["counts only, 10,000"]) > 0.3).all()


def test_the_noise_of_the_control_is_as_large_as_the_error_of_the_learned(bench):
    rng = np.random.default_rng(0)
    learned = bench.gold * rng.uniform(-1.0, 3.0, size=bench.gold.shape)
    gold = tabular.standardise(bench, bench.gold)
    control = overoptimisation.noisy_gold(rng, bench, learned)
    errors = tabular.standardise(bench, learned) - gold, control - gold
    sizes = [np.sqrt(np.mean(np.sum(bench.probs * e**2, axis=1))) for e in errors]
    assert_allclose(sizes[1], sizes[0], rtol=0.05)


@pytest.mark.slow
def test_more_comparisons_and_more_cautious_members_delay_the_peak(result):
    at, end = {}, {}
    for name, path in result.paths.items():
        at[name] = path.kl[np.arange(10), peak_index(path)]
        end[name] = path.gold[:, -1]
    more = "10,000 comparisons"
    assert (at[PLAIN] < 5.5).all()
    assert (at[more] > 7.0).all()
    assert (end[more] > end[PLAIN] + 3.0).all()
    assert (end["worst of 25"] > end[PLAIN] + 0.3).all()
    for each in (at, end):
        for cautious in ("worst of 25", "mean - std of 25"):
            assert each[cautious].mean() > each[PLAIN].mean() + 1.5
    one = result.paths["one member"]
    assert (share_lost(one) > 0.4).all()
    assert one.gold.max(1).mean() < result.paths[PLAIN].gold.max(1).mean() - 0.3
    # The members share the assumption that nobody was asked about.
    assert abs(end["mean of 25"].mean() - end[PLAIN].mean()) < 0.5
    assert end["worst of 25"].mean() > end["worst of 5"].mean() + 0.5


@pytest.mark.slow
def test_a_larger_beta_stops_before_the_peak(result):
    plain = result.paths[PLAIN]
    at = int(np.abs(result.kl_weights - 0.5).argmin())
    assert (plain.gold[:, at] > plain.gold[:, -1] + 0.5).all()
    assert (peak_index(plain) >= at).all()
