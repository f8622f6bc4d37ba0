"""Returns, against sums that are written out term by term."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp.exercises import inputs, oracles


@pytest.mark.parametrize("length", [1, 2, 7, 30])
def test_each_reward_counts_as_often_as_all_discounts_before_it_say(rng, length):
    rewards, discounts = inputs.recording(rng, length)
    returns = mdp.discounted_returns(rewards, discounts)
    expected = [
        oracles.sum_of_what_follows(rewards, discounts, t) for t in range(length)
    ]
    assert_allclose(returns, expected, rtol=1e-10, atol=1e-10)
    assert returns.shape == (length,)
    assert returns.dtype == float


def test_the_last_discount_has_nothing_to_multiply(rng):
    """Whether the recording ended or was cut off, 0 is what follows it here."""
    rewards, discounts = inputs.recording(rng, 5)
    ended, cut_off = discounts.copy(), discounts.copy()
    ended[-1], cut_off[-1] = 0.0, 0.9
    assert_allclose(
        mdp.discounted_returns(rewards, ended),
        mdp.discounted_returns(rewards, cut_off),
    )


def test_nothing_to_add_up_is_no_return_at_all():
    assert mdp.discounted_returns(np.zeros(0), np.zeros(0)).shape == (0,)


def test_the_recording_is_left_as_it_was(rng):
    rewards, discounts = inputs.recording(rng, 6)
    given = rewards.copy(), discounts.copy()
    mdp.discounted_returns(rewards, discounts)
    assert_array_equal(rewards, given[0])
    assert_array_equal(discounts, given[1])
