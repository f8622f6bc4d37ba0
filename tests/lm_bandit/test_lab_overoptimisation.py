"""The learned reward climbs; the gold reward rises, peaks and falls: on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import sft
from lm_bandit.feedback import linear_reward
from lm_bandit.lab import gao, opinions, overoptimisation
from lm_bandit.lab.opinions import Path


@pytest.fixture(scope="module")
def bench():
    return opinions.bench()


@pytest.fixture(scope="module")
def found():
    return overoptimisation.run(seeds=range(10))


def test_the_reference_writes_the_words_of_the_demonstrations(bench):
    """A completion's first word, of 8,420 added up and of 40,000 demonstrations."""
    assert len(bench.completions) == 20 + 20**2 + 20**3
    assert_allclose(bench.probs.sum(1), 1.0, rtol=1e-12)
    rng = np.random.default_rng(0)
    prompts, written = sft.demonstrations(rng, bench.world, 40_000)
    for i, prompt in enumerate(bench.world.prompts):
        first = written[(prompts == prompt).all(1), 0]
        for token in bench.world.rated:
            p = bench.probs[i, bench.completions[:, 0] == token].sum()
            error = np.sqrt(p * (1 - p) / len(first))
            assert abs(np.mean(first == token) - p) < 4.5 * error


def test_answers_are_those_of_people_about_the_references_own_completions(bench):
    """Asked often enough, they are right about the gold reward's worths."""
    asked = opinions.ask(np.random.default_rng(0), bench, 20_000)
    rows = opinions.differences(bench, asked, bench.used)
    worths = linear_reward.fit_weights(rows).mean
    gold = linear_reward.gold_weights(bench.world)
    assert np.corrcoef(worths, gold)[0, 1] > 0.97
    shares = np.bincount(asked.which) / len(asked.which)
    assert_allclose(shares, 0.5, atol=0.02)


def test_near_the_reference_gold_rises_by_rho_sigma_root_2_d(bench):
    rng = np.random.default_rng(0)
    learned = bench.gold + rng.normal(size=bench.gold.shape)
    path = opinions.frontier(bench, learned, np.array([2000.0]))
    centred = learned - np.sum(bench.probs * learned, axis=1, keepdims=True)
    covariance = np.mean(np.sum(bench.probs * centred * bench.gold, axis=1))
    slope = covariance / opinions.deviation(bench, learned) * np.sqrt(2.0)
    assert_allclose(path.gold, slope * np.sqrt(path.kl), rtol=2e-3)
    assert slope > 1.0


@pytest.mark.parametrize("terms", [gao.best_of_terms, gao.frontier_terms])
def test_the_fit_finds_the_coefficients_and_an_interval_around_them(terms):
    rng = np.random.default_rng(0)
    d = np.tile(np.linspace(0.0, 3.0, 30), (10, 1))
    of_seeds = np.array([3.0, 1.0]) + 0.1 * rng.normal(size=(10, 2))
    gold = np.einsum("sni,si->sn", terms(d), of_seeds)
    fitted = gao.fit(Path(d**2, gold, gold), terms)
    for i, got in enumerate(fitted[:2]):
        assert_allclose(got.value, of_seeds[:, i].mean(), rtol=1e-9)
        assert got.low < got.value < got.high
        standard_error = of_seeds[:, i].std() / np.sqrt(10)
        assert_allclose(got.high - got.low, 2 * 1.96 * standard_error, rtol=0.15)
    assert fitted.r_squared > 0.9


def test_the_forms_are_gao_et_als():
    d = np.array([0.0, 0.5, 2.0])
    assert_allclose(gao.best_of_terms(d) @ [3.0, 1.0], d * (3.0 - d))
    expected = [0.0, 0.5 * (3.0 - np.log(0.5)), 2.0 * (3.0 - np.log(2.0))]
    assert_allclose(gao.frontier_terms(d) @ [3.0, 1.0], expected)


def test_the_learned_reward_climbs_and_the_gold_reward_peaks_and_falls(found):
    """Three tenths of what was gained, at least, are lost again on each seed."""
    plain = found.paths["100 comparisons"]
    for path in (plain, found.best_of):
        assert (np.diff(path.kl) > -1e-9).all()
        assert (np.diff(path.learned) > -1e-9).all()
        assert (path.gold.max(1) > 2.0).all()
        assert (overoptimisation.fall(path) > 0.3).all()
    for fitted in (found.best_of_fit, found.frontier_fit_squared):
        assert fitted.beta.low > 0.5, "it bends down"
        assert fitted.r_squared > 0.8


def test_what_it_likes_best_is_one_good_word_as_often_as_there_is_room(found):
    """Nobody asked about that: the gold reward counts a word once."""
    for favourite in found.favourites:
        words = favourite.split(" and ")
        assert len(words) == 3
        assert len(set(words)) == 1


def test_unbiased_noise_and_a_reward_of_the_right_form_do_not_turn_over(found):
    for name in ("control", "right form"):
        assert (overoptimisation.fall(found.paths[name]) < 0.05).all(), name


def test_the_noise_of_the_control_is_as_large_as_the_error_of_the_learned(bench):
    rng = np.random.default_rng(0)
    learned = bench.gold * rng.uniform(-1.0, 3.0, size=bench.gold.shape)
    gold = opinions.standardised(bench, bench.gold)
    control = overoptimisation.noisy_gold(rng, bench, learned)
    errors = opinions.standardised(bench, learned) - gold, control - gold
    sizes = [np.sqrt(np.mean(np.sum(bench.probs * e**2, axis=1))) for e in errors]
    assert_allclose(sizes[1], sizes[0], rtol=0.05)


def test_a_model_that_cannot_learn_better_falls_however_much_it_is_told(found):
    wrong = found.paths["counts only, 10,000"]
    assert (overoptimisation.fall(wrong) > 0.3).all()
    assert (overoptimisation.fall(found.paths["10,000 comparisons"]) < 0.05).all()


def test_more_comparisons_and_more_cautious_members_put_the_peak_off(found):
    seeds = np.arange(10)
    at, end = {}, {}
    for name, path in found.paths.items():
        at[name] = path.kl[seeds, overoptimisation.peak(path)]
        end[name] = path.gold[:, -1]
    plain, more = "100 comparisons", "10,000 comparisons"
    assert (at[plain] < 5.5).all()
    assert (at[more] > 7.0).all()
    assert (end[more] > end[plain] + 3.0).all()
    assert (end["worst of 25"] > end[plain] + 0.3).all()
    for each in (at, end):
        means = {name: x.mean() for name, x in each.items()}
        for cautious in ("worst of 25", "mean - std of 25"):
            assert means[cautious] > means[plain] + 1.5
    one = found.paths["one member"]
    assert (overoptimisation.fall(one) > 0.4).all()
    assert one.gold.max(1).mean() < found.paths[plain].gold.max(1).mean() - 0.3
    # They share the assumption that nobody was asked about.
    assert abs(end["mean of 25"].mean() - end[plain].mean()) < 0.5
    assert end["worst of 25"].mean() > end["worst of 5"].mean() + 0.5


def test_a_larger_beta_stays_before_the_peak(found):
    plain = found.paths["100 comparisons"]
    at = int(np.abs(found.kl_weights - 0.5).argmin())
    assert (plain.gold[:, at] > plain.gold[:, -1] + 0.5).all()
    assert (overoptimisation.peak(plain) >= at).all()
