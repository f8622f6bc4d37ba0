"""The clipped surrogate, against figure 1 of Schulman et al. (2017)."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import objectives
from tests.policy_gradient.exercises.inputs import array

value_and_slope = jax.value_and_grad(objectives.clipped_surrogate)


@pytest.mark.parametrize("advantage", [2.0, -3.0])
@pytest.mark.parametrize("ratio", [0.4, 0.95, 1.0, 1.05, 2.5])
def test_what_has_moved_the_right_way_beyond_the_clip_earns_nothing_more(
    rng, ratio, advantage
):
    old, clip = float(-rng.uniform(0.5, 3.0)), float(rng.uniform(0.1, 0.3))
    value, slope = value_and_slope(
        array(old + np.log(ratio)), array(old), array(advantage), clip
    )
    if advantage > 0:
        reach, is_flat = min(ratio, 1 + clip), ratio > 1 + clip
    else:
        reach, is_flat = max(ratio, 1 - clip), ratio < 1 - clip
    assert_allclose(value, reach * advantage, rtol=1e-4)
    # d rho / d log pi = rho
    assert_allclose(slope, 0.0 if is_flat else ratio * advantage, rtol=1e-4)


def test_at_the_old_policy_it_is_the_policy_gradient(rng):
    """There the ratio is 1, and the slope by log pi is the advantage."""
    for advantage in rng.normal(0.0, 3.0, 3):
        log_prob = array(-rng.uniform(0.5, 3.0))
        _, slope = value_and_slope(log_prob, log_prob, array(advantage), 0.2)
        assert_allclose(slope, advantage, rtol=1e-5)
