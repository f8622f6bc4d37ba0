"""What a handful of runs can tell: numbers that carry their uncertainty with them.

    interquartile mean    the mean of the middle half of all runs, of whatever world
    P(X > Y)              the chance that a run of X beats one of Y; a tie counts half

The mean hangs on one lucky or broken run, the median leaves most runs out; the
interquartile mean lies between. How far a number would move with other seeds is asked
of the bootstrap: draw as many runs again from those that there are, with replacement,
and take the number of these; do so often, and 95% of what comes out lies in the
interval. Runs are drawn again within each world, never across (it is *stratified*).

Compare an algorithm with itself, by other seeds, and the interval of P(X > Y) leaves
out 1/2 in about 5% of the comparisons. The tests say so.

Source: Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice",
sections 4.1 to 4.3; Efron & Tibshirani (1993), section 13.3.
Shapes: W worlds, n runs in each, R bootstrap draws.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NUM_DRAWS = 2000  # R
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A number, and the interval that it is given with."""

    value: float
    low: float
    high: float


def interquartile_mean(
    scores: Float[np.ndarray, "*batch n"],
) -> Float[np.ndarray, "*batch"]:
    """The mean without the lowest and the highest quarter of the scores."""
    n = scores.shape[-1]
    return np.asarray(np.sort(scores, -1)[..., n // 4 : n - n // 4].mean(-1))


def middle(scores: Float[np.ndarray, "W n"], rng: np.random.Generator) -> Estimate:
    """The interquartile mean over the runs of all worlds."""

    def over_worlds(scores: Float[np.ndarray, "*batch W n"]):
        return interquartile_mean(scores.reshape(*scores.shape[:-2], -1))

    drawn = np.take_along_axis(scores[None], redraw(rng, *scores.shape), -1)
    return _estimate(float(over_worlds(scores)), over_worlds(drawn))


def probability_of_improvement(
    x: Float[np.ndarray, "W n"], y: Float[np.ndarray, "W m"], rng: np.random.Generator
) -> Estimate:
    """P(X > Y) + P(X = Y) / 2, averaged over the worlds.

    Agarwal et al. (2021), section 4.3; in one world, U / (m n) of Mann & Whitney.
    """
    wins = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    # A draw is how often it holds each run: its wins are a sum over pairs.
    of_x, of_y = (_counts(redraw(rng, *runs.shape)).swapaxes(0, 1) for runs in (x, y))
    drawn = ((of_x @ wins) * of_y).sum((0, 2))
    return _estimate(float(wins.mean()), drawn / wins.size)


def redraw(
    rng: np.random.Generator, num_worlds: int, num_runs: int
) -> Int[np.ndarray, "R W n"]:
    """Which runs each draw holds, world by world."""
    return rng.integers(num_runs, size=(NUM_DRAWS, num_worlds, num_runs))


def _counts(draws: Int[np.ndarray, "R W n"]) -> Float[np.ndarray, "R W n"]:
    """How often each draw holds each run."""
    rows = draws.reshape(-1, draws.shape[-1])
    n = rows.shape[1]
    flat = (rows + n * np.arange(len(rows))[:, None]).ravel()
    counted = np.bincount(flat, minlength=rows.size)
    return counted.reshape(draws.shape).astype(float)


def _estimate(value: float, drawn: Float[np.ndarray, "R"]) -> Estimate:
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [outside, 1 - outside])
    return Estimate(value, float(low), float(high))
