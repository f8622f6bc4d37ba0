"""Conversion to and from Gymnasium: both sides are the same world."""

import importlib
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp.worlds import cliff_walking, frozen_lake, gambler, student, taxi

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from mdp.gym import from_gymnasium, to_gymnasium  # noqa: E402


def newest(name, **kwargs):
    version = gymnasium.envs.registration.find_highest_version(None, name)
    return gymnasium.make(f"{name}-v{version}", **kwargs)


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (frozen_lake, "FrozenLake"),
        (cliff_walking, "CliffWalking"),
        pytest.param(taxi, "Taxi", marks=pytest.mark.slow),
    ],
)
def test_gymnasiums_own_worlds_can_be_solved(ours, name):
    """With their time limit, and without being told the terminal states."""
    theirs = from_gymnasium(newest(name), discount=0.9)
    expected = mdp.value_iteration(ours(0.9)).values
    assert_allclose(mdp.value_iteration(theirs).values, expected, atol=1e-8)
    assert_allclose(theirs.start, ours().start)


def test_the_goal_of_the_cliff_is_terminal():
    """Gymnasium's table has a way back from it, which no episode ever takes."""
    for ours, theirs in zip(
        cliff_walking(), from_gymnasium(newest("CliffWalking"), 1.0), strict=True
    ):
        assert_array_equal(ours, theirs)


def test_a_start_state_is_not_terminal_even_if_an_ending_leads_to_it():
    """A contextual bandit: every pull is an episode, and shows the next context."""
    table = [[[(1.0, 1, 5.0, True)]], [[(1.0, 0, 7.0, True)]]]
    bandit = to_gymnasium(mdp.from_outcomes(table, 0.9))
    assert_array_equal(mdp.value_iteration(from_gymnasium(bandit, 0.9)).values, [5, 7])


def test_an_environment_without_its_table_is_refused():
    with pytest.raises(ValueError, match="as P, CartPoleEnv does not"):
        from_gymnasium(gymnasium.make("CartPole-v1"), 0.9)
    with pytest.raises(ValueError, match="fickle_passenger"):
        from_gymnasium(newest("Taxi", fickle_passenger=True), 0.9)


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
@pytest.mark.parametrize("world", [frozen_lake, gambler, student, mdp.worlds.garnet])
def test_our_worlds_pass_gymnasiums_own_checker(world):
    check_env(to_gymnasium(world()))


@pytest.mark.parametrize(
    "world", [frozen_lake, pytest.param(gambler, marks=pytest.mark.slow), student]
)
def test_an_mdp_is_the_same_after_conversion_to_gymnasium_and_back(world):
    made = world(discount=0.9)
    back = from_gymnasium(to_gymnasium(made), 0.9)
    for name in ("available", "start", "transitions", "expected_rewards"):
        assert_allclose(getattr(back, name), getattr(made, name), atol=1e-15)
    assert_allclose(
        mdp.value_iteration(back).values, mdp.value_iteration(made).values, atol=1e-8
    )


@pytest.fixture
def identifier():
    """A name that no other test has, forgotten afterwards."""
    yield "mine/Lake-v0"
    gymnasium.registry.pop("mine/Lake-v0", None)


def test_an_environment_keeps_its_id_its_render_mode_and_gamma(identifier):
    lake = from_gymnasium(newest("FrozenLake").spec.id, discount=0.9)
    made = to_gymnasium(lake, id=identifier, render_mode="ansi")
    assert (made.spec.id, made.render_mode, made.discount) == (identifier, "ansi", 0.9)
    check_env(made)
    found = gymnasium.make(identifier, render_mode="ansi", max_episode_steps=9)
    found.reset(seed=0)
    assert found.render() == "state 0"
    after, reward, ended, _, _ = found.step(1)
    assert (reward, ended) == (0, False)
    assert found.render() == f"state 0, action 1: reward 0, state {after}"
    assert to_gymnasium(lake).render() is None
    for back in (from_gymnasium(identifier), from_gymnasium(found)):
        for ours, theirs in zip(lake, back, strict=True):
            assert_array_equal(ours, theirs)


def test_an_id_is_replaced_by_our_own_worlds_only(identifier):
    to_gymnasium(gambler(), id=identifier)
    to_gymnasium(student(discount=0.5), id=identifier)
    assert from_gymnasium(identifier).discounts.max() == 0.5
    with pytest.raises(ValueError, match="id must be new, got CartPole-v1 of another"):
        to_gymnasium(gambler(), id="CartPole-v1")
    assert gymnasium.make("CartPole-v1").action_space.n == 2


def test_what_is_not_known_must_be_given():
    with pytest.raises(ValueError, match="discount must be given, as TaxiEnv has no"):
        from_gymnasium(newest("Taxi"))
    with pytest.raises(ValueError, match="render_mode must be None or ansi, got 'hum"):
        to_gymnasium(gambler(), render_mode="human")


def test_steps_are_drawn_with_the_probabilities_of_the_table():
    """Onto the ice and right: 1/3 each down, right, and up against the edge."""
    env = to_gymnasium(frozen_lake())
    counts = np.zeros(16)
    for seed in range(450):
        state, _ = env.reset(seed=seed)
        assert state == 0
        state, reward, terminated, truncated, _ = env.step(2)
        assert (reward, terminated, truncated) == (0, False, False)
        counts[state] += 1
    assert counts[[0, 1, 4]].sum() == 450
    # Five standard deviations of a count: 5 sqrt(450 / 3 * 2 / 3).
    assert_allclose(counts[[0, 1, 4]], 150, atol=50)


def test_an_unavailable_action_does_what_the_first_available_one_does():
    env = to_gymnasium(student())
    state, info = env.reset(seed=0)
    assert state == 1
    assert_array_equal(info["action_mask"], [1, 0, 1, 0, 0])
    facebook, sleep = 0, 3
    assert env.step(sleep)[:3] == (0, -1.0, False)
    env.reset()
    assert env.step(facebook)[:3] == (0, -1.0, False)
    with pytest.raises(ValueError, match=r"action must be in 0\.\.4, got 5"):
        env.step(5)


def learn_in_gymnasium(env, num_episodes, discount, decay):
    """Run Q-learning on Gymnasium's interface alone, without the mask of actions."""
    env.action_space.seed(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    visits = np.zeros_like(q)
    env.reset(seed=0)
    for _ in range(num_episodes):
        state, _ = env.reset()
        over = False
        while not over:
            action = env.action_space.sample()
            after, reward, terminated, truncated, _ = env.step(action)
            target = reward + discount * (not terminated) * q[after].max()
            visits[state, action] += 1
            step_size = visits[state, action] ** -decay
            q[state, action] += step_size * (target - q[state, action])
            state, over = after, terminated or truncated
    return q, visits


def test_an_agent_written_for_gymnasium_learns_exactly_without_chance():
    """Each target is a backup: with step size 1, q reaches q* and stays."""
    rng = np.random.default_rng(0)
    transitions = np.eye(6)[rng.integers(6, size=(6, 3))]
    world = mdp.from_arrays(transitions, rng.normal(size=(6, 3)), 0.5, terminal=[5])
    env = gymnasium.wrappers.TimeLimit(to_gymnasium(world), 20)
    q, _ = learn_in_gymnasium(env, 400, discount=0.5, decay=0.0)
    exact = mdp.policy_iteration(world).action_values
    assert_allclose(q, exact, atol=1e-12)


@pytest.mark.slow
def test_an_agent_written_for_gymnasium_learns_to_gamble():
    """With step size 1 / n, q(s, a) is the average of n targets.

    A target varies no more than winning (1) or not (0) does: its variance is at most
    v (1 - v). The bound is 4 standard errors.
    """
    world = gambler(goal=4)
    env = gymnasium.wrappers.TimeLimit(to_gymnasium(world), 100)
    q, visits = learn_in_gymnasium(env, 6000, discount=1.0, decay=1.0)
    learned = mdp.greedy_policy(world, q)
    exact = np.array([0.16, 0.4, 0.64])
    assert_allclose(mdp.evaluate(world, learned)[1:4], exact, rtol=1e-12)
    counts = visits[np.arange(5), q.argmax(-1)][1:4]
    errors = np.abs(q.max(-1)[1:4] - exact)
    assert (errors < 4 * np.sqrt(exact * (1 - exact) / counts)).all()
    assert counts.min() > 900, "so that the bound is narrow"


def test_gymnasium_has_no_place_for_several_discounts():
    world = frozen_lake()
    mixed = world._replace(
        discounts=world.discounts * np.where(world.probs > 0.5, 1, 0.5)
    )
    mixed.discounts[0] = 0.7
    with pytest.raises(ValueError, match=r"gamma or 0 for Gymnasium, got 0\.5, 0\.7"):
        to_gymnasium(mixed)


def test_without_gymnasium_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "mdp.gym")
    with pytest.raises(
        ModuleNotFoundError, match=r'pip install "bellman-to-rlhf\[gym\]'
    ):
        importlib.import_module("mdp.gym")
