"""The forms that the gold reward was found to follow, fitted to a path.

    best-of-n   R(d) = d (alpha - beta d)
    RLHF        R(d) = d (alpha - beta log d),    d = sqrt(KL(pi || pi_ref))

R is the gold reward less the reference's, so R(0) = 0. Both are linear in alpha and
beta: least squares over all seeds. The 95% intervals are the bootstrap's, over seeds:
the points of one path are no independent measurements, the paths of two seeds are.

Source: Gao, Schulman & Hilton (2022), "Scaling laws for reward model overoptimization",
for the forms; Efron & Tibshirani (1993) for the bootstrap.
Shapes: S seeds, n points of a path.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.lab.opinions import Path
from policy_gradient.comparison.statistics import Estimate, redraw

Terms = Callable[[Float[np.ndarray, "*n"]], Float[np.ndarray, "*n 2"]]


class Fit(NamedTuple):
    """The coefficients, and how much of the variance they explain."""

    alpha: Estimate
    beta: Estimate
    r_squared: float

    def __str__(self) -> str:
        alpha, beta = (f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in self[:2])
        return f"a = {alpha}, b = {beta}, R^2 = {self.r_squared:.2f}"


def best_of_terms(d: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """What alpha and beta are multiplied with, for best-of-n."""
    return np.stack([d, -(d**2)], axis=-1)


def frontier_terms(d: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """The same for RLHF; d log d is 0 at 0."""
    return np.stack([d, -d * np.log(np.where(d > 0, d, 1.0))], axis=-1)


def fit(path: Path, terms: Terms) -> Fit:
    """Least squares over all seeds; intervals by drawing the seeds again."""
    gold, x = path.gold, terms(np.sqrt(path.kl))
    # Sums over a path: those of a draw are sums of these.
    products = np.einsum("sni,snj->sij", x, x)
    targets = np.einsum("sni,sn->si", x, gold)
    best = np.linalg.solve(products.sum(0), targets.sum(0))
    draws = redraw(np.random.default_rng(0), 1, len(gold))[:, 0]
    drawn = np.linalg.solve(products[draws].sum(1), targets[draws].sum(1)[..., None])
    low, high = np.quantile(drawn[..., 0], [0.025, 0.975], axis=0)
    left = np.sum((gold - x @ best) ** 2) / np.sum((gold - gold.mean()) ** 2)
    alpha, beta = (Estimate(*map(float, y)) for y in zip(best, low, high, strict=True))
    return Fit(alpha, beta, float(1.0 - left))


def curve(fitted: Fit, terms: Terms, d: Float[np.ndarray, "n"]) -> np.ndarray:
    """R(d)."""
    return terms(d) @ np.array([fitted.alpha.value, fitted.beta.value])
