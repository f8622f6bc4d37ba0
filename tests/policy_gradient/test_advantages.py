"""TD errors, GAE, returns and their weights, against sums written out term by term."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from policy_gradient import advantages
from policy_gradient.advantages import (
    discounts_to_date,
    generalized_advantages,
    n_step_advantages,
)
from tests.policy_gradient import inputs, oracles
from tests.policy_gradient.inputs import array

EPISODES = [range(0, 4), range(4, 8), range(8, 11)]


def per_row(episodes, term):
    """term(t, rows from t to the end of t's episode), for every row t."""
    rows = {t: range(t, e[-1] + 1) for e in episodes for t in e}
    return np.array([term(t, rest) for t, rest in sorted(rows.items())])


def of_two(mapped, rng, *arguments):
    """Yield two trajectories with their results: callers map it, and compile it."""
    both = [inputs.random_trajectory(rng) for _ in range(2)]
    together = mapped(jax.tree.map(lambda *x: jnp.stack(x), *both), *arguments)
    yield from zip(both, together, strict=True)


def with_worth_after_the_ending(trajectory):
    ended = trajectory.discounts == 0
    beyond = jnp.where(ended, 1e6, trajectory.next_values)
    return trajectory._replace(next_values=beyond)


def n_rewards_and_the_rest(trajectory, n):
    """S&B eq. 7.1; fewer steps where the episode or the record stops before."""
    x = jax.tree.map(np.asarray, trajectory)

    def term(t, rest):
        rest = rest[:n]
        last = rest[-1]
        earned = sum(0.9 ** (k - t) * x.rewards[k] for k in rest)
        beyond = 0.9 ** (last - t) * x.discounts[last] * x.next_values[last]
        return earned + beyond - x.values[t]

    return per_row(EPISODES, term)


mapped_td_errors = jax.jit(jax.vmap(advantages.td_errors))


def test_td_errors_are_computed_row_by_row(rng):
    for trajectory, errors in of_two(mapped_td_errors, rng):
        expected = oracles.td_errors(trajectory)
        assert_allclose(errors, expected, rtol=1e-5, atol=1e-5)


def test_td_errors_ignore_the_value_after_an_ending(rng):
    trajectory = inputs.random_trajectory(rng)
    other = with_worth_after_the_ending(trajectory)
    expected = oracles.td_errors(trajectory)
    assert_allclose(advantages.td_errors(other), expected, rtol=1e-5, atol=1e-5)


def test_td_errors_of_a_correct_critic_are_0():
    """A reward of 1 for ever is worth 1 / (1 - gamma), also where time is up."""
    worth = 1 / (1 - 0.75)
    trajectory = inputs.trajectory(
        [1.0] * 9, [0.75] * 9, [1, 1, 0] * 3, [worth] * 9, [worth] * 9
    )
    assert_allclose(advantages.td_errors(trajectory), 0.0, atol=1e-6)


mapped_advantages = jax.jit(jax.vmap(advantages.generalized_advantages, (0, None)))


@pytest.mark.parametrize("trace_decay", [0.0, 0.6, 1.0])
def test_gae_is_the_sum_of_decayed_td_errors_within_the_episode(rng, trace_decay):
    for trajectory, got in of_two(mapped_advantages, rng, trace_decay):
        expected = oracles.generalized_advantages(trajectory, trace_decay)
        assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_gae_ignores_the_value_after_an_ending(rng):
    trajectory = inputs.random_trajectory(rng)
    other = with_worth_after_the_ending(trajectory)
    with jax.disable_jit():
        got = advantages.generalized_advantages(other, 0.8)
    expected = oracles.generalized_advantages(trajectory, 0.8)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_gae_with_full_trace_is_return_minus_value(three_episodes):
    """Where the critic is consistent with itself: next_values[t] = values[t + 1]."""
    got = generalized_advantages(three_episodes, 1.0)
    expected = n_rewards_and_the_rest(three_episodes, 11)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


mapped_rewards_to_go = jax.jit(jax.vmap(advantages.reward_to_go))


def test_reward_to_go_is_the_return_that_followed_within_the_episode(rng):
    for trajectory, returns in of_two(mapped_rewards_to_go, rng):
        expected = oracles.rewards_to_go(trajectory)
        assert_allclose(returns, expected, rtol=1e-5, atol=1e-5)


def test_reward_to_go_does_not_depend_on_the_critic(rng):
    trajectory = inputs.random_trajectory(rng)
    other = trajectory._replace(
        values=trajectory.values + 50.0, next_values=trajectory.next_values - 50.0
    )
    with jax.disable_jit():
        returns = advantages.reward_to_go(other)
    expected = oracles.rewards_to_go(trajectory)
    assert_allclose(returns, expected, rtol=1e-5, atol=1e-5)


def test_discounts_to_date_start_again_at_one_with_every_episode(three_episodes):
    expected = [0.9 ** (t - episode[0]) for episode in EPISODES for t in episode]
    assert_allclose(discounts_to_date(three_episodes), expected, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_n_steps_are_taken_and_the_rest_is_the_value_of_where_they_led(
    three_episodes, n
):
    got = n_step_advantages(three_episodes, n)
    expected = n_rewards_and_the_rest(three_episodes, n)
    assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


normalize = jax.jit(advantages.normalize)


def test_normalized_advantages_have_mean_0_and_deviation_1(rng):
    given = rng.normal(-9.0, 4.0, (3, 4))
    got = np.asarray(normalize(array(given)), float)
    assert got.shape == (3, 4)
    assert_allclose(got.mean(), 0.0, atol=1e-5)
    assert_allclose(got.std(), 1.0, rtol=1e-4)
    expected = (given - np.mean(given)) / np.sqrt(np.mean((given - given.mean()) ** 2))
    assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_normalized_advantages_do_not_depend_on_unit_or_origin(rng):
    given = rng.normal(0.0, 1.0, (3, 4))
    once, again = normalize(array(given)), normalize(array(30.0 * given + 5.0))
    assert_allclose(once, again, atol=1e-4)


def test_a_deviation_without_bias_makes_advantages_a_little_smaller():
    """That of torch.std, hence of Stable-Baselines3, TRL and verl, divides by n - 1."""
    given = np.array([-3.0, 0.0, 1.0, 4.0])
    theirs = (given - given.mean()) / given.std(ddof=1)
    assert_allclose(np.sqrt(3 / 4) * normalize(array(given)), theirs, rtol=1e-5)


def test_normalized_equal_advantages_are_0():
    assert_allclose(normalize(array(np.full((3, 4), 2.0))), 0.0)
