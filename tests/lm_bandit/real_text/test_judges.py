"""Reward models from scores, and agreement with people, by brute force."""

import jax.numpy as jnp
import numpy as np
import pytest

from lm_bandit.real_text import judges, ratings
from lm_bandit.reward_model import pairwise_loss


def test_all_pairs_of_a_batch_are_its_comparisons():
    """Brute force: the pairwise loss of every ordered pair, written out."""
    rng = np.random.default_rng(0)
    rewards, scores = rng.normal(size=7), np.array([3, 1, 4, 1, 5, 9, 2])
    pairs = [(i, j) for i in range(7) for j in range(7) if scores[i] > scores[j]]
    assert len(pairs) == 20  # of 21, one is a tie
    chosen, rejected = (
        jnp.array(rewards[list(side)]) for side in zip(*pairs, strict=True)
    )
    found, metrics = judges.scored_pairs_loss(jnp.array(rewards), jnp.array(scores))
    assert float(found) == pytest.approx(
        float(pairwise_loss(chosen, rejected)), rel=1e-5
    )
    assert float(metrics.accuracy) == pytest.approx(float(jnp.mean(chosen > rejected)))


def test_agreement_by_brute_force():
    given = ((3, 4, 2), (1, -1), (1, 1, 0, -4), (-2, 1))
    rewards = np.array([0.5, 0.7, -1.0, 0.1])
    means = [np.mean(row) for row in given]
    right = both = same = single = asked = pairs = 0.0
    for i in range(4):
        for j in range(4):
            if means[i] - means[j] < 1.0:
                continue
            pairs, right = pairs + 1, right + (rewards[i] > rewards[j])
            draws = [np.sign(a - b) for a in given[i] for b in given[j]]
            share = {sign: draws.count(sign) / len(draws) for sign in (1.0, -1.0)}
            asked += sum(share.values())
            single += share[np.sign(rewards[i] - rewards[j])]
            both += sum(share.values()) ** 2
            same += share[1.0] ** 2 + share[-1.0] ** 2
    found = judges.rater_agreement(rewards, ratings.rating_counts(given), 1.0)
    assert found.pairs == pairs == 3
    assert found.model == pytest.approx(right / pairs)
    assert found.model_and_rater == pytest.approx(single / asked)
    assert found.two_raters == pytest.approx(same / both)
