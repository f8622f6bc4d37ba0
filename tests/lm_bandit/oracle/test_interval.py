"""The interval for J*, against tables whose optimum is known."""

import jax
import numpy as np
import pytest

from lm_bandit.config import TuningConfig
from lm_bandit.oracle import exact, interval, trie
from lm_bandit.oracle.interval import Drawn
from lm_bandit.reward_table import RewardTable

BETA, CEILING = 0.1, 5.0


def tables(distance, seed=0):
    """Rewards, log pi_ref and log pi of 3 prompts x 200 completions.

    log pi is off log pi* by noise of this size.
    """
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(3, 200)) * 0.3
    reference = normalised(rng.normal(size=(3, 200)))
    noise = distance * rng.normal(size=(3, 200))
    return rewards, reference, normalised(reference + rewards / BETA + noise)


def normalised(logits):
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def drawn_from(rng, rewards, *policies, count):
    """Completions of each policy, with their rewards and log-ratios."""
    rows = np.arange(len(rewards))[:, None]
    chosen = [
        np.stack([rng.choice(len(row), count, p=np.exp(row)) for row in policy])
        for policy in policies
    ]
    ratios = [[(p - policies[0])[rows, y] for y in chosen] for p in policies]
    return Drawn(np.array([rewards[rows, y] for y in chosen]), np.array(ratios))


@pytest.mark.slow
@pytest.mark.parametrize("distance", [0.3, 1.0])
def test_intervals_of_95_percent_cover_the_truth(distance):
    """300 repeats: within 4 points of 95%, 3 standard errors of such a share."""
    rewards, reference, policy = tables(distance)
    best = BETA * np.logaddexp.reduce(reference + rewards / BETA, axis=1).mean()
    start, reached = (
        (np.exp(p) * (rewards - BETA * (p - reference))).sum(1).mean()
        for p in (reference, policy)
    )
    share, rng, covered = (
        (reached - start) / (best - start),
        np.random.default_rng(1),
        [],
    )
    for _ in range(300):
        drawn = drawn_from(rng, rewards, reference, policy, count=200)
        found = interval.interval_of(drawn, BETA, CEILING)
        is_share = found.share_low <= share <= found.share_high
        covered.append((found.low <= best <= found.high, is_share))
    assert np.all(np.abs(np.mean(covered, axis=0) - 0.95) < 0.04)


def test_a_prompt_whose_z_is_one_completion_gets_bounds_only():
    """The second prompt is regular: all its weights are 1, and J* is 0."""
    count, rewards = 100, np.zeros((2, 2, 100))
    drawn = Drawn(rewards, np.zeros((2, 2, 2, count)))
    plain = interval.interval_of(drawn, BETA, CEILING)
    assert (plain.low, plain.high) == pytest.approx((0.0, 0.0))
    rewards[0, 0, 0] = BETA * np.log(count)  # beside 199 of weight 1
    found = interval.interval_of(drawn, BETA, CEILING)
    assert found.heaviest == pytest.approx(count / (2 * count - 1 + count))
    assert (found.known, found.prompts) == (1, 2)
    assert found.high == pytest.approx(CEILING / 2), "the ceiling, and 0"
    assert found.low == pytest.approx(0.0, abs=0.01), "what the policy reaches, and 0"


@pytest.mark.slow
def test_the_optimum_of_transformers_is_within_its_interval(
    tiny, fixed, policy, problem
):
    """4 seeds: within 4 standard errors, and below the ceiling."""
    config = TuningConfig(kl_weight=problem.kl_weight, penalty=problem.penalty)
    best = exact.optimal_objective(problem)
    _, reference, scorer, _ = fixed
    for seed in range(4):
        found = interval.optimum_interval(
            (reference, policy),
            jax.random.key(seed),
            scorer,
            tiny.prompts,
            tiny.completion_length,
            200,
            config,
        )
        mean, error = found.optimum
        assert abs(mean - best) < 4 * error
        assert best < found.ceiling


def test_no_reward_exceeds_the_ceiling(tiny, fixed):
    scorer = fixed.reward_model
    highest = trie.learned_scores(scorer, tiny).max()
    assert interval.reward_ceiling(scorer) >= highest
    table = RewardTable(fixed.prompts, np.array([[1.0, -3.0]]), np.array(2))
    assert interval.reward_ceiling(table) == 1.0
