"""The clipped surrogate, against figure 1 of Schulman et al. (2017)."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises.inputs import array

# Of several ratios at once: callers map it, compile it and differentiate it.
values_and_slopes = jax.jit(
    jax.vmap(jax.value_and_grad(objectives.clipped_surrogate), (0, 0, 0, None))
)
RATIOS = np.array([0.4, 0.95, 1.0, 1.05, 2.5])


def at(ratios, old, advantage, clip):
    ones = np.ones(len(ratios))
    log_probs = array(old + np.log(ratios))
    return values_and_slopes(
        log_probs, array(old * ones), array(advantage * ones), clip
    )


@pytest.mark.parametrize("advantage", [2.0, -3.0])
def test_what_has_moved_the_right_way_beyond_the_clip_earns_nothing_more(
    rng, advantage
):
    clip = float(rng.uniform(0.1, 0.3))
    values, slopes = at(RATIOS, -rng.uniform(0.5, 3.0), advantage, clip)
    if advantage > 0:
        reach, is_flat = np.minimum(RATIOS, 1 + clip), 1 + clip < RATIOS
    else:
        reach, is_flat = np.maximum(RATIOS, 1 - clip), 1 - clip > RATIOS
    assert_allclose(values, reach * advantage, rtol=1e-4)
    # d rho / d log pi = rho
    expected = np.where(is_flat, 0.0, RATIOS * advantage)
    assert_allclose(slopes, expected, rtol=1e-4)


def test_at_the_old_policy_it_is_the_policy_gradient(rng):
    """There the ratio is 1, and the slope by log pi is the advantage."""
    advantage = float(rng.normal(0.0, 3.0))
    _, slopes = at(np.ones(5), -1.0, advantage, 0.2)
    assert_allclose(slopes, advantage, rtol=1e-5)
