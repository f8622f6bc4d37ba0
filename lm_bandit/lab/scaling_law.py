"""The forms that the gold reward follows during optimisation, fitted to a path.

    best-of-n   R(d) = d (alpha - beta d)
    RLHF        R(d) = d (alpha - beta log d),    d = sqrt(KL(pi || pi_ref))

R is the gold reward minus the reference's, so R(0) = 0. The beta here is a coefficient,
not the KL weight. Both forms are linear in alpha and beta, so they are fitted by least
squares over the points of all seeds. The 95% intervals are those of a bootstrap over
seeds: points of one path are not independent of each other, paths of two seeds are.

Source: Gao, Schulman & Hilton (2022), "Scaling laws for reward model overoptimization",
section 1, for the forms; Efron & Tibshirani (1993) for the bootstrap.
Shapes: S seeds, n points of a path.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lm_bandit.lab.tabular import RewardPath
from policy_gradient.comparison.statistics import Estimate, redraw

Terms = Callable[[Float[np.ndarray, "*n"]], Float[np.ndarray, "*n 2"]]


class ScalingFit(NamedTuple):
    """The fitted coefficients with their 95% intervals."""

    alpha: Estimate
    beta: Estimate
    r_squared: float  # share of the variance that the form explains

    def __str__(self) -> str:
        alpha, beta = (f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in self[:2])
        return f"a = {alpha}, b = {beta}, R^2 = {self.r_squared:.2f}"


def fit_scaling_law(path: RewardPath, terms: Terms) -> ScalingFit:
    """Fit alpha and beta by least squares; the intervals draw whole seeds again."""
    gold, x = path.gold, terms(np.sqrt(path.kl))
    # The normal equations of a draw of seeds are sums of those of its seeds.
    products = np.einsum("sni,snj->sij", x, x)
    targets = np.einsum("sni,sn->si", x, gold)
    best = np.linalg.solve(products.sum(0), targets.sum(0))
    draws = redraw(np.random.default_rng(0), 1, len(gold))[:, 0]
    drawn = np.linalg.solve(products[draws].sum(1), targets[draws].sum(1)[..., None])
    low, high = np.quantile(drawn[..., 0], [0.025, 0.975], axis=0)
    unexplained = np.sum((gold - x @ best) ** 2) / np.sum((gold - gold.mean()) ** 2)
    alpha, beta = (Estimate(*map(float, y)) for y in zip(best, low, high, strict=True))
    return ScalingFit(alpha, beta, float(1.0 - unexplained))


def best_of_n_terms(d: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """The factors of alpha and beta in best-of-n's form: d and -d^2."""
    return np.stack([d, -(d**2)], axis=-1)


def rlhf_terms(d: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """The factors of alpha and beta in RLHF's form: d and -d log d, which is 0 at 0."""
    return np.stack([d, -d * np.log(np.where(d > 0, d, 1.0))], axis=-1)
