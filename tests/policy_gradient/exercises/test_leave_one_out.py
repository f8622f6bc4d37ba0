"""The mean of the others, against each mean written out."""

import numpy as np
from numpy.testing import assert_allclose

from policy_gradient import advantages
from tests.policy_gradient.exercises import oracles
from tests.policy_gradient.exercises.inputs import array


def test_it_is_the_mean_of_the_others(rng):
    x = rng.normal(2.0, 3.0, 5)
    got = advantages.leave_one_out_mean(array(x))
    assert_allclose(got, oracles.means_of_the_others(x), rtol=1e-5, atol=1e-5)


def test_no_sample_has_a_say_in_its_own_baseline(rng):
    """This is why it is unbiased, and the mean of all is not."""
    x = rng.normal(2.0, 3.0, 5)
    before = advantages.leave_one_out_mean(array(x))
    for i in range(5):
        changed = np.where(np.arange(5) == i, x + 10.0, x)
        after = advantages.leave_one_out_mean(array(changed))
        moved = np.where(np.arange(5) == i, 0.0, 10.0 / 4)
        assert_allclose(after - before, moved, atol=1e-4)
