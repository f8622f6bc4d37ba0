"""Inputs on which the answers to exercises about MDPs are compared, smallest first.

The first of each exercise can be checked by hand; the last ones contain everything. In
a pair, the second entry is the largest difference between two right answers.
"""

from functools import partial

import numpy as np

from mdp import ControlConfig, Learned
from tests.exercises.cases import inputs_named
from tests.mdp import inputs


def discounted_returns(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("rewards discounts")
    yield case(np.array([3.0]), np.array([0.5]))
    yield case(np.array([1.0, -4.0]), np.array([0.5, 0.0]))
    yield case(np.array([1.0, -2.0, 8.0]), np.array([0.5, 0.0, 0.5]))
    for length in (4, 9):
        yield case(*inputs.recording(rng, length))


def worlds(seed):
    rng = np.random.default_rng(seed)
    yield {"mdp": inputs.small_world()}
    yield {"mdp": inputs.world(rng, 3, 2, 4)}
    yield {"mdp": inputs.world(rng)}


def worlds_and_values(seed):
    rng = np.random.default_rng(seed)
    yield {"mdp": inputs.small_world(), "values": np.array([8.0, -16.0, 100.0])}
    for case in worlds(seed):
        yield case | {"values": inputs.values(rng, case["mdp"]) - 20.0}


def worlds_and_policies(seed):
    rng = np.random.default_rng(seed)
    policy = np.array([[0.25, 0.75], [0.0, 1.0], [0.5, 0.5]])
    yield {"mdp": inputs.small_world(), "policy": policy}
    for case in worlds(seed):
        yield case | {"policy": inputs.policy(rng, case["mdp"])}


def worlds_policies_and_values(seed):
    rng = np.random.default_rng(seed)
    for case in worlds_and_policies(seed):
        yield case | {"values": inputs.values(rng, case["mdp"]).round(1)}


def worlds_and_action_values(seed):
    rng = np.random.default_rng(seed)
    q = np.array([[-1.0, -1.0], [5.0, -3.0], [0.0, -2.0]])
    yield {"mdp": inputs.small_world(), "action_values": q}
    for num_states in (3, 6, 9):
        world = inputs.world(rng, num_states)
        q = inputs.action_values_with_ties(rng, world)
        yield {"mdp": world, "action_values": q}


def worlds_to_solve(seed):
    """Yield worlds and accuracies, with the largest difference of right answers."""
    rng = np.random.default_rng(seed)
    worlds = [inputs.loop(-1.0, 0.5), inputs.loop(1.0, 0.9), inputs.small_world()]
    worlds += [
        inputs.world(rng, 4, 2, 3),
        inputs.world(rng),
        inputs.world(rng, gamma=1),
    ]
    for world in worlds:
        yield {"mdp": world, "epsilon": 1e-9}, 1e-7
    yield {"mdp": inputs.loop(1.0, 0.9), "epsilon": 1e-2}, 1e-2


def worlds_to_sweep(seed):
    for case, tolerance in worlds_to_solve(seed):
        yield case | {"max_sweeps": 100_000}, tolerance
    yield {"mdp": inputs.loop(-1.0, 0.9), "epsilon": 1e-6, "max_sweeps": 2}, 1e-9


def worlds_to_improve_in(seed):
    for case, tolerance in worlds_to_solve(seed):
        yield case | {"max_iterations": 1000}, tolerance
    # In every state something is gained at first, and later not in all.
    case = {"mdp": inputs.ladder(), "epsilon": 1e-9}
    yield case | {"max_iterations": 1000}, 1e-7


def episodes(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("values episode step_sizes")
    yield case(
        np.array([2.0, 4.0, 100.0]), inputs.small_episode(), np.array([0.5, 0.5])
    )
    for length, ends in ((1, False), (2, True), (3, False), (8, True), (12, False)):
        values = rng.normal(0.0, 5.0, 5).round(1)
        episode = inputs.episode(rng, length, ends)
        yield case(values, episode, rng.uniform(0.1, 0.9, length).round(2))


def episodes_and_visits(seed):
    for case in episodes(seed):
        for first_visit in (True, False):
            yield case | {"first_visit": first_visit}


def next_actions(seed):
    """Yield reward, discount, values of the next actions, and which are available."""
    rng = np.random.default_rng(seed)
    q = np.array([-4.0, -2.0, 8.0])
    yield -1.0, 0.5, q, np.array([True, True, False])
    yield -1.0, 0.0, q, np.array([True, True, False])
    for num_actions, mean in ((2, -5.0), (3, 5.0), (5, -5.0), (5, 5.0)):
        available = np.arange(num_actions) < num_actions - (num_actions > 2)
        q = rng.normal(mean, 2.0, num_actions)
        q[~available] = 50.0
        yield float(rng.normal()), float(rng.uniform(0.3, 0.95)), q, available


def sarsa_targets(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("reward discount next_action_values next_action")
    for reward, discount, q, available in next_actions(seed):
        for action in rng.permutation(np.flatnonzero(available)):
            yield case(reward, discount, q, int(action))


def expected_sarsa_targets(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("reward discount next_action_values next_policy")
    for reward, discount, q, available in next_actions(seed):
        weights = rng.integers(1, 5, len(q)) * available
        # The first action, which is not the best, is the most likely.
        weights[0] += 4
        yield case(reward, discount, q, weights / weights.sum())


def q_learning_targets(seed):
    case = inputs_named("reward discount next_action_values available")
    yield from (case(*arguments) for arguments in next_actions(seed))


def explorations(seed):
    rng = np.random.default_rng(seed)
    available = np.array([True, True, True, False])
    case = inputs_named("action_values available exploration")
    yield case(np.array([-3.0, -1.0, -2.0, 9.0]), available, 0.3)
    yield case(np.array([-1.0, -5.0, -1.0, 9.0]), available, 0.3)
    for exploration in (0.0, 0.2, 1.0):
        world = inputs.world(rng, 4, 4)
        q = inputs.action_values_with_ties(rng, world)
        yield case(q, world.available, exploration)


def bandits_with_counts(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("estimates counts t confidence")
    yield case(np.array([1.0, -2.0, 7.0]), np.array([4, 1, 0]), 6, 3.0)
    yield case(np.array([0.5, 0.0]), np.array([0, 0]), 1, 2.0)
    for t in (9, 40):
        counts = rng.multinomial(t - 1, [0.5, 0.3, 0.2, 0.0], size=3)
        estimates = rng.normal(size=counts.shape)
        yield case(estimates, counts, t, 1.7)


def bandits_with_preferences(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("preferences actions rewards baseline step_size")
    yield case(np.zeros(2), np.array(1), np.array(3.0), np.array(1.0), 0.5)
    for num_runs, num_arms in ((1, 3), (3, 3), (4, 5)):
        preferences = rng.normal(size=(num_runs, num_arms))
        actions = rng.integers(num_arms, size=num_runs)
        rewards = rng.normal(2.0, 3.0, num_runs)
        yield case(preferences, actions, rewards, rng.normal(2.0, 1.0, num_runs), 0.3)


def worlds_to_learn_in(seed):
    """The first worlds have no choice and no chance, so that all numbers are known."""
    config = partial(
        ControlConfig, num_episodes=1, max_steps=6, step_size=0.5, initial_value=2.0
    )
    case = inputs_named("seed mdp config")
    path, loop = inputs.path(), inputs.loop(-1.0, 0.5)
    yield case(seed, inputs.path(2), config(num_snapshots=1))
    yield case(seed, loop, config(num_episodes=2, max_steps=2, num_snapshots=2))
    yield case(seed, path, config(num_episodes=3, step_size_decay=1.0, num_snapshots=3))
    # Unavailable actions have a stored value of 0, which is above all the others.
    worth_less = config(num_episodes=2, initial_value=-3.0, num_snapshots=2)
    yield case(seed, path, worth_less)
    # With an initial value above all others, both ways are tried at once.
    fork = partial(config, num_episodes=200, step_size=1.0, initial_value=30.0)
    for decay in (0.0, 0.5):
        explores = fork(exploration=0.6, exploration_decay=decay, num_snapshots=200)
        yield case(seed, inputs.fork(), explores)


def what_was_learned(function, inputs):
    """Numbers where chance plays no part, and else facts that hold for any chance."""
    seed, world, config = inputs.values()
    learned = function(np.random.default_rng(seed), world, config)
    parts = {"kind of result": type(learned).__name__}
    if not isinstance(learned, Learned):
        return parts
    if world.available.sum(-1).max() == 1:
        names = ("action_values", "returns", "lengths", "snapshots")
        return parts | {name: np.array(getattr(learned, name)) for name in names}
    parts["episodes"], parts["snapshots"] = map(
        len, (learned.returns, learned.snapshots)
    )
    if not parts["episodes"] == parts["snapshots"] == config.num_episodes:
        return parts
    known = 10  # episodes, after which each of the two ways has been taken
    worse = (np.array(learned.returns) == 5.0)[known:]
    chances = config.explorations[known:] / 2
    beyond = worse.sum() - chances.sum()
    usual = 5.0 * np.sqrt((chances * (1.0 - chances)).sum())
    before_the_fork = np.array(learned.snapshots)[known:, 0, 0]
    return parts | {
        "steps of an episode": sorted(set(np.array(learned.lengths).tolist())),
        "exploration": "as often as epsilon says"
        if abs(beyond) < usual
        else "too often"
        if beyond > 0
        else "too seldom",
        "values of state 0 in later episodes": np.unique(before_the_fork),
    }
