"""Sampled steps against the table that they are drawn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from policy_gradient import rollout as module
from policy_gradient.policies import policy_table, tabulate
from policy_gradient.rollout import draw, first_episode, reset, rollout, to_jax
from tests.policy_gradient import inputs

LIMIT = 7


@pytest.fixture
def rows(small):
    """64 environments x 400 steps of a random policy with a random critic."""
    policy, params = inputs.tabular(small, 0)
    params, table = jax.tree.map(jnp.asarray, params), to_jax(small)

    def one(key):
        start = reset(jnp.array(0.1), table)
        tables = tabulate(policy, params, 4)
        return rollout(tables, key, start, table, 400, LIMIT).trajectory

    trajectory = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 64))
    return policy, params, jax.tree.map(np.asarray, trajectory)


def test_outcomes_are_drawn_as_often_as_their_probability_says(small, rows):
    """Actions by chi-squared; the mean reward of every (s, a) within its error."""
    policy, params, x = rows
    states, actions = x.observations.ravel(), x.actions.ravel()
    counts = np.zeros((4, 3))
    np.add.at(counts, (states, actions), 1)
    expected = policy_table(policy, params, 4) * counts.sum(1, keepdims=True)
    sure = expected > 0
    assert_array_equal(counts[~sure], 0)
    actions_chi2 = np.sum((counts - expected)[sure] ** 2 / expected[sure])
    assert actions_chi2 < 22.5  # 99.9% of chi-squared with 6 degrees of freedom

    rewards = np.full((4, 3), np.nan)
    for s, a in np.argwhere(counts > 0):
        rewards[s, a] = x.rewards.ravel()[(states == s) & (actions == a)].mean()
    seen = counts > 0
    spread = np.sqrt((small.probs * small.rewards**2).sum(-1)[seen] / counts[seen])
    errors = (rewards - small.expected_rewards)[seen] / spread
    assert np.abs(errors).max() < 4


def test_an_ending_has_discount_0_and_a_cut_off_keeps_gamma(rows):
    _, _, x = rows
    ended = x.discounts == 0
    cut = (x.continues == 0) & ~ended
    assert ended.any()
    assert cut.any()
    assert_array_equal(x.continues[ended], 0)
    assert_allclose(x.discounts[~ended], 0.9)
    # An episode is cut off only when it is LIMIT steps long.
    for continues, is_cut in zip(x.continues, cut, strict=True):
        starts = np.concatenate([[0], np.flatnonzero(continues == 0)[:-1] + 1])
        lengths = np.flatnonzero(continues == 0) - starts + 1
        assert lengths.max() <= LIMIT
        assert_array_equal(lengths[is_cut[continues == 0]], LIMIT)


def test_what_is_bootstrapped_is_the_state_before_the_reset(rows):
    """Where an episode goes on, next_values[t] is values[t + 1]; else it is not."""
    _, _, x = rows
    onward = x.continues[:, :-1] > 0
    following, bootstrapped = x.values[:, 1:], x.next_values[:, :-1]
    assert_allclose(bootstrapped[onward], following[onward])
    cut = ~onward & (x.discounts[:, :-1] > 0)
    assert np.mean(bootstrapped[cut] != following[cut]) > 0.3


def test_every_episode_starts_at_a_start_state(small, rows):
    _, _, x = rows
    fresh = x.observations[:, 1:][x.continues[:, :-1] == 0]
    frequencies = np.bincount(fresh, minlength=4) / fresh.size
    error = np.sqrt(0.25 / fresh.size)
    assert np.abs(frequencies - small.start).max() < 4 * error


def test_the_mask_of_the_first_episode_ends_with_its_last_row(three_episodes):
    masked = first_episode(three_episodes)
    assert_array_equal(masked.mask, [1] * 4 + [0] * 7)


def test_a_draw_never_takes_what_has_probability_0():
    probs = jnp.array([0.0, 0.25, 0.0, 0.75, 0.0])
    for uniform, expected in [(0.0, 1), (0.2499, 1), (0.2501, 3), (0.9999999, 3)]:
        assert draw(jnp.array(uniform), jnp.cumsum(probs)) == expected


@pytest.mark.parametrize("size", [3, 16, 17, 40])
def test_few_and_many_outcomes_are_drawn_from_the_same_intervals(size):
    """Short tables are compared with, long ones searched; numpy says what is right."""
    rng = np.random.default_rng(size)
    probs = rng.dirichlet(np.ones(size)) * (rng.random(size) < 0.7)
    cumulative = np.cumsum(probs).astype(np.float32)
    uniforms = rng.random(100, np.float32)
    expected = np.searchsorted(cumulative, uniforms * cumulative[-1], side="right")
    drawn = jax.vmap(draw, (0, None))(jnp.asarray(uniforms), jnp.asarray(cumulative))
    assert_array_equal(drawn, expected)


@pytest.mark.parametrize("dtype", [np.dtype("float32"), np.dtype("float64")], ids=str)
@pytest.mark.parametrize("by_count", [True, False])
@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_the_random_numbers_are_those_of_jax(kind, by_count, dtype):
    with jax.enable_x64(dtype == "float64"), jax.threefry_partitionable(by_count):
        key = jax.random.fold_in(jax.random.key(3, impl=kind), 7)
        numbers = module._uniforms(key, (3, 1001), dtype)
        assert numbers.dtype == dtype
        assert_array_equal(numbers, jax.random.uniform(key, (3, 1001), dtype))


def test_a_start_that_is_certain_takes_no_random_number(small):
    """Steps of two worlds that differ only in whether jax knows their one start."""
    policy, params = inputs.tabular(small, 0)
    tables = tabulate(policy, jax.tree.map(jnp.asarray, params), 4)
    table = to_jax(small._replace(start=np.eye(4)[1]))

    def steps(start):
        world = table._replace(start=start)
        begin = reset(jnp.array(0.1), world)
        return rollout(tables, jax.random.key(0), begin, world, 50, LIMIT)

    unknown = jax.jit(steps)(table.start)
    assert (unknown.trajectory.continues == 0).sum() > 3
    jax.tree.map(assert_array_equal, steps(table.start), unknown)
