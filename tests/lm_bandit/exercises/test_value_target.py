"""The critic's targets, against returns that are known."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.rewards import advantages_and_targets
from tests.lm_bandit.inputs import array, mask

compiled = jax.jit(advantages_and_targets, static_argnames="whiten")


def test_the_target_is_the_return_whatever_becomes_of_the_advantage(rng):
    returns, values = rng.normal(1.0, 3.0, (2, 3, 4))
    real = mask(rng, 3, 4)
    for whiten in (False, True):
        got = compiled(array(returns - values), array(values), array(real), whiten)
        assert_allclose(got[1], returns, rtol=1e-4, atol=1e-5)


def test_advantages_are_whitened_over_what_is_real_where_that_is_asked_for(rng):
    advantages, values = rng.normal(1.0, 3.0, (2, 3, 4))
    real = np.asarray(mask(rng, 3, 4))
    all_three = array(advantages), array(values), array(real)
    assert_allclose(compiled(*all_three, False)[0], advantages, rtol=1e-5)
    counted = advantages[real > 0]
    whitened = (advantages - counted.mean()) / counted.std()
    expected = np.where(real > 0, whitened, 0.0)
    assert_allclose(compiled(*all_three, True)[0], expected, rtol=1e-4, atol=1e-5)
