"""What each kind of feedback teaches, from a stated number of answers."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize

from lm_bandit import bandit
from lm_bandit.feedback import annotators, lessons, linear_reward
from lm_bandit.world import pocket_world

LEAST = {  # Spearman's correlation with the gold order after 1000 answers, of any seed
    "comparison": 0.92,
    "ranking of 4, as pairs": 0.96,
    "ranking of 4, by turns": 0.96,
    "score, as a number": 0.92,
    "score, as a word": 0.92,
    "label": 0.88,
    "correction": 0.92,
    "critique, as edit and label": 0.88,
    "critique, as a choice": 0.88,
}


@pytest.fixture(scope="module")
def world():
    return pocket_world()


def people(world, rng):
    return annotators.hire(rng, world, 50)._replace(temperature=1.0)


@pytest.mark.parametrize("kind", lessons.KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_feedback_recovers_the_order_of_the_gold_reward(world, kind):
    of_seeds = lessons.correlations_by_seed(world, kind, people, 1000, seeds=(0, 1, 2))
    assert of_seeds.min() > LEAST[kind.name]
    assert of_seeds.std() > 0, "each seed asks other people other things"


@pytest.mark.parametrize("kind", lessons.KINDS[3:5], ids=lambda kind: kind.name)
def test_scores_need_the_scales_of_those_who_gave_them(world, kind):
    """Half of the people are strict and use few steps; the others are lenient."""

    def mixed(world, rng):
        strict = np.arange(50) < 25
        offset, scale = np.where(strict, -3.0, 3.0), np.where(strict, 0.3, 0.6)
        return people(world, rng)._replace(offset=offset, scale=scale)

    def anonymous(rng, world, which, completions, crowd):
        scores = annotators.rate(rng, world, which, completions, crowd)
        return scores._replace(annotators=np.zeros_like(scores.annotators))

    known = lessons.correlations_by_seed(world, kind, mixed, 300, seeds=(0, 1, 2))
    unknown = kind._replace(answer=anonymous)
    unknown = lessons.correlations_by_seed(world, unknown, mixed, 300, seeds=(0, 1, 2))
    assert known.min() > 0.8
    assert (known > unknown + 0.1).all()


def test_features_are_the_signed_words_and_the_gold_reward_is_linear_in_them(world):
    rng = np.random.default_rng(0)
    which, completions = lessons.questions(rng, world, 40, 1)
    completions[3, 0] = [world.rated[0], world.rated[0], world.rated[1], 0]
    gold = bandit.gold_scores(world, completions[:, 0])[which, np.arange(40)]
    shown = jnp.asarray(world.prompts[which]), jnp.asarray(completions[:, 0])
    worths = jnp.asarray(linear_reward.gold_weights(world))
    got = linear_reward.scorer(world)(worths, *shown)
    assert_allclose(got, gold, rtol=1e-5)
    ended = shown[1] == 0
    padding = jnp.cumsum(ended, axis=1) - ended > 0
    with_padding = jnp.where(padding, int(world.rated[3]), shown[1])
    assert padding.any()
    again = linear_reward.scorer(world)(worths, shown[0], with_padding)
    assert_allclose(again, got, rtol=1e-6)


def test_newton_finds_the_likeliest_worths_and_the_curvature_there(world):
    rng = np.random.default_rng(0)
    differences = rng.integers(-1, 2, size=(60, 4)).astype(float)
    weights = rng.uniform(0.0, 2.0, 60)

    def surprise(w):
        fit = np.sum(weights * np.log1p(np.exp(-differences @ w)))
        return fit + 0.25 * np.sum(w**2)

    best = optimize.minimize(surprise, np.zeros(4), tol=1e-12)
    belief = linear_reward.fit_weights(differences, precision=0.5, weights=weights)
    assert_allclose(belief.mean, best.x, atol=1e-5)
    step, eye = 1e-4, np.eye(4)
    hessian = [
        [
            surprise(belief.mean + step * (a + b))
            - surprise(belief.mean + step * (a - b))
            - surprise(belief.mean - step * (a - b))
            + surprise(belief.mean - step * (a + b))
            for a in eye
        ]
        for b in eye
    ]
    expected = np.linalg.inv(np.array(hessian) / (4 * step**2))
    assert_allclose(belief.covariance, expected, rtol=1e-3, atol=1e-5)
