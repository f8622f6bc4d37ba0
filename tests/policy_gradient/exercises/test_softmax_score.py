"""The score of a softmax, against finite differences of its logarithm."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from policy_gradient.policies import softmax_score
from tests.policy_gradient.exercises import inputs, oracles

# Of every action: callers map it, and compile it.
scores_of = jax.jit(jax.vmap(softmax_score, (None, None, 0)))


def test_it_is_the_slope_of_the_log_probability(rng):
    case = inputs.preferences(rng)
    scores = scores_of(*case.values(), jnp.arange(4))
    h, available = (np.asarray(x, float) for x in case.values())
    for action in np.flatnonzero(available):
        for other in range(4):
            small = 1e-5 * np.eye(4)[other]
            up, down = (oracles.policy(h + d, available) for d in (small, -small))
            slope = (np.log(up[action]) - np.log(down[action])) / 2e-5
            assert_allclose(scores[action, other], slope, atol=1e-4)


def test_its_average_is_0(rng):
    """So whatever does not look at the action may be subtracted from its return."""
    case = inputs.preferences(rng)
    scores = scores_of(*case.values(), jnp.arange(4))
    policy = oracles.policy(**case)
    assert_allclose(policy @ np.asarray(scores), 0.0, atol=1e-5)
