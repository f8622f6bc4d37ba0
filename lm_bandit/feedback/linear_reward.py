"""The simplest reward model: every word has a worth, and a completion has their sum.

    r(x, y) = sign(x) sum_{v in y} w_v  =  w . phi(x, y)

where sign(x) is +1 if the prompt asks for praise and -1 if for complaint. The gold
reward has this form (w: the mean ratings), so nothing but the answers is to blame for
an error. And the loss of comparisons is convex: its optimum is unique, Newton's method
finds it, and the curvature there says how uncertain each worth still is,

    Sigma^-1 = lambda I + sum_n p_n (1 - p_n) z_n z_n^T

for z = phi(x, chosen) - phi(x, rejected) and p = sigmoid(w . z): it is

the exact answer beside gradient descent on comparisons, and what `elicitation.py`
decides by. The transformer's reward model is linear too, in its last hidden state.

Source: Bradley & Terry (1952); MacKay (1992), "The evidence framework applied to
classification networks", for the Gaussian at the optimum (Laplace's approximation).
Shapes: D rated words.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import expit

from lm_bandit.generate import completion_mask
from lm_bandit.world import World


class Posterior(NamedTuple):
    """What comparisons say of the worths: a Gaussian, or its best guess and spread."""

    mean: Float[np.ndarray, "D"]
    covariance: Float[np.ndarray, "D D"]


def features(
    world: World, prompts: Int[Array, "*n P"], completions: Int[Array, "*n C"]
) -> Float[Array, "*n D"]:
    """phi(x, y): sign(x) for each rated word that is used, 0 for the others."""
    signs = np.zeros(len(world.vocabulary), np.float32)
    signs[world.prompts[:, 0]] = world.signs  # the first token says what is asked for
    words = jax.nn.one_hot(completions, len(world.vocabulary))
    used = jnp.max(words * completion_mask(completions)[..., None], axis=-2)
    return jnp.asarray(signs)[prompts[..., 0], None] * used[..., world.rated]


def scorer(world: World) -> Callable:
    """The score of worths [D], prompts and completions, as `crowd.loss` wants it."""

    def score(worths, prompts, completions):
        return features(world, prompts, completions) @ worths

    return score


def gold_weights(world: World) -> Float[np.ndarray, "D"]:
    """The mean rating of each rated word."""
    return world.ratings[world.rated].mean(-1)


def fit_weights(
    differences: Float[np.ndarray, "n D"],
    precision: float = 0.1,
    weights: Float[np.ndarray, "n"] | None = None,
) -> Posterior:
    """The worths that make the answers likeliest, by Newton's method.

    Args:
        differences: phi(x, chosen) - phi(x, rejected), one row per answer.
        precision: lambda, of the prior N(0, 1 / lambda) on each worth.
        weights: how often each answer counts, once by default.
    """
    weights = np.ones(len(differences)) if weights is None else weights
    worths = np.zeros(differences.shape[1])
    prior = precision * np.eye(len(worths))
    for _ in range(50):
        wins = expit(differences @ worths)
        gradient = differences.T @ (weights * (1.0 - wins)) - precision * worths
        information = weights * wins * (1.0 - wins)
        curvature = prior + differences.T @ (information[:, None] * differences)
        step = np.linalg.solve(curvature, gradient)
        worths = worths + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-10:
            break
    return Posterior(worths, np.linalg.inv(curvature))
