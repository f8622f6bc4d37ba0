"""The inputs on which answers are compared, smallest first.

The first of each exercise can be checked by hand; the last leave nothing out.
"""

import numpy as np

from tests.policy_gradient.exercises import inputs
from tests.policy_gradient.exercises.inputs import array


def trajectories(seed):
    rng = np.random.default_rng(seed)
    yield {"trajectory": inputs.trajectory([3.0], [0.5], [1.0], [2.0])}
    # It ends; it is cut off; and then both, in the middle.
    for discounts, continues in (([0.5, 0.0], [1, 0]), ([0.5, 0.5], [0, 1])):
        yield {
            "trajectory": inputs.trajectory([2.0, -4.0], discounts, continues, [1, 6])
        }
    for _ in range(2):
        yield {"trajectory": inputs.random_trajectory(rng)}


def trajectories_and_traces(seed):
    for case, trace_decay in zip(
        trajectories(seed), (0.5, 0.5, 0.5, 0.7, 0.95), strict=True
    ):
        yield case | {"trace_decay": trace_decay}


def samples(seed):
    rng = np.random.default_rng(seed)
    yield {"x": array(1.0, 3.0)}
    yield {"x": array(-1.0, 2.0, 5.0)}
    yield {"x": array(rng.normal(2.0, 3.0, 5))}


def values_and_targets(seed):
    rng = np.random.default_rng(seed)
    yield {"value": array(5.0), "target": array(2.0)}
    for value, target in rng.normal(0.0, 3.0, (3, 2)):
        yield {"value": array(value), "target": array(target)}


def ratios_and_advantages(seed):
    """On both sides of the clip range and within, with advantages of both signs."""
    rng = np.random.default_rng(seed)
    ratios = (1.0, 2.0, 0.5, 1.1, 0.9)
    cases = [(ratio, sign * 2.0, 0.25) for ratio in ratios for sign in (1, -1)]
    sizes = rng.uniform(0.5, 3.0, 10) * np.tile([1, -1], 5)
    scale = rng.uniform(0.9, 1.1, 10)
    cases += [
        (ratio * factor, size, 0.2)
        for ratio, factor, size in zip(np.repeat(ratios, 2), scale, sizes, strict=True)
    ]
    for ratio, advantage, clip in cases:
        old = np.log(0.4) if clip == 0.25 else -rng.uniform(0.7, 2.0)
        yield {
            "log_prob": array(old + np.log(ratio)),
            "old_log_prob": array(old),
            "advantage": array(advantage),
            "clip": clip,
        }


def log_policies(seed):
    rng = np.random.default_rng(seed)
    yield {"log_probs": array(np.log([0.5, 0.5]))}
    yield {"log_probs": array(np.log([0.25, 0.75]))}
    yield {"log_probs": inputs.log_policy(rng)}
    # An action that is never taken, as policies write it.
    yield {"log_probs": array(0.0, -1e9)}
