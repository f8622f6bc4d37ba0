"""A linear reward model: every word has a weight, and a completion has their sum.

    r(x, y) = sign(x) sum_{v in y} w_v  =  w . phi(x, y)

where sign(x) is +1 if the prompt asks for praise and -1 if it asks for complaint. The
gold reward has this form, with the mean ratings as weights, so every error of the model
comes from the answers. The loss of comparisons is convex: its optimum is unique,
Newton's method finds it, and the curvature at the optimum gives the uncertainty of the
weights. With z = phi(x, chosen) - phi(x, rejected) and p = sigmoid(w . z),

    Sigma^-1 = lambda I + sum_n p_n (1 - p_n) z_n z_n^T

This is the exact answer beside gradient descent on comparisons, and `elicitation.py`
chooses questions by it. The transformer's reward model is linear too, in its last
hidden state.

Source: Bradley & Terry (1952); MacKay (1992), "The evidence framework applied to
classification networks", for the Gaussian at the optimum (Laplace's approximation).
Shapes: D rated words, n answers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import expit

from lm_bandit.world import END, World


class Posterior(NamedTuple):
    """The weights given the answers: a Gaussian, by Laplace's approximation."""

    mean: Float[np.ndarray, "D"]
    covariance: Float[np.ndarray, "D D"]


def features(
    world: World, prompts: Int[np.ndarray, "*n P"], completions: Int[np.ndarray, "*n C"]
) -> Float[np.ndarray, "*n D"]:
    """Return phi(x, y): sign(x) for each rated word that y uses, 0 for the others."""
    return _features(world, prompts, completions)


def scorer(world: World) -> Callable:
    """Return the function from weights, prompts and completions to r(x, y)."""

    def score(
        weights: Float[Array, "D"],
        prompts: Int[Array, "*n P"],
        completions: Int[Array, "*n C"],
    ) -> Float[Array, "*n"]:
        return _features(world, prompts, completions) @ weights

    return score


def gold_weights(world: World) -> Float[np.ndarray, "D"]:
    """Return the mean rating of each rated word: the weights of the gold reward."""
    return world.ratings[world.rated].mean(-1)


def fit_weights(
    differences: Float[np.ndarray, "n D"],
    precision: float = 0.1,
    counts: Float[np.ndarray, "n"] | None = None,
) -> Posterior:
    """Return the most probable weights and their covariance, by Newton's method.

    Args:
        differences: phi(x, chosen) - phi(x, rejected), one row per answer.
        precision: lambda of the prior N(0, 1 / lambda) of each weight.
        counts: how often each answer counts; once by default.

    Source: MacKay (1992), the Gaussian approximation at the optimum.
    """
    counts = np.ones(len(differences)) if counts is None else counts
    weights = np.zeros(differences.shape[1])
    prior = precision * np.eye(len(weights))
    for _ in range(50):
        wins = expit(differences @ weights)
        gradient = differences.T @ (counts * (1.0 - wins)) - precision * weights
        information = counts * wins * (1.0 - wins)
        curvature = prior + differences.T @ (information[:, None] * differences)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-10:
            break
    return Posterior(weights, np.linalg.inv(curvature))


def _features(world: World, prompts: Any, completions: Any) -> Any:
    """Return phi(x, y) from arrays of numpy, or of jax inside a compiled program."""
    # A matrix product selects the sign: inside jax, numpy's arrays cannot be indexed.
    signs = (prompts[..., None, :] == world.prompts).all(-1) @ world.signs
    before_end = (completions == END).cumsum(-1) == 0
    used = (completions[..., None] == world.rated) & before_end[..., None]
    return (signs[..., None] * used.any(-2)).astype(float)
