"""Control, against exact values and steps worked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mdp
from tests.mdp import inputs

ALGORITHMS = (mdp.monte_carlo_control, mdp.sarsa, mdp.expected_sarsa, mdp.q_learning)


def test_sarsa_bootstraps_from_the_action_it_takes_next(rng):
    for _ in range(10):
        reward, discount, q, _ = inputs.next_actions(rng)
        targets = [mdp.sarsa_target(reward, discount, q, a) for a in range(4)]
        assert_allclose(targets, [reward + discount * q[a] for a in range(4)])
        assert mdp.sarsa_target(reward, 0.0, q, 0) == reward, "an ending has discount 0"


def test_expected_sarsa_bootstraps_from_the_mean_over_its_policy(rng):
    for _ in range(10):
        reward, discount, q, available = inputs.next_actions(rng)
        policy = rng.uniform(0.05, 1.0, 4) * available
        policy /= policy.sum()
        mean = sum(policy[a] * q[a] for a in range(4))
        target = mdp.expected_sarsa_target(reward, discount, q, policy)
        assert_allclose(target, reward + discount * mean)
        assert mdp.expected_sarsa_target(reward, 0.0, q, policy) == reward


@pytest.mark.parametrize("shift", [-1e4, -20.0, 0.0, 20.0])
def test_q_learning_bootstraps_from_the_best_available_action(rng, shift):
    """The maximum does not start at 0, and unavailable actions do not count."""
    reward, discount, q, available = inputs.next_actions(rng)
    q = q + shift
    best = max(q[a] for a in range(4) if available[a])
    for other in (-1e5, 0.0, 1e5):
        changed = np.where(available, q, other)
        target = mdp.q_learning_target(reward, discount, changed, available)
        assert_allclose(target, reward + discount * best)
    assert mdp.q_learning_target(reward, 0.0, q, available) == reward


def one_way(rewards, discount):
    """Return a corridor: the only action leads to the next state, and then ends."""
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
def test_before_a_fork_each_algorithm_has_its_own_target(algorithm):
    """Step size 1 and gamma 1/2: q(0) is half of the last target at the fork.

    Once both ways are known, half of 10 or 20, of 10/4 + 3 * 20/4, or of 20.
    """
    config = mdp.ControlConfig(60, step_size=1.0, exploration=0.5, num_snapshots=60)
    learned = algorithm(np.random.default_rng(0), inputs.fork(), config)
    ways = learned.returns[10:]  # half of the reward of the way taken
    assert set(ways) == {5.0, 10.0}
    expected, why = {
        mdp.monte_carlo_control: (ways, "G_0 is the return"),
        mdp.sarsa: (ways, "A' in the target is the action that is taken next"),
        mdp.expected_sarsa: (8.75, "pi(a | S') is epsilon-greedy, 1/4 and 3/4 here"),
        mdp.q_learning: (10.0, "the best action, whichever is taken"),
    }[algorithm]
    believed = learned.snapshots[10:, 0, 0]
    assert_allclose(believed, np.broadcast_to(expected, 50), err_msg=why)


def test_monte_carlo_estimates_a_cut_off_by_the_mean_of_its_policy():
    """Episodes of one step: those that begin in 0 are cut off before the fork."""
    config = mdp.ControlConfig(60, max_steps=1, step_size=1.0, exploration=0.5)
    rng, world = np.random.default_rng(0), inputs.fork(start=(0.5, 0.5))
    q = mdp.monte_carlo_control(rng, world, config).action_values
    assert q[0, 0] == 0.5 * (0.25 * 10 + 0.75 * 20), "sum_a pi(a | S_T) q(S_T, a)"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_step_size_shrinks_with_every_visit_of_a_pair(algorithm):
    """alpha_n = 1 / 2n leaves 1/2 of the way to a reward, then 3/4 of it, then 5/6."""
    config = mdp.ControlConfig(
        12, step_size=0.5, step_size_decay=1.0, exploration=1.0, max_steps=2
    )
    learned = algorithm(np.random.default_rng(0), inputs.fork(), config)
    for action, reward in enumerate([10.0, 20.0]):
        visits = (learned.returns == 0.5 * reward).sum()
        assert visits > 2, "so that the schedule shows"
        left = np.prod(1 - 0.5 / np.arange(1, visits + 1))
        assert learned.action_values[1, action] == pytest.approx(reward * (1 - left)), (
            "n counts how often this action was learned about in this state"
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exploration_falls_from_episode_to_episode(algorithm):
    """epsilon_k = 1 / k^30: the first way is drawn, and then repeated, as it pays."""
    config = mdp.ControlConfig(5, exploration=1.0, exploration_decay=30.0)
    returns = np.array(
        [
            algorithm(np.random.default_rng(i), inputs.fork(), config).returns
            for i in range(8)
        ]
    )
    assert set(returns[:, 0]) == {5.0, 10.0}
    assert_array_equal(returns, np.repeat(returns[:, :1], 5, axis=1))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_time_limit_is_not_an_ending(algorithm):
    """One state, reward -1 for ever, gamma 0.9: -10, however short the episodes are."""
    world = mdp.from_arrays([[[1.0]]], [-1.0], 0.9)
    config = mdp.ControlConfig(num_episodes=60, max_steps=2, step_size=1.0)
    learned = algorithm(np.random.default_rng(0), world, config)
    assert_array_equal(learned.lengths, 2, "an episode is cut off after max_steps")
    assert learned.action_values[0, 0] == pytest.approx(-10.0, abs=1e-3), (
        "-1 or -1.9 if a cut-off is taken for an ending"
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_unavailable_actions_are_never_taken_or_learned(algorithm, dense):
    """Every available action has a value below the 0 that is stored there."""
    world = dense.mdp._replace(rewards=dense.mdp.rewards - 10)
    config = mdp.ControlConfig(num_episodes=40, exploration=0.5, initial_value=-50.0)
    learned = algorithm(np.random.default_rng(0), world, config)
    assert_array_equal(learned.action_values[~world.available], 0.0)
    assert_array_equal(learned.policy[~world.available], 0.0)
    assert learned.action_values[1:4][world.available[1:4]].max() < -5


def test_q_learning_numbers_on_a_path_without_choice():
    """Three episodes 0, 1, 2, the end; gamma and alpha are 1/2, and q = -3 at first.

    The action that is not available has the value 0, above those of all others.
    """
    config = mdp.ControlConfig(
        num_episodes=3, max_steps=6, step_size=0.5, initial_value=-3.0, num_snapshots=3
    )
    learned = mdp.q_learning(np.random.default_rng(0), inputs.path(), config)
    first, second, third = -3.0, -3.0, -3.0
    for q in learned.snapshots:
        first += 0.5 * (-4.0 + 0.5 * second - first)
        second += 0.5 * (-8.0 + 0.5 * third - second)
        third += 0.5 * (-2.0 - third)
        assert_allclose(q, [[first, 0.0], [0.0, second], [third, 0.0]])
    assert_array_equal(learned.lengths, 3, "each episode begins in 0, and ends")
    assert_array_equal(learned.returns, -4 - 0.5 * 8 - 0.25 * 2)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_q_learning_explores_as_often_as_epsilon_says(decay):
    """A random action is the worse one in half of all cases; 5 standard errors."""
    config = mdp.ControlConfig(
        num_episodes=400,
        max_steps=6,
        step_size=1.0,
        exploration=0.6,
        exploration_decay=decay,
        initial_value=30.0,
    )
    learned = mdp.q_learning(np.random.default_rng(0), inputs.fork(), config)
    chances = 0.6 / np.arange(1, 401) ** decay / 2
    worse = (learned.returns == 5.0)[10:].sum()
    error = np.sqrt((chances * (1 - chances))[10:].sum())
    assert abs(worse - chances[10:].sum()) < 5 * error, f"{worse} times"


def test_q_learning_goes_most_of_the_way_to_the_exact_optimum(dense):
    """From the value of the uniform policy; each q(s, a) comes near q*, too."""
    world, rng = dense.mdp, np.random.default_rng(0)
    config = mdp.ControlConfig(
        num_episodes=1000,
        max_steps=20,
        step_size=1.0,
        step_size_decay=0.7,
        exploration=0.5,
        initial_value=-1.0,
    )
    learned = mdp.q_learning(rng, world, config)
    best = mdp.value_iteration(world)
    worst = mdp.evaluate(world, mdp.uniform_policy(world))
    way = world.start @ (best.values - worst)
    gone = world.start @ (mdp.evaluate(world, learned.policy) - worst)
    assert gone / way > 0.95, f"{gone / way:.0%} of the way to v*"
    alive = dense.available & (np.arange(5) != dense.terminal)[:, None]
    errors = np.abs(learned.action_values - best.action_values)[alive]
    assert errors.max() < 0.5 * way, "q is too far from q*"


def test_monte_carlo_control_averages_first_visits():
    """From 0 one stays with reward 1 or ends with 5: G_0 alone is the return of 0."""
    world = mdp.from_outcomes([[[(1.0, 0, 1.0, False)]], [[(1.0, 1, 0.0, True)]]], 1.0)
    config = mdp.ControlConfig(
        num_episodes=1, max_steps=3, step_size=1.0, num_snapshots=1
    )
    world = world._replace(start=np.array([1.0, 0.0]))
    learned = mdp.monte_carlo_control(np.random.default_rng(0), world, config)
    assert learned.action_values[0, 0] == 3, "1 + 1 + 1: not 2 or 1, of later visits"


def test_the_history_holds_returns_lengths_and_snapshots():
    """All episodes are equal, and each halves the distance to the values."""
    config = mdp.ControlConfig(num_episodes=7, step_size=0.5, num_snapshots=3)
    for algorithm in ALGORITHMS:
        rng = np.random.default_rng(0)
        learned = algorithm(rng, one_way([4.0, 8.0], 0.5), config)
        assert_array_equal(learned.lengths, [2] * 7)
        assert_array_equal(learned.returns, [4 + 0.5 * 8] * 7, "G_0 is discounted")
        assert_array_equal(learned.snapshot_episodes, [3, 5, 7])
        after = 8 * (1 - 0.5 ** np.array([3, 5, 7]))
        assert_allclose(learned.snapshots[:, 1, 0], after, err_msg="q after k episodes")
        assert_array_equal(learned.snapshots[-1], learned.action_values)


# Compiling takes longer than learning: tests with learn_many share these shapes.
NUM_LEARNERS = 20
FALLING = mdp.ControlConfig(
    num_episodes=4000,
    max_steps=3,
    step_size=1.0,
    step_size_decay=0.7,
    exploration=0.5,
    initial_value=-1.0,
)


@pytest.mark.slow
def test_q_learning_finds_the_edge_and_sarsa_keeps_away_from_it():
    """S&B example 6.6: Q-learning learns the best way, Sarsa earns more meanwhile."""
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
    assert along_the_edge[mdp.sarsa] < 0.1, "Sarsa learns that exploring is costly"
    # In the figure about -25 and -50.
    assert returns[mdp.sarsa] > returns[mdp.q_learning] + 10


def exact_values_of_exploring(world, exploration):
    """Return q of the best epsilon-greedy policy, the limit of Sarsa."""
    q = np.zeros(world.available.shape)
    for _ in range(200):
        policy = mdp.epsilon_greedy(q, world.available, exploration)
        q = mdp.action_values(world, mdp.state_values(policy, q))
    return q


def test_each_algorithm_converges_to_its_own_exact_answer(dense):
    """Q-learning converges to q*, both Sarsas to the best exploring policy.

    Averages over the learners are within a tenth of the distance between the two.
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
