"""The linear reward: the form of the gold reward, and the exact optimum of its fit."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose
from scipy import optimize

from lm_bandit import bandit
from lm_bandit.feedback import lessons, linear_reward


def test_the_gold_reward_is_linear_in_the_signed_words(world):
    rng = np.random.default_rng(0)
    which, completions = lessons.questions(rng, world, 40, 1)
    completions[3, 0] = [world.rated[0], world.rated[0], world.rated[1], 0]
    completions = completions[:, 0]
    gold = bandit.gold_scores(world, completions)[which, np.arange(40)]
    weights = linear_reward.gold_weights(world)
    phi = linear_reward.features(world, world.prompts[which], completions)
    assert_allclose(phi @ weights, gold, rtol=1e-9)
    ends = completions == 0
    padding = np.cumsum(ends, axis=1) - ends > 0
    assert padding.any()
    padded = np.where(padding, world.rated[3], completions)
    again = linear_reward.features(world, world.prompts[which], padded)
    assert_allclose(again, phi)
    score = jax.jit(linear_reward.scorer(world))
    tokens = jnp.asarray(world.prompts[which]), jnp.asarray(padded)
    assert_allclose(score(jnp.asarray(weights), *tokens), gold, rtol=1e-5)


def test_newton_finds_the_most_probable_weights_and_the_curvature_there():
    rng = np.random.default_rng(0)
    differences = rng.integers(-1, 2, size=(60, 4)).astype(float)
    counts = rng.uniform(0.0, 2.0, 60)

    def minus_log_posterior(w):
        loss = np.sum(counts * np.log1p(np.exp(-differences @ w)))
        return loss + 0.25 * np.sum(w**2)

    best = optimize.minimize(minus_log_posterior, np.zeros(4), tol=1e-12)
    posterior = linear_reward.fit_weights(differences, precision=0.5, counts=counts)
    assert_allclose(posterior.mean, best.x, atol=1e-5)
    p = 1 / (1 + np.exp(-differences @ best.x))
    each = counts * p * (1 - p)
    information = np.einsum("n,ni,nj->ij", each, differences, differences)
    expected = np.linalg.inv(0.5 * np.eye(4) + information)
    assert_allclose(posterior.covariance, expected, rtol=1e-3, atol=1e-5)
