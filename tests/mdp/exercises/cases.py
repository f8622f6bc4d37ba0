"""The inputs on which answers are compared, smallest first.

The first of each exercise can be checked by hand; the last leave nothing out. Where a
case is a pair, the second is how far answers may differ that are both right.
"""

import numpy as np

from tests.mdp.exercises import inputs


def discounted_returns(seed):
    rng = np.random.default_rng(seed)
    yield {"rewards": np.array([3.0]), "discounts": np.array([0.5])}
    yield {"rewards": np.array([1.0, -4.0]), "discounts": np.array([0.5, 0.0])}
    yield {
        "rewards": np.array([1.0, -2.0, 8.0]),
        "discounts": np.array([0.5, 0.0, 0.5]),
    }
    for length in (4, 9):
        rewards, discounts = inputs.recording(rng, length)
        yield {"rewards": rewards, "discounts": discounts}
