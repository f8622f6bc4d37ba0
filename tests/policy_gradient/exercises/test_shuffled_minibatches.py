"""Shuffles: what is certain of them, whatever the key."""

import jax
import numpy as np
from numpy.testing import assert_array_equal

from policy_gradient import improvement


def shuffle(key, size=24, epochs=2, minibatches=4):
    rows = improvement.shuffled_minibatches(
        jax.random.key(key), size, epochs, minibatches
    )
    return np.asarray(rows)


def test_every_epoch_has_every_sample_once():
    rows = shuffle(0)
    assert rows.shape == (8, 6)
    for epoch in rows.reshape(2, 24):
        assert_array_equal(np.sort(epoch), np.arange(24))


def test_every_epoch_mixes_anew():
    rows = shuffle(1)
    orders = {tuple(range(24)), *map(tuple, rows.reshape(2, 24))}
    assert len(orders) == 3, "two epochs in the same order, or one left as it was"
    assert len({frozenset(row) for row in rows}) == 8, "the same samples together again"


def test_the_key_says_all():
    assert_array_equal(shuffle(2), shuffle(2))
    assert (shuffle(2) != shuffle(3)).any()
