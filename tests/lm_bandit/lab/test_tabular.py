"""The bench: its reference, its annotators' answers, and paths near the reference."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import sft
from lm_bandit.feedback import linear_reward
from lm_bandit.lab import tabular


def test_the_reference_writes_the_words_of_the_demonstrations(bench):
    """The first word of 8,420 completions, against 40,000 demonstrations."""
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


@pytest.mark.slow
def test_many_answers_teach_the_mean_ratings(bench):
    answers = tabular.ask_annotators(np.random.default_rng(0), bench, 20_000)
    weights = tabular.fit_word_weights(bench, answers)
    gold = linear_reward.gold_weights(bench.world)
    assert np.corrcoef(weights, gold)[0, 1] > 0.97
    shares = np.bincount(answers.prompts) / len(answers.prompts)
    assert_allclose(shares, 0.5, atol=0.02)
    learned = tabular.fit_scores(bench, answers)
    praise = [bench.world.encode(text) for text in ("superb", "superb and superb")]
    rows = [int((bench.completions[:, : len(x)] == x).all(1).argmax()) for x in praise]
    assert_allclose(learned[0, rows], weights[bench.column("superb")])
    assert_allclose(learned[1, rows], -weights[bench.column("superb")])


def test_near_the_reference_gold_rises_by_rho_sigma_root_2_d(bench):
    rng = np.random.default_rng(0)
    learned = bench.gold + rng.normal(size=bench.gold.shape)
    path = tabular.optimum_path(bench, learned, np.array([2000.0]))
    centred = learned - np.sum(bench.probs * learned, axis=1, keepdims=True)
    covariance = np.mean(np.sum(bench.probs * centred * bench.gold, axis=1))
    deviation = np.sqrt(np.mean(np.sum(bench.probs * centred**2, axis=1)))
    slope = covariance / deviation * np.sqrt(2.0)
    assert_allclose(path.gold, slope * np.sqrt(path.kl), rtol=2e-3)
    assert slope > 1.0


def test_best_of_one_is_the_reference(bench):
    path = tabular.best_of_n_path(bench, bench.gold, np.array([1, 2]))
    assert_allclose([path.kl[0], path.learned[0], path.gold[0]], 0.0, atol=1e-9)
    assert path.gold[1] > 0.5
