"""A comparison in numbers: per world, over all worlds, and pair by pair.

    in a world      the interquartile mean of J, and the steps until a score of 95%
    over all        the interquartile mean of the scores
    X against Y     the probability that a run of X beats one of Y

A score of 95% means that the policy by which a run acts has covered 95% of the way from
the uniform policy to the optimum. A share of the way makes sense for negative values
too; a share of the optimum itself would not.

Source: Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice".
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from policy_gradient.comparison.compare import Comparison, Judged, Reference, scores
from policy_gradient.comparison.statistics import (
    Estimate,
    interquartile_estimate,
    probability_of_improvement,
)

SHARE = 0.95  # of the way from the uniform policy to the optimum


class Verdict(NamedTuple):
    """Results of one algorithm in one world, at the end of its budget."""

    sampling: Estimate  # J of the policy it acts by: interquartile mean
    greedy: Estimate  # J of its likeliest actions: interquartile mean
    regret: float  # J(pi*) less the sampling one
    greedy_regret: float
    steps: float  # the median of the steps to SHARE; inf if half never reached it
    num_reached: int  # runs that reached SHARE
    num_diverged: int


class Summary(NamedTuple):
    """Results in each world, and the statistics over all worlds."""

    verdicts: dict[str, dict[str, Verdict]]  # by world and algorithm
    overall: dict[str, Estimate]  # the score of the policy it acts by; best first
    overall_greedy: dict[str, Estimate]
    improvement: dict[str, dict[str, Estimate]]  # [x][y]: P(X > Y)


def summarize(comparison: Comparison) -> Summary:
    """Return the statistics of a comparison; equal comparisons give equal numbers."""
    checkpoints = comparison.budget.checkpoints
    verdicts = {
        world: {
            name: _verdict(comparison.references[world], one, checkpoints)
            for name, one in judged.items()
        }
        for world, judged in comparison.judged.items()
    }
    names = comparison.configs
    last = {name: _last_scores(comparison, name, "sampling") for name in names}
    greedy = {name: _last_scores(comparison, name, "greedy") for name in names}
    overall = {name: interquartile_estimate(last[name], _rng()) for name in names}
    ranked = sorted(overall, key=lambda name: -overall[name].value)
    improvement = {
        x: {
            y: probability_of_improvement(last[x], last[y], _rng())
            for y in ranked
            if y != x
        }
        for x in ranked
    }
    return Summary(
        verdicts,
        {name: overall[name] for name in ranked},
        {name: interquartile_estimate(greedy[name], _rng()) for name in ranked},
        improvement,
    )


def curve(
    reference: Reference, performance: Float[np.ndarray, "n C"]
) -> Float[np.ndarray, "3 C"]:
    """Interquartile mean of J at each checkpoint, and the ends of its interval."""
    runs = _without_diverged(reference, performance)
    return np.array([interquartile_estimate(x[None], _rng()) for x in runs.T]).T


def steps_to_share(
    reference: Reference, judged: Judged, checkpoints: tuple[int, ...]
) -> Float[np.ndarray, "n"]:
    """Environment steps of each run until its score was SHARE; inf if it never was."""
    reached = scores(reference, judged.sampling) >= SHARE
    first = np.array(checkpoints, float)[reached.argmax(1)]
    return np.where(reached.any(1), first, np.inf)


def _verdict(
    reference: Reference, judged: Judged, checkpoints: tuple[int, ...]
) -> Verdict:
    sampling, greedy = (
        interquartile_estimate(_without_diverged(reference, runs[:, -1:]).T, _rng())
        for runs in (judged.sampling, judged.greedy)
    )
    steps = steps_to_share(reference, judged, checkpoints)
    return Verdict(
        sampling=sampling,
        greedy=greedy,
        regret=reference.optimum - sampling.value,
        greedy_regret=reference.optimum - greedy.value,
        # The lower of the middle two: halfway to infinity is no number of steps.
        steps=float(np.quantile(steps, 0.5, method="lower")),
        num_reached=int(np.isfinite(steps).sum()),
        num_diverged=sum(map(bool, judged.diverged)),
    )


def _last_scores(
    comparison: Comparison, name: str, kind: Literal["sampling", "greedy"]
) -> Float[np.ndarray, "W n"]:
    return np.stack(
        [
            scores(reference, getattr(comparison.judged[world][name], kind)[:, -1])
            for world, reference in comparison.references.items()
        ]
    )


def _without_diverged(
    reference: Reference, performance: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Return J, with the uniform policy's J in the place of nan."""
    return np.where(np.isnan(performance), reference.uniform, performance)


def _rng() -> np.random.Generator:
    """Return a generator whose draws are the same for every bootstrap."""
    return np.random.default_rng(0)
