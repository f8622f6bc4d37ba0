"""The weights, against sums and means that are written out."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.views import token_weights
from tests.lm_bandit import inputs
from tests.lm_bandit.inputs import array

compiled = jax.jit(token_weights, static_argnames="over_tokens")


def test_the_mean_over_rows_of_the_weighted_sums_is_what_the_name_says(rng):
    x, mask = rng.normal(size=(3, 5)), inputs.mask(rng, 3, 5)
    rows = [row[happened > 0] for row, happened in zip(x, mask, strict=True)]
    expected = {
        "sum": np.mean([row.sum() for row in rows]),
        "sequence_mean": np.mean([row.mean() for row in rows]),
        "token_mean": np.concatenate(rows).mean(),
    }
    for name, number in expected.items():
        got = np.asarray(compiled(array(mask), over_tokens=name), float)
        assert_allclose(np.mean(np.sum(got * x, axis=1)), number, rtol=1e-4, atol=1e-6)
        assert np.all(got[mask == 0] == 0.0)
