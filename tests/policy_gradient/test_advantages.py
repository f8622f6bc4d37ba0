"""Returns, TD errors and GAE, against sums written out term by term."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient.advantages import (
    discounts_to_date,
    generalized_advantages,
    n_step_advantages,
    reward_to_go,
)

EPISODES = [range(0, 4), range(4, 8), range(8, 11)]


def per_row(episodes, term):
    """term(t, rows from t to the end of t's episode), for every row t."""
    rows = {t: range(t, e[-1] + 1) for e in episodes for t in e}
    return np.array([term(t, rest) for t, rest in sorted(rows.items())])


def agreeing_with_itself(trajectory):
    """Where the episode goes on, next_values[t] is values[t + 1]."""
    onward, beyond = trajectory.values[1:], trajectory.next_values
    same = jnp.where(trajectory.continues[:-1] > 0, onward, beyond[:-1])
    return trajectory._replace(next_values=beyond.at[:-1].set(same))


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
    consistent = agreeing_with_itself(three_episodes)
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


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_n_steps_are_taken_and_the_rest_is_the_value_of_where_they_led(
    three_episodes, n
):
    """S&B eq. 7.1; fewer steps where the episode or the record stops before."""
    consistent = agreeing_with_itself(three_episodes)
    x = jax.tree.map(np.asarray, consistent)

    def term(t, rest):
        rest = rest[:n]
        last = rest[-1]
        earned = sum(0.9 ** (k - t) * x.rewards[k] for k in rest)
        beyond = 0.9 ** (last - t) * x.discounts[last] * x.next_values[last]
        return earned + beyond - x.values[t]

    got = n_step_advantages(consistent, n)
    assert_allclose(got, per_row(EPISODES, term), rtol=1e-5, atol=1e-5)
