"""Two groups that disagree, and one model for both, on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit.lab import who_was_asked


@pytest.mark.slow
def test_the_larger_group_is_served_and_the_smaller_one_may_lose():
    result = who_was_asked.vary_groups(seeds=range(10))
    assert (np.diff(result.first, axis=1) < 0).all()
    assert (np.diff(result.second, axis=1) > 0).all()
    fifth, half, most = (
        int(np.argmin(np.abs(result.shares - share))) for share in (0.2, 0.5, 0.9)
    )
    assert (result.first[:, fifth] - result.second[:, fifth] > 2.5).all()
    assert (result.second[:, 0] < -1.0).all(), "worse off than with the reference"
    assert (result.first[:, most] < 0).all()
    for gold in (result.first, result.second):
        assert (gold[:, half] > 1.5).all(), "what they agree about serves both"
    alone, mixed = result.agreement[:, 0], result.agreement[:, fifth]
    assert (mixed > alone - 0.12).all()


def test_each_group_has_its_own_gold_reward(bench):
    """They are opposites of one another in the divisive words alone."""
    second = who_was_asked.second_gold(bench)
    divisive = np.isin(bench.world.rated, bench.world.encode(who_was_asked.DIVISIVE))
    only = bench.used[:, divisive].any(1) & ~bench.used[:, ~divisive].any(1)
    never = ~bench.used[:, divisive].any(1)
    assert only.sum() > 100 < never.sum()
    assert_allclose(second[:, only], -bench.gold[:, only], atol=1e-12)
    assert_array_equal(second[:, never], bench.gold[:, never])
