"""Learning what to do, against exact values and the numbers of a step by hand."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from mdp import fast_control

ALGORITHMS = (mdp.monte_carlo_control, mdp.sarsa, mdp.expected_sarsa, mdp.q_learning)
COMPILED = ALGORITHMS[1:]

# Of the next state: the values of its actions. The last is not available, and best.
NEXT_VALUES = np.array([-3.0, -1.0, -2.0, 9.0])
AVAILABLE = np.array([True, True, True, False])


def test_sarsa_bootstraps_from_the_action_it_takes_next():
    targets = [mdp.sarsa_target(-1.0, 0.5, NEXT_VALUES, a) for a in range(3)]
    assert_allclose(targets, [-1 - 1.5, -1 - 0.5, -1 - 1.0])
    assert mdp.sarsa_target(-1.0, 0.0, NEXT_VALUES, 0) == -1, "an ending has discount 0"


def test_expected_sarsa_bootstraps_from_the_average_over_its_policy():
    policy = np.array([0.25, 0.5, 0.25, 0.0])
    target = mdp.expected_sarsa_target(-1.0, 0.5, NEXT_VALUES, policy)
    assert target == -1 + 0.5 * (0.25 * -3 + 0.5 * -1 + 0.25 * -2), (
        "neither the best action nor any one, but their average"
    )
    assert mdp.expected_sarsa_target(-1.0, 0.0, NEXT_VALUES, policy) == -1


def test_q_learning_bootstraps_from_the_best_action_that_is_available():
    target = mdp.q_learning_target(-1.0, 0.5, NEXT_VALUES, AVAILABLE)
    assert target == -1 + 0.5 * -1, (
        "the maximum is over the available actions, and does not start at 0"
    )
    assert mdp.q_learning_target(-1.0, 0.0, NEXT_VALUES, AVAILABLE) == -1


def one_way(rewards, discount):
    """A corridor: the one action leads from each state to the next, and then ends."""
    num_states = len(rewards) + 1
    transitions = np.eye(num_states, k=1)[:, None, :]
    transitions[-1, 0, -1] = 1.0
    rewards = np.append(rewards, 0.0)
    return mdp.from_arrays(
        transitions, rewards, discount, terminal=[num_states - 1], start=0
    )


def test_one_episode_of_each_algorithm_worked_by_hand():
    """Rewards 4, 8, gamma 1/2, alpha 1/2, and q = 2 everywhere at first."""
    config = mdp.ControlConfig(
        num_episodes=1, step_size=0.5, initial_value=2.0, num_snapshots=1
    )
    world = one_way([4.0, 8.0], 0.5)
    for algorithm in ALGORITHMS:
        q = algorithm(np.random.default_rng(0), world, config).action_values[:, 0]
        following = 8 if algorithm is mdp.monte_carlo_control else 2
        assert q[0] == 2 + 0.5 * (4 + 0.5 * following - 2), algorithm.__name__
        assert q[1] == 2 + 0.5 * (8 - 2), (
            f"{algorithm.__name__} looked past the end, where q is 2 as well"
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_time_limit_is_not_an_ending(algorithm):
    """One state, reward -1 for ever, gamma 0.9: -10, however short the episodes are."""
    world = mdp.from_arrays([[[1.0]]], [-1.0], 0.9)
    config = mdp.ControlConfig(num_episodes=150, max_steps=2, step_size=0.5)
    q = algorithm(np.random.default_rng(0), world, config).action_values
    assert q[0, 0] == pytest.approx(-10.0, abs=1e-3), (
        "-1 or -1.9 if a cut-off is taken for an ending"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_not_available_is_neither_done_nor_learned_about(algorithm, dense):
    """Everything else is worth less than the 0 that stands there."""
    world = dense.mdp._replace(rewards=dense.mdp.rewards - 10)
    config = mdp.ControlConfig(num_episodes=40, exploration=0.5, initial_value=-50.0)
    learned = algorithm(np.random.default_rng(0), world, config)
    assert_array_equal(learned.action_values[~world.available], 0.0)
    assert_array_equal(learned.policy[~world.available], 0.0)
    assert learned.action_values[1:4][world.available[1:4]].max() < -5


def test_monte_carlo_control_averages_first_visits():
    """From 0 one stays with reward 1 or ends with 5: G_0 alone is the return of 0."""
    world = mdp.from_outcomes([[[(1.0, 0, 1.0, False)]], [[(1.0, 1, 0.0, True)]]], 1.0)
    config = mdp.ControlConfig(
        num_episodes=1, max_steps=3, step_size=1.0, num_snapshots=1
    )
    world = world._replace(start=np.array([1.0, 0.0]))
    learned = mdp.monte_carlo_control(np.random.default_rng(0), world, config)
    assert learned.action_values[0, 0] == 3, "1 + 1 + 1: not 2 or 1, of later visits"


def test_the_history_tells_how_it_went():
    """In the corridor every episode is the same."""
    config = mdp.ControlConfig(num_episodes=7, step_size=1.0, num_snapshots=3)
    for algorithm in ALGORITHMS:
        rng = np.random.default_rng(0)
        learned = algorithm(rng, one_way([4.0, 8.0], 0.5), config)
        assert_array_equal(learned.lengths, [2] * 7)
        assert_array_equal(learned.returns, [4 + 0.5 * 8] * 7, "G_0 is discounted")
        assert_array_equal(learned.snapshot_episodes, [3, 5, 7])
        assert_array_equal(learned.snapshots[-1], learned.action_values)
        assert_allclose(learned.snapshots[0][:, 0], [8, 8, 0])


# Compiling takes longer than learning: these tests share their shapes.
NUM_LEARNERS = 20
FALLING = mdp.ControlConfig(
    num_episodes=4000,
    max_steps=3,
    step_size=1.0,
    step_size_decay=0.7,
    exploration=0.5,
    initial_value=-1.0,
)


def assert_learned_alone(together, algorithm, seed, world, config):
    """The first two learners: values, returns, lengths and snapshots."""
    for i, rng in enumerate(np.random.default_rng(seed).spawn(2)):
        alone = algorithm(rng, world, config)
        for name, one, many in zip(alone._fields, alone, together, strict=True):
            message = f"{name} of {algorithm.__name__}"
            assert_allclose(many[i], one, rtol=1e-9, atol=1e-9, err_msg=message)


@pytest.mark.parametrize("algorithm", COMPILED)
def test_the_compiled_twin_learns_the_same_numbers(algorithm, dense):
    """From the same random draws, with cut-offs and actions that are not available."""
    config = replace(FALLING, num_episodes=30)
    rng, world = np.random.default_rng(1), dense.mdp
    together = mdp.learn_many(rng, world, config, algorithm, NUM_LEARNERS)
    assert_learned_alone(together, algorithm, 1, world, config)


def test_the_twin_lets_exploration_fall_as_well(dense):
    config = replace(FALLING, num_episodes=30, exploration_decay=0.5)
    rng, world = np.random.default_rng(2), dense.mdp
    together = mdp.learn_many(rng, world, config, mdp.q_learning, NUM_LEARNERS)
    assert_learned_alone(together, mdp.q_learning, 2, world, config)


def test_where_one_learner_has_finished_the_next_begins(dense, monkeypatch):
    """More learners than lanes: each still learns what it would have learned alone."""
    config, world = replace(FALLING, num_episodes=300), dense.mdp
    algorithm = mdp.q_learning
    few = mdp.learn_many(
        np.random.default_rng(3), world, config, algorithm, NUM_LEARNERS
    )
    monkeypatch.setattr(fast_control, "MAX_LANES", 10)
    rng = np.random.default_rng(3)
    queued = mdp.learn_many(rng, world, config, algorithm, NUM_LEARNERS)
    for name, one, other in zip(few._fields, few, queued, strict=True):
        assert_array_equal(one, other, err_msg=name)


def test_q_learning_finds_the_edge_and_sarsa_keeps_away_from_it():
    """S&B example 6.6: the one learns the best way, the other earns more on its way."""
    world = mdp.worlds.cliff_walking()
    config = mdp.ControlConfig(num_episodes=300, step_size=0.5, num_snapshots=1)
    up, right, start, edge = 0, 1, 36, slice(24, 35)
    along_the_edge, returns = {}, {}
    for algorithm in (mdp.sarsa, mdp.q_learning):
        rng = np.random.default_rng(0)
        learned = mdp.learn_many(rng, world, config, algorithm, NUM_LEARNERS)
        greedy = [mdp.greedy_actions(world, q) for q in learned.action_values]
        along_the_edge[algorithm] = np.mean(
            [
                actions[start] == up and (actions[edge] == right).all()
                for actions in greedy
            ]
        )
        returns[algorithm] = learned.returns[:, 150:].mean()
    assert along_the_edge[mdp.q_learning] > 0.9, "Q-learning learns the best way"
    assert along_the_edge[mdp.sarsa] < 0.1, "Sarsa learns that exploring there is dear"
    # In the figure about -25 and -50.
    assert returns[mdp.sarsa] > returns[mdp.q_learning] + 10


def exact_values_of_exploring(world, exploration):
    """Q of the best epsilon-greedy policy: what Sarsa is to learn."""
    q = np.zeros(world.available.shape)
    for _ in range(200):
        policy = mdp.epsilon_greedy(q, world.available, exploration)
        q = mdp.action_values(world, mdp.state_values(policy, q))
    return q


def test_each_algorithm_comes_to_its_own_exact_answer(dense):
    """Q-learning to q*, both Sarsas to the best that can be had while exploring.

    Averages over the learners, against exact values, within what was chosen as a tenth
    of the distance between the two answers.
    """
    world = dense.mdp
    alive = dense.available & (np.arange(5) != 4)[:, None]
    best = mdp.value_iteration(world).action_values[alive]
    exploring = exact_values_of_exploring(world, FALLING.exploration)[alive]
    bound = np.abs(best - exploring).max() / 10
    exact = {mdp.sarsa: exploring, mdp.expected_sarsa: exploring, mdp.q_learning: best}
    for algorithm, answer in exact.items():
        rng = np.random.default_rng(0)
        learned = mdp.learn_many(rng, world, FALLING, algorithm, NUM_LEARNERS)
        q = learned.action_values.mean(0)[alive]
        assert np.abs(q - answer).max() < bound, algorithm.__name__


def test_any_function_of_the_same_signature_can_be_run_many_times():
    config = mdp.ControlConfig(num_episodes=5)
    world, rng = one_way([4.0, 8.0], 0.5), np.random.default_rng(0)
    together = mdp.learn_many(rng, world, config, mdp.monte_carlo_control, 2)
    alone = mdp.monte_carlo_control(np.random.default_rng(0), world, config)
    for one, many in zip(alone, together, strict=True):
        assert_array_equal(many, np.stack([one, one]))


def test_epsilon_and_snapshots_follow_the_config():
    config = mdp.ControlConfig(
        num_episodes=4, exploration=0.6, exploration_decay=1.0, num_snapshots=4
    )
    assert_allclose(config.explorations, [0.6, 0.3, 0.2, 0.15])
    assert_array_equal(config.snapshot_episodes, [1, 2, 3, 4])


def test_learning_alone_does_not_import_jax():
    program = (
        "import sys, mdp, numpy; "
        "mdp.q_learning(numpy.random.default_rng(0), mdp.worlds.cliff_walking(), "
        "mdp.ControlConfig(num_episodes=1)); sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("config", [mdp.ControlConfig, mdp.PredictionConfig])
def test_what_no_learner_can_do_is_refused(config):
    with pytest.raises(ValueError, match="num_episodes must be at least 1, got 0"):
        config(num_episodes=0)
    with pytest.raises(ValueError, match=r"step_size must be in \[0, 1\], got 1.5"):
        config(step_size=1.5)
    with pytest.raises(ValueError, match="step_size_decay must be at least 0, got -1"):
        config(step_size_decay=-1.0)


def test_there_is_at_least_one_learner():
    rng, world = np.random.default_rng(0), one_way([1.0], 0.5)
    with pytest.raises(ValueError, match="num_learners must be at least 1, got 0"):
        mdp.learn_many(rng, world, mdp.ControlConfig(), mdp.sarsa, 0)
