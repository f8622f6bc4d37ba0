"""Returns, TD errors and GAE, against sums written out term by term."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient.advantages import (
    discounts_to_date,
    generalized_advantages,
    leave_one_out_mean,
    reward_to_go,
)

EPISODES = [range(0, 4), range(4, 8), range(8, 11)]


def per_row(episodes, term):
    """term(t, rows from t to the end of t's episode), for every row t."""
    rows = {t: range(t, e[-1] + 1) for e in episodes for t in e}
    return np.array([term(t, rest) for t, rest in sorted(rows.items())])


@pytest.mark.parametrize("trace_decay", [0.0, 0.7, 1.0])
def test_gae_is_the_sum_of_decayed_td_errors_within_the_episode(
    three_episodes, trace_decay
):
    """Schulman et al. (2016), eq. 16: sum_l (gamma lambda)^l delta_{t+l}."""
    x = jax.tree.map(np.asarray, three_episodes)
    td_errors = x.rewards + x.discounts * x.next_values - x.values

    def term(t, rest):
        return sum((0.9 * trace_decay) ** (n - t) * td_errors[n] for n in rest)

    got = generalized_advantages(three_episodes, trace_decay)
    assert_allclose(got, per_row(EPISODES, term), rtol=1e-5, atol=1e-6)


def test_gae_with_full_trace_is_return_minus_value(three_episodes):
    """Where the critic is consistent with itself: next_values[t] = values[t + 1]."""
    values = three_episodes.values
    consistent = three_episodes._replace(
        next_values=three_episodes.next_values.at[:-1].set(
            jnp.where(
                three_episodes.continues[:-1] > 0,
                values[1:],
                three_episodes.next_values[:-1],
            )
        )
    )
    x = jax.tree.map(np.asarray, consistent)

    def term(t, rest):
        last = rest[-1]
        earned = sum(0.9 ** (n - t) * x.rewards[n] for n in rest)
        beyond = 0.9 ** (last - t) * x.discounts[last] * x.next_values[last]
        return earned + beyond - x.values[t]

    got = generalized_advantages(consistent, 1.0)
    assert_allclose(got, per_row(EPISODES, term), rtol=1e-5, atol=1e-5)


def test_the_reward_to_go_stops_where_the_episode_stops(three_episodes):
    x = jax.tree.map(np.asarray, three_episodes)

    def term(t, rest):
        return sum(0.9 ** (n - t) * x.rewards[n] for n in rest)

    got = reward_to_go(three_episodes)
    assert_allclose(got, per_row(EPISODES, term), rtol=1e-5, atol=1e-6)


def test_discounts_to_date_start_again_at_one_with_every_episode(three_episodes):
    expected = [0.9 ** (t - episode[0]) for episode in EPISODES for t in episode]
    assert_allclose(discounts_to_date(three_episodes), expected, rtol=1e-6)


def test_leaving_one_out_is_unbiased_and_the_batch_mean_is_not():
    """Against a mean that contains the sample, gradients shrink by 1 - 1/n.

    Over all outcomes of n = 3 rolls of a biased coin, E[(r - b) score] is exact.
    """
    p, rewards = 0.3, np.array([2.0, -1.0])
    score = np.array([1 / p, -1 / (1 - p)])  # d log pi / d p of heads and tails
    true_gradient = rewards[0] - rewards[1]  # d/dp of p r_0 + (1 - p) r_1
    with_others = with_all = 0.0
    for rolls in np.ndindex(2, 2, 2):
        probability = np.prod([[p, 1 - p][roll] for roll in rolls])
        r = rewards[list(rolls)]
        others = np.asarray(leave_one_out_mean(jnp.asarray(r)))
        with_others += probability * np.mean((r - others) * score[list(rolls)])
        with_all += probability * np.mean((r - r.mean()) * score[list(rolls)])
    assert with_others == pytest.approx(true_gradient, rel=1e-5)
    assert with_all == pytest.approx((1 - 1 / 3) * true_gradient, rel=1e-5)
