"""Bandits, against exact gradients and the figures of S&B chapter 2.

The figures are averages over 2000 runs. Here fewer runs are averaged, over the last
steps of each, and every bound is at least 4 standard errors wide.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp

NUM_RUNS = 400
LAST = slice(-200, None)


@pytest.fixture(scope="module")
def arms():
    return mdp.ten_armed_testbed(np.random.default_rng(0), NUM_RUNS)


def play(player, arms, config):
    return player(np.random.default_rng(1), arms, config)


def test_the_best_of_ten_arms_is_worth_one_and_a_half():
    """The expected maximum of ten standard normal numbers is 1.5388."""
    arms = mdp.ten_armed_testbed(np.random.default_rng(0), 20_000)
    standard_error = arms.max(-1).std() / np.sqrt(len(arms))
    assert abs(arms.max(-1).mean() - 1.5388) < 4 * standard_error
    above = mdp.ten_armed_testbed(
        np.random.default_rng(0), 20_000, num_arms=3, mean=4.0
    )
    assert above.shape == (20_000, 3)
    assert abs(above.mean() - 4) < 4 / np.sqrt(above.size)


def test_a_pull_earns_the_worth_of_the_arm_on_average():
    arms = np.tile([-3.0, 0.0, 5.0], (6000, 1))
    policy = np.tile([0.2, 0.0, 0.8], (6000, 1))
    actions, rewards = mdp.pull(np.random.default_rng(0), arms, policy)
    assert set(actions) == {0, 2}, "the arm of probability 0 is never pulled"
    assert abs((actions == 2).mean() - 0.8) < 4 * np.sqrt(0.16 / 6000)
    for action, worth in ((0, -3.0), (2, 5.0)):
        earned = rewards[actions == action]
        assert abs(earned.mean() - worth) < 4 / np.sqrt(len(earned))
        assert abs(earned.std() - 1) < 4 / np.sqrt(2 * len(earned))


def test_exploring_always_earns_what_the_arms_are_worth_on_average(arms):
    played = play(
        mdp.epsilon_greedy_bandit, arms, mdp.BanditConfig(200, exploration=1.0)
    )
    frequencies = [(played.actions == a).mean() for a in range(10)]
    assert_allclose(frequencies, 0.1, atol=4 * np.sqrt(0.09 / played.actions.size))
    assert abs(played.rewards.mean() - arms.mean()) < 4 * 1.42 / np.sqrt(
        played.rewards.size
    )


def test_what_is_estimated_is_the_average_of_what_each_arm_earned(arms):
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


def test_some_exploration_is_better_than_none_and_little(arms):
    """S&B figure 2.2: after 1000 steps about 1.0, 1.3 and 1.4; 36%, 55% and 80%."""
    earned, optimal = {}, {}
    for exploration in (0.0, 0.01, 0.1):
        config = mdp.BanditConfig(exploration=exploration)
        played = play(mdp.epsilon_greedy_bandit, arms, config)
        earned[exploration] = played.rewards[:, LAST].mean()
        optimal[exploration] = played.optimal[:, LAST].mean()
    assert_allclose(list(earned.values()), [1.04, 1.30, 1.37], atol=0.18)
    assert_allclose(list(optimal.values()), [0.36, 0.56, 0.79], atol=0.1)
    assert optimal[0.0] < optimal[0.01] - 0.1 < optimal[0.1] - 0.2


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
    assert (first_ten == np.arange(10)).all(), "every arm disappoints at first"


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


def test_ucb_scores_add_what_is_not_known():
    """Q(a) + c sqrt( ln t / N(a) ), and first of all what was never pulled."""
    estimates, counts = np.array([1.0, -2.0, 7.0]), np.array([4, 1, 0])
    scores = mdp.ucb_scores(estimates, counts, 55, confidence=3.0)
    bonus = 3 * np.sqrt(np.log(55))
    assert_allclose(scores, [1 + bonus / 2, -2 + bonus, np.inf])
    assert_allclose(mdp.ucb_scores(estimates, counts, 1, 3.0), [1, -2, np.inf])


def test_ucb_pulls_the_arm_of_the_highest_score_at_every_step(arms):
    """Q(a) + c sqrt( ln t / N(a) ) from what was recorded before the t-th pull."""
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


def test_the_baseline_makes_the_gradient_bandit_learn():
    """S&B figure 2.5, arms around +4: 85%, 70% with and 50%, 30% without."""
    arms = mdp.ten_armed_testbed(np.random.default_rng(0), NUM_RUNS, mean=4.0)
    optimal = [
        play(
            mdp.gradient_bandit,
            arms,
            mdp.GradientBanditConfig(step_size=step_size, baseline=baseline),
        )
        .optimal[:, LAST]
        .mean()
        for baseline in (True, False)
        for step_size in (0.1, 0.4)
    ]
    assert_allclose(optimal, [0.85, 0.71, 0.49, 0.31], atol=0.095)


@pytest.mark.parametrize("baseline", [0.0, -3.0, 2.5])
def test_a_gradient_step_is_the_gradient_of_the_expected_reward_on_average(baseline):
    """d/dH(a) sum_b pi(b) q*(b) by finite differences, whatever the baseline."""
    preferences, worth = (
        np.array([0.5, -1.0, 0.2, 0.0]),
        np.array([1.0, -2.0, 4.0, 0.5]),
    )
    policy = mdp.softmax(preferences)
    # Every action once, side by side, each with its expected reward.
    after = mdp.gradient_bandit_step(
        np.tile(preferences, (4, 1)), np.arange(4), worth, np.full(4, baseline), 0.3
    )
    expected_change = policy @ (after - preferences)
    small = 1e-6 * np.eye(4)
    gradient = [
        (mdp.softmax(preferences + h) - mdp.softmax(preferences - h)) @ worth / 2e-6
        for h in small
    ]
    assert_allclose(expected_change, 0.3 * np.array(gradient), atol=1e-8)


def test_a_gradient_step_by_hand():
    """Two arms, pi = 1/2 each: the pulled one gains what the other loses."""
    after = mdp.gradient_bandit_step(
        np.zeros(2), np.array(1), np.array(3.0), np.array(1.0), 0.5
    )
    assert_allclose(after, [-0.5, 0.5], err_msg="alpha (R - baseline) ([a = A] - pi)")
    after = mdp.gradient_bandit_step(
        np.zeros(2), np.array(1), np.array(-1.0), np.array(1.0), 0.5
    )
    assert_allclose(after, [0.5, -0.5], err_msg="worse than usual: pulled less often")


def test_the_baseline_is_the_average_of_the_rewards_before(arms):
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
