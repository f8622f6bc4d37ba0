"""What a comparison comes to: per world, over all worlds, and each against each.

    in a world      the interquartile mean of J, and how many steps it took to 95%
    over all        the interquartile mean of the scores
    X against Y     the probability that a run of X beats one of Y

A run has come to 95% at the first checkpoint at which the policy that it acts by has
covered so much of the way from the uniform policy to the optimum: its score. A share of
the way, and not of the optimum itself, makes sense where values are negative.

Source: Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice".
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from policy_gradient.comparison.compare import Comparison, Judged, Reference, scores
from policy_gradient.comparison.statistics import (
    Estimate,
    middle,
    probability_of_improvement,
)

SHARE = 0.95  # of the way from the uniform policy to the optimum


class Verdict(NamedTuple):
    """What became of one algorithm in one world, at the end of its budget."""

    sampling: Estimate  # J of the policy it acts by: interquartile mean
    greedy: Estimate  # J of its likeliest actions: interquartile mean
    regret: float  # J(pi*) less the sampling one
    greedy_regret: float
    steps: float  # the median of the steps to SHARE; inf if half never came so far
    num_reached: int  # runs that did
    num_diverged: int


class Summary(NamedTuple):
    """All verdicts, and the statistics over all worlds."""

    verdicts: dict[str, dict[str, Verdict]]  # by world and algorithm
    overall: dict[str, Estimate]  # the score of the policy it acts by; best first
    overall_greedy: dict[str, Estimate]
    improvement: dict[str, dict[str, Estimate]]  # [x][y]: P(X > Y)


def summarize(found: Comparison) -> Summary:
    """The statistics of a comparison; the same each time, bit for bit."""
    verdicts = {
        world: {
            name: _verdict(found.references[world], judged, found.budget.checkpoints)
            for name, judged in of_world.items()
        }
        for world, of_world in found.judged.items()
    }
    last = {name: _last_scores(found, name, "sampling") for name in found.configs}
    greedy = {name: _last_scores(found, name, "greedy") for name in found.configs}
    overall = {name: middle(runs, _rng()) for name, runs in last.items()}
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
        {name: middle(greedy[name], _rng()) for name in ranked},
        improvement,
    )


def curve(
    reference: Reference, worth: Float[np.ndarray, "n C"]
) -> Float[np.ndarray, "3 C"]:
    """The interquartile mean of J at each checkpoint, and the ends of its interval."""
    estimates = [middle(runs[None], _rng()) for runs in _known(reference, worth).T]
    return np.array(estimates).T


def steps_to_share(
    reference: Reference, judged: Judged, checkpoints: tuple[int, ...]
) -> Float[np.ndarray, "n"]:
    """The first checkpoint of each run at which it had come to SHARE; inf if none."""
    come = scores(reference, judged.sampling) >= SHARE
    first = np.array(checkpoints, float)[come.argmax(1)]
    return np.where(come.any(1), first, np.inf)


def _verdict(reference, judged, checkpoints) -> Verdict:
    sampling, greedy = (
        middle(_known(reference, worth[:, -1:]).T, _rng())
        for worth in (judged.sampling, judged.greedy)
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


def _last_scores(found: Comparison, name: str, kind: str) -> Float[np.ndarray, "W n"]:
    return np.stack(
        [
            scores(reference, getattr(found.judged[world][name], kind)[:, -1])
            for world, reference in found.references.items()
        ]
    )


def _known(reference: Reference, worth: Float[np.ndarray, "*n"]):
    """J, and of a run that diverged that of the policy which knows nothing."""
    return np.where(np.isnan(worth), reference.uniform, worth)


def _rng() -> np.random.Generator:
    """The draws of every bootstrap are the same: they differ by the runs alone."""
    return np.random.default_rng(0)
