"""Statistics of scores, some of which are missing."""

import numpy as np
import pytest

from lm_bandit.real_text import measure


def test_the_spread_within_prompts_leaves_out_what_the_prompts_differ_in():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(50, 400))
    shifted = noise + 3.0 * rng.normal(size=(50, 1))
    shifted[0, :100] = np.nan  # cut off: no score
    found = measure.score_statistics(shifted)
    assert found["within"] == pytest.approx(1.0, abs=0.02)
    assert found["overall"] == pytest.approx(np.nanstd(shifted))
    assert found["overall"] > 2.0
    assert found["error"] == pytest.approx((1 / 50 / 400) ** 0.5, rel=0.02)
