"""Bandits, against exact gradients and the figures of S&B chapter 2.

The figures are averages over 2000 runs. Here fewer runs are averaged, over the last
steps of each, and every bound is at least 4 standard errors wide.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs, oracles

NUM_RUNS = 200
LAST = slice(-200, None)


@pytest.fixture(scope="module")
def arms():
    return mdp.ten_armed_testbed(np.random.default_rng(0), NUM_RUNS)


def play(player, arms, config):
    return player(np.random.default_rng(1), arms, config)


def test_the_best_of_ten_arms_has_the_value_one_and_a_half():
    """The expected maximum of ten standard normal numbers is 1.5388."""
    arms = mdp.ten_armed_testbed(np.random.default_rng(0), 20_000)
    standard_error = arms.max(-1).std() / np.sqrt(len(arms))
    assert abs(arms.max(-1).mean() - 1.5388) < 4 * standard_error
    above = mdp.ten_armed_testbed(
        np.random.default_rng(0), 20_000, num_arms=3, mean=4.0
    )
    assert above.shape == (20_000, 3)
    assert abs(above.mean() - 4) < 4 / np.sqrt(above.size)


def test_a_pull_earns_the_value_of_the_arm_on_average():
    arms = np.tile([-3.0, 0.0, 5.0], (6000, 1))
    policy = np.tile([0.2, 0.0, 0.8], (6000, 1))
    actions, rewards = mdp.pull(np.random.default_rng(0), arms, policy)
    assert set(actions) == {0, 2}, "the arm of probability 0 is never pulled"
    assert abs((actions == 2).mean() - 0.8) < 4 * np.sqrt(0.16 / 6000)
    for action, value in ((0, -3.0), (2, 5.0)):
        earned = rewards[actions == action]
        assert abs(earned.mean() - value) < 4 / np.sqrt(len(earned))
        assert abs(earned.std() - 1) < 4 / np.sqrt(2 * len(earned))


def test_exploring_always_earns_the_mean_value_of_the_arms(arms):
    played = play(
        mdp.epsilon_greedy_bandit, arms, mdp.BanditConfig(200, exploration=1.0)
    )
    frequencies = [(played.actions == a).mean() for a in range(10)]
    assert_allclose(frequencies, 0.1, atol=4 * np.sqrt(0.09 / played.actions.size))
    assert abs(played.rewards.mean() - arms.mean()) < 4 * 1.42 / np.sqrt(
        played.rewards.size
    )


def test_estimates_are_the_average_rewards_of_each_arm(arms):
    played = play(mdp.epsilon_greedy_bandit, arms[:3], mdp.BanditConfig(50))
    for run in range(3):
        for arm in range(10):
            earned = played.rewards[run, played.actions[run] == arm]
            average = earned.mean() if len(earned) else 0.0
            assert played.estimates[run, arm] == pytest.approx(average)
        best = arms[run].argmax()
        assert_array_equal(played.optimal[run], played.actions[run] == best)


def test_a_constant_step_size_forgets():
    """One arm: Q after T rewards is the weighted average of S&B eq. 2.6."""
    config = mdp.BanditConfig(5, step_size=0.3, step_size_decay=0.0, initial_value=2.0)
    played = play(mdp.epsilon_greedy_bandit, np.array([[1.0]]), config)
    weights = 0.3 * 0.7 ** np.arange(4, -1, -1)
    expected = 0.7**5 * 2.0 + weights @ played.rewards[0]
    assert played.estimates[0, 0] == pytest.approx(expected)


@pytest.mark.slow
def test_some_exploration_is_better_than_none(arms):
    """S&B figure 2.2: after 1000 steps about 1.0 and 1.4; 36% and 80%."""
    earned, optimal = {}, {}
    for exploration in (0.0, 0.1):
        config = mdp.BanditConfig(exploration=exploration)
        played = play(mdp.epsilon_greedy_bandit, arms, config)
        earned[exploration] = played.rewards[:, LAST].mean()
        optimal[exploration] = played.optimal[:, LAST].mean()
    assert_allclose(list(earned.values()), [1.04, 1.37], atol=0.25)
    assert_allclose(list(optimal.values()), [0.36, 0.79], atol=0.14)


@pytest.mark.slow
def test_optimism_explores_at_first_and_wins_later(arms):
    """S&B figure 2.3: the greedy optimist ends near 85%, epsilon-greedy below 80%."""
    optimist = mdp.BanditConfig(
        exploration=0.0, initial_value=5.0, step_size=0.1, step_size_decay=0.0
    )
    realist = mdp.BanditConfig(exploration=0.1, step_size=0.1, step_size_decay=0.0)
    optimistic, realistic = (
        play(mdp.epsilon_greedy_bandit, arms, config) for config in (optimist, realist)
    )
    early = slice(0, 40)
    assert (
        optimistic.optimal[:, early].mean() < realistic.optimal[:, early].mean() - 0.02
    )
    assert optimistic.optimal[:, LAST].mean() == pytest.approx(0.85, abs=0.07)
    assert realistic.optimal[:, LAST].mean() == pytest.approx(0.76, abs=0.07)
    first_ten = np.sort(optimistic.actions[:, :10], axis=-1)
    # Unless a first reward is above 5, every arm falls behind the others at first.
    assert (first_ten == np.arange(10)).all(-1).mean() > 0.95


def test_ucb_tries_every_arm_once_and_has_its_spike_at_step_eleven(arms):
    """S&B figure 2.4 and exercise 2.8: then it takes the best of ten first rewards."""
    played = play(mdp.ucb_bandit, arms, mdp.BanditConfig())
    first_ten = np.sort(played.actions[:, :10], axis=-1)
    assert (first_ten == np.arange(10)).all(), "an arm never pulled comes first"
    by_step = played.rewards.mean(0)
    assert by_step[10] == pytest.approx(1.5388 / np.sqrt(2), abs=0.3), (
        "E[q*(a) of the best of ten first rewards]: half their variance is noise"
    )
    assert by_step[10] > by_step[11:15].mean() + 0.2
    assert by_step[LAST].mean() == pytest.approx(1.48, abs=0.1)


@pytest.mark.parametrize("t", [1, 2, 10, 300])
@pytest.mark.parametrize("confidence", [0.0, 0.7, 2.0])
def test_the_ucb_bonus_grows_with_time_and_shrinks_with_pulls(rng, t, confidence):
    """Q(a) + c sqrt( ln t / N(a) ), infinite for an arm that was never pulled."""
    counts = rng.multinomial(t - 1, [0.4, 0.3, 0.2, 0.1, 0.0], size=4)
    estimates = rng.normal(-1.0, 2.0, counts.shape)
    scores = mdp.ucb_scores(estimates, counts, t, confidence)
    for run, arm in np.ndindex(counts.shape):
        expected = np.inf
        if counts[run, arm]:
            bonus = confidence * np.sqrt(np.log(t) / counts[run, arm])
            expected = estimates[run, arm] + bonus
        where = f"with t = {t}, c = {confidence}, N(a) = {counts[run, arm]}"
        found = f"it is {scores[run, arm]:.6g}, and should be {expected:.6g}"
        assert scores[run, arm] == pytest.approx(expected), f"{where}: {found}"


def test_ucb_scores_of_one_run_alone():
    scores = mdp.ucb_scores(np.array([-2.0, 1.0]), np.array([1, 4]), 6, 3.0)
    bonus = 3 * np.sqrt(np.log(6))
    assert_allclose(scores, [-2 + bonus, 1 + bonus / 2])


def test_ucb_pulls_the_arm_with_the_highest_score_at_every_step(arms):
    """Q(a) + c sqrt( ln t / N(a) ) from the history before the t-th pull."""
    config = mdp.BanditConfig(num_steps=400, confidence=0.7)
    played = play(mdp.ucb_bandit, arms[:20], config)
    for actions, rewards in zip(played.actions, played.rewards, strict=True):
        totals, counts = np.zeros((2, 10))
        for t, (action, reward) in enumerate(zip(actions, rewards, strict=True), 1):
            if t > 10:
                scores = totals / counts + 0.7 * np.sqrt(np.log(t) / counts)
                assert scores[action] > scores.max() - 1e-9, f"at the pull {t}"
            totals[action] += reward
            counts[action] += 1


@pytest.mark.slow
def test_the_baseline_makes_the_gradient_bandit_learn():
    """S&B figure 2.5, arms around +4 and alpha 0.4: 70% with and 30% without."""
    arms = mdp.ten_armed_testbed(np.random.default_rng(0), NUM_RUNS, mean=4.0)
    optimal = []
    for baseline in (True, False):
        config = mdp.GradientBanditConfig(step_size=0.4, baseline=baseline)
        played = play(mdp.gradient_bandit, arms, config)
        optimal.append(played.optimal[:, LAST].mean())
    assert_allclose(optimal, [0.71, 0.31], atol=0.13)


@pytest.mark.parametrize("shape", [(1, 2), (4, 4), (3, 5)])
def test_a_gradient_step_moves_each_arm_by_the_formula(rng, shape):
    case = inputs.pulls(rng, *shape)
    preferences, actions, rewards, baseline, step_size = case.values()
    after = mdp.gradient_bandit_step(*case.values())
    assert after.shape == shape
    for run in range(shape[0]):
        policy = oracles.softmax(preferences[run])
        for arm in range(shape[1]):
            direction = (arm == actions[run]) - policy[arm]
            change = step_size * (rewards[run] - baseline[run]) * direction
            assert after[run, arm] == pytest.approx(preferences[run, arm] + change)
    first = [np.array(value[0]) for value in list(case.values())[:4]]
    assert_allclose(mdp.gradient_bandit_step(*first, step_size), after[0])


@pytest.mark.parametrize("baseline", [0.0, -3.0, 2.5])
def test_a_gradient_step_is_on_average_the_gradient_of_the_expected_reward(
    rng, baseline
):
    """d/dH(a) sum_b pi(b) q*(b) by finite differences, for any baseline."""
    preferences, values = rng.normal(size=4), rng.normal(size=4)
    # Every action once, side by side, each with its expected reward.
    after = mdp.gradient_bandit_step(
        np.tile(preferences, (4, 1)), np.arange(4), values, np.full(4, baseline), 0.3
    )
    expected_change = oracles.softmax(preferences) @ (after - preferences)
    gradient = [
        (oracles.softmax(preferences + h) - oracles.softmax(preferences - h)) @ values
        for h in 1e-5 * np.eye(4)
    ]
    assert_allclose(expected_change, 0.3 * np.array(gradient) / 2e-5, atol=1e-7)


def test_the_baseline_is_the_average_of_the_earlier_rewards(arms):
    """S&B's footnote: R_t itself is left out, and from R_1 nothing is learned."""
    config = mdp.GradientBanditConfig(num_steps=6, step_size=0.5)
    played = play(mdp.gradient_bandit, arms[:4], config)
    preferences = np.zeros((4, 10))
    for t in range(6):
        before = played.rewards[:, : max(t, 1)].mean(-1)
        preferences = mdp.gradient_bandit_step(
            preferences, played.actions[:, t], played.rewards[:, t], before, 0.5
        )
    assert_allclose(played.estimates, preferences, rtol=1e-12)


def test_softmax_sees_only_differences_and_does_not_overflow():
    assert_allclose(mdp.softmax(np.array([1000.0, 1000.0 + np.log(3)])), [0.25, 0.75])
