"""Which question to ask: the smart choices do what they say, and are worth it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import reward_model
from lm_bandit.feedback import elicitation, ensemble, linear_reward
from lm_bandit.reward_model import Comparisons, RewardConfig
from lm_bandit.world import pocket_world

SEEDS = range(16)


@pytest.fixture
def answers():
    """200 answers about five words, by Bradley and Terry."""
    rng = np.random.default_rng(0)
    worths = np.array([1.5, 0.5, 0.0, -0.5, -1.0])
    pairs = rng.normal(size=(200, 5))
    wins = rng.random(200) < 1 / (1 + np.exp(-pairs @ worths))
    return np.where(wins[:, None], pairs, -pairs)


def test_the_design_takes_the_pair_that_leaves_the_smallest_determinant(answers):
    """Against the determinant of every pair's covariance, inverted afresh."""
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(30, 5)) * rng.uniform(0.2, 2.0, (30, 1))
    belief = linear_reward.fit_weights(answers)
    precision = np.linalg.inv(belief.covariance)
    p = 1 / (1 + np.exp(-pool @ belief.mean))
    gained = (p * (1 - p))[:, None, None] * pool[:, :, None] * pool[:, None, :]
    expected = []
    for _ in range(4):
        left = np.linalg.det(np.linalg.inv(precision + gained))
        left[expected] = np.inf
        expected.append(int(left.argmin()))
        precision = precision + gained[expected[-1]]
    got = elicitation.by_design(rng, answers, pool, 4)
    assert_array_equal(got, expected)
    one = elicitation.updated_covariance(belief.covariance, pool[3], 0.2)
    exact = np.linalg.inv(
        np.linalg.inv(belief.covariance) + 0.2 * np.outer(pool[3], pool[3])
    )
    assert_allclose(one, exact, rtol=1e-8)


def test_an_ensemble_spreads_as_the_curvature_says(answers):
    """The bootstrap has not heard of the Gaussian at the optimum, and agrees."""
    belief = linear_reward.fit_weights(answers)
    worths = ensemble.bootstrap_weights(np.random.default_rng(2), answers, 400)
    assert_allclose(worths.mean(0), belief.mean, atol=0.1)
    exact = np.sqrt(np.diag(belief.covariance))
    assert_allclose(worths.std(0), exact, rtol=0.2)


def test_uncertainty_asks_about_what_has_not_been_asked(answers):
    """The first two words were compared 200 times, the others hardly ever."""
    known = answers.copy()
    known[:190, 2:] = 0.0
    pool = np.zeros((100, 5))
    pool[:90, 0], pool[:90, 1] = 1.0, -1.0
    pool[90:, 2], pool[90:, 3] = 1.0, -1.0
    rng = np.random.default_rng(3)
    for choose in (elicitation.by_uncertainty, elicitation.by_design):
        assert (choose(rng, known, pool, 5) >= 90).all()


@pytest.fixture(scope="module")
def curves():
    world = pocket_world()
    return [
        elicitation.learning_curve(world, choose, SEEDS, reads=reads)
        for choose, reads in (
            (elicitation.at_random, 2),
            (elicitation.by_uncertainty, 2),
            (elicitation.by_design, 2),
            (elicitation.at_random, 4),
        )
    ]


def test_smart_questions_need_at_most_seven_answers_in_ten(curves):
    """To order the pairs as well as 300 random questions do: measured, about half."""
    random, *smart, _ = curves
    for choice in smart:
        assert elicitation.share_needed(choice, random) <= 0.7
        assert choice.low[-1] > random.high[-1], "bands of 95% that do not overlap"
    assert 0.88 < random.mean[-1] < 0.95
    assert elicitation.share_needed(random, smart[0]) == np.inf


def test_a_ranking_of_four_teaches_more_than_two_comparisons_that_read_as_much(curves):
    random, *_, rankings = curves
    assert elicitation.share_needed(rankings, random) <= 0.4
    fewer = (
        rankings.answers * 2 <= random.answers[-1]
    )  # reads 4 where the other reads 2
    assert (rankings.mean[fewer] > random.mean[1::2]).all()


def test_caution_does_not_see_the_constants_that_comparisons_do_not_know():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(5, 3, 7)).astype(np.float32)
    got = ensemble.cautious_reward(jnp.asarray(scores), 0.5)
    for prompt in range(3):
        centred = [member[prompt] - member[prompt].mean() for member in scores]
        expected = np.mean(centred, 0) - 0.5 * np.std(centred, 0)
        assert_allclose(got[prompt], expected, atol=1e-5)
    constants = rng.normal(0.0, 3.0, size=(5, 3, 1)).astype(np.float32)
    assert_allclose(
        ensemble.cautious_reward(jnp.asarray(scores + constants), 0.5), got, atol=1e-5
    )


def test_each_member_learns_from_its_own_draw_of_the_answers(tiny):
    words = np.random.default_rng(5).integers(0, 6, size=(2, 30, 3))
    pairs = Comparisons(tiny.prompts[np.zeros(30, int)], *words)

    def loss(table, batch):
        scores = table[batch.chosen[:, 0]], table[batch.rejected[:, 0]]
        value = reward_model.pairwise_loss(*scores)
        return value, value

    config = RewardConfig(num_updates=10, batch_size=8, step_size=0.1)
    keys = jax.random.split(jax.random.key(0), 3)
    members = ensemble.train(keys, jnp.zeros(6), pairs, config, loss)
    for key, member in zip(keys, members, strict=True):
        draw_key, train_key = jax.random.split(key)
        rows = np.asarray(jax.random.randint(draw_key, (30,), 0, 30))
        drawn = Comparisons(*(x[rows] for x in pairs[:3]))
        alone, _ = reward_model.train(train_key, jnp.zeros(6), drawn, config, loss=loss)
        assert_allclose(member, alone, atol=1e-6)
    assert np.asarray(members).std(0).max() > 0.01
