"""Prediction, against episodes worked by hand and exact values."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs, oracles

UPDATES = {
    "monte_carlo": mdp.monte_carlo_update,
    "td_zero": mdp.td_zero_update,
    "n_step_td": lambda *data: mdp.n_step_td_update(*data, num_steps=2),
    "td_lambda": lambda *data: mdp.td_lambda_update(*data, trace_decay=0.7),
}
updates = pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)


def episode(states, rewards, discount=1.0, ends=True):
    """Return an episode through these states; in the last one it ends or is cut off."""
    discounts = np.full(len(rewards), float(discount))
    if ends:
        discounts[-1] = 0.0
    states = np.array(states)
    actions = np.zeros(len(rewards), int)
    return mdp.Episode(
        states[:-1], actions, np.array(rewards, float), discounts, states[1:]
    )


def constant(step_size, recorded):
    return np.full(len(recorded.states), step_size)


@pytest.fixture
def wandering():
    """Return seven steps, gamma 0.8, repeated states, rewards of both signs."""
    states, rewards = [0, 1, 0, 2, 2, 1, 3, 4], [1.0, -2.0, 0.5, 3.0, -1.0, 4.0, -5.0]
    return episode(states, rewards, discount=0.8)


# The eight episodes of S&B example 6.4, where A, B, OVER = 0, 1, 2.
A_B = [episode([0, 1, 2], [0, 0]), episode([1, 2], [0]), *[episode([1, 2], [1])] * 6]


def test_batch_monte_carlo_fits_the_returns_and_batch_td_fits_the_process():
    """A was seen once, with return 0, and led to B, of value 3/4.  S&B example 6.4."""
    by_returns = mdp.learn_from_batch(
        np.zeros(3), A_B, mdp.monte_carlo_update, step_size=0.05, num_sweeps=100
    )
    assert_allclose(by_returns, [0, 3 / 4, 0], atol=1e-12)
    by_td = mdp.learn_from_batch(np.zeros(3), A_B, mdp.td_zero_update, 0.05, 500)
    assert_allclose(by_td, [3 / 4, 3 / 4, 0], atol=1e-9)


@pytest.mark.parametrize("first_visit", [True, False])
@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_monte_carlo_moves_each_state_towards_its_returns(
    rng, length, ends, first_visit
):
    recorded = inputs.episode(rng, length, ends)
    values, step_sizes = rng.normal(0, 5, 5), rng.uniform(0.1, 0.9, length)
    updated = mdp.monte_carlo_update(values, recorded, step_sizes, first_visit)
    expected = oracles.learned_by_monte_carlo(values, recorded, step_sizes, first_visit)
    assert_allclose(updated, expected, rtol=1e-10, atol=1e-10)


def test_monte_carlo_counts_every_visit_unless_first_visits_are_asked_for(rng):
    data = (np.zeros(5), inputs.episode(rng, 9), np.full(9, 0.5))
    every = oracles.learned_by_monte_carlo(*data, first_visit=False)
    assert_allclose(mdp.monte_carlo_update(*data), every)
    assert_array_equal(mdp.first_visits(np.array([2, 0, 2, 1, 0])), [1, 1, 0, 1, 0])


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_td_moves_each_state_towards_its_target_step_by_step(rng, length, ends):
    """Each step uses the values that the steps before it have changed."""
    recorded = inputs.episode(rng, length, ends)
    data = (rng.normal(0, 5, 5), recorded, rng.uniform(0.1, 0.9, length))
    expected = oracles.learned_by_td(*data)
    assert_allclose(mdp.td_zero_update(*data), expected, rtol=1e-10, atol=1e-10)


def test_traces_of_an_episode_worked_by_hand():
    """Two steps, gamma 1/2, alpha 1/2, lambda 1/2; v = 2, 4 and, at the end, 100."""
    values, step_sizes = np.array([2.0, 4.0, 100.0]), np.array([0.5, 0.5])
    recorded = inputs.small_episode()
    updated = mdp.td_lambda_update(values, recorded, step_sizes, trace_decay=0.5)
    # The second error is 10 - 4; of it 1/2 * 1/2 * 1/2 comes back to state 0.
    assert updated[0] == 2 + 0.5 * 6 + 0.125 * 6, "trace = alpha gamma lambda"
    assert updated[1] == 4 + 0.5 * 6


@updates
def test_no_update_looks_past_an_ending(update, wandering, values):
    given, changed = values.copy(), np.where(np.arange(5) == 4, -1e6, values)
    step_sizes = constant(0.1, wandering)
    before, after = (update(v, wandering, step_sizes) for v in (values, changed))
    assert_array_equal(
        before[:4], after[:4], err_msg="v(terminal) was looked at: its discount is 0"
    )
    assert_array_equal(values, given, err_msg="an argument was changed")


@updates
def test_every_update_bootstraps_at_a_time_limit(update, values):
    """After one step all four targets are R + gamma v(S')."""
    recorded = episode([0, 3], [-2.0], discount=0.5, ends=False)
    target = -2 + 0.5 * values[3]
    updated = update(values, recorded, np.array([0.5]))
    assert updated[0] == pytest.approx(values[0] + 0.5 * (target - values[0])), (
        "a cut-off is not an ending: what was cut off is estimated by v(S')"
    )


@pytest.mark.parametrize("ends", [True, False])
def test_one_step_or_lambda_zero_is_td_zero_and_all_steps_are_monte_carlo(
    wandering, values, ends
):
    wandering.discounts[-1] = 0.0 if ends else 0.8
    step_sizes = np.linspace(0.1, 0.7, 7)
    data = (values, wandering, step_sizes)
    one = mdp.n_step_td_update(*data, num_steps=1)
    assert_allclose(one, mdp.td_zero_update(*data), rtol=1e-12)
    traces = mdp.td_lambda_update(*data, trace_decay=0.0)
    assert_allclose(traces, mdp.td_zero_update(*data), rtol=1e-12)
    # The cut-off is in a state that was not visited, so its value does not move.
    many = mdp.n_step_td_update(*data, num_steps=7)
    assert_allclose(many, mdp.monte_carlo_update(*data), rtol=1e-12)


def test_two_steps_are_two_rewards_and_then_the_estimate(values):
    recorded = episode([0, 1, 2, 3, 4], [1.0, -2.0, 3.0, -4.0], discount=0.5)
    updated = mdp.n_step_td_update(values, recorded, constant(1.0, recorded), 2)
    assert_allclose(
        updated[:4],
        # As S_t is learned about before S_{t+2} is, v(S_{t+2}) is still the old one.
        [1 - 1 + 0.25 * values[2], -2 + 1.5 + 0.25 * values[3], 3 - 2, -4],
        err_msg="G_{t:t+2} = R_{t+1} + gamma R_{t+2} + gamma^2 v(S_{t+2})",
    )


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("trace_decay", [0.0, 0.4, 1.0])
def test_traces_give_the_changes_of_the_lambda_returns(
    wandering, values, trace_decay, ends
):
    """For steps so small that the values stay where they are: S&B section 12.2.

    With lambda = 1 the lambda-returns are the returns, so that TD(1) is every-visit
    Monte Carlo with a constant step size.
    """
    wandering.discounts[-1] = 0.0 if ends else 0.8
    forwards = np.zeros(5)
    targets = mdp.lambda_returns(values, wandering, trace_decay)
    np.add.at(forwards, wandering.states, targets - values[wandering.states])
    tiny = 1e-8
    updated = mdp.td_lambda_update(
        values, wandering, constant(tiny, wandering), trace_decay
    )
    backwards = (updated - values) / tiny
    assert_allclose(backwards[:4], forwards[:4], rtol=1e-5, atol=1e-5)


def test_lambda_returns_lie_between_td_targets_and_returns(wandering, values):
    td_targets = wandering.rewards + wandering.discounts * values[wandering.next_states]
    assert_allclose(mdp.lambda_returns(values, wandering, 0.0), td_targets)
    returns = mdp.discounted_returns(wandering.rewards, wandering.discounts)
    assert_allclose(mdp.lambda_returns(values, wandering, 1.0), returns)
    # Three steps: (1 - l) G_{0:1} + (1 - l) l G_{0:2} + l^2 G_0.
    short = episode([0, 1, 2, 4], [1.0, -2.0, 3.0], discount=0.5)
    one, two, all_ = 1 + 0.5 * values[1], 1 - 1 + 0.25 * values[2], 1 - 1 + 0.75
    mixed = 0.4 * one + 0.4 * 0.6 * two + 0.36 * all_
    assert mdp.lambda_returns(values, short, 0.6)[0] == pytest.approx(mixed)


def test_step_size_one_with_decay_one_is_the_average():
    """First-visit Monte Carlo is the mean of the first returns: S&B section 5.1."""
    walk = mdp.worlds.five_state_walk()
    policy = mdp.uniform_policy(walk)
    config = mdp.PredictionConfig(num_episodes=25, step_size=1.0, step_size_decay=1.0)
    values = mdp.monte_carlo(np.random.default_rng(2), walk, policy, config).values
    rng, seen = np.random.default_rng(2), {}
    for _ in range(25):
        recorded = mdp.sample_episode(rng, walk, policy)
        states = recorded.states.tolist()
        for state in set(states):
            rewards = recorded.rewards[states.index(state) :]
            seen.setdefault(state, []).append(rewards.sum())
    for state, returns in seen.items():
        assert values[state] == pytest.approx(np.mean(returns))


ALGORITHMS = (mdp.monte_carlo, mdp.td_zero, mdp.n_step_td, mdp.td_lambda)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_learned_values_approach_the_exact_values(algorithm, dense, policy):
    """Over five seeds, discounted, with unavailable actions, from a wrong beginning."""
    config = mdp.PredictionConfig(
        num_episodes=150, step_size=1.0, step_size_decay=0.7, initial_value=5.0
    )
    exact = mdp.evaluate(dense.mdp, policy)[:4]
    learned = [
        algorithm(np.random.default_rng(seed), dense.mdp, policy, config)
        for seed in range(5)
    ]
    errors = np.array([result.values[:4] - exact for result in learned])
    standard_error = errors.std(0) / np.sqrt(5)
    assert (np.abs(errors.mean(0)) < 4 * standard_error).all()
    assert standard_error.max() < 0.4, "so that the bound is narrow"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_time_limit_does_not_change_the_values_of_a_policy(algorithm):
    """One state, reward 1 for ever, gamma 0.9: 10, however short the episodes are."""
    world = mdp.from_arrays([[[1.0]]], [1.0], 0.9)
    config = mdp.PredictionConfig(num_episodes=60, max_steps=2, step_size=1.0)
    rng = np.random.default_rng(0)
    predicted = algorithm(rng, world, np.ones((1, 1)), config)
    assert_array_equal(predicted.lengths, 2, "an episode is cut off after max_steps")
    assert predicted.values[0] == pytest.approx(10.0, abs=1e-3), (
        "1 or 1.9 if a cut-off is taken for an ending"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_repeats_its_update(algorithm, dense, policy):
    """alpha_n = 1 / 2n at the n-th visit; n and lambda are those of the config."""
    config = mdp.PredictionConfig(
        num_episodes=10,
        max_steps=3,
        step_size=0.5,
        step_size_decay=1.0,
        initial_value=0.5,
        first_visit=False,
        num_steps=2,
        trace_decay=0.7,
    )
    result = algorithm(np.random.default_rng(0), dense.mdp, policy, config)
    rng, visits = np.random.default_rng(0), np.zeros(5)
    for k in range(10):
        recorded = mdp.sample_episode(rng, dense.mdp, policy, max_steps=3)
        discounts = 0.8 ** np.arange(len(recorded.rewards))
        assert result.returns[k] == pytest.approx(discounts @ recorded.rewards)
        assert result.lengths[k] == len(recorded.rewards)
        step_sizes = []
        for state in recorded.states:
            visits[state] += 1
            step_sizes.append(0.5 / visits[state])
        update, before = UPDATES[algorithm.__name__], result.snapshots[k]
        after = update(before, recorded, np.array(step_sizes))
        assert_allclose(result.snapshots[k + 1], after)
    assert_array_equal(result.snapshots[0], 0.5)
    assert_array_equal(result.snapshots[-1], result.values)
