"""Random inputs on which every term of an equation makes a difference."""

import numpy as np

import mdp


def recording(rng, length):
    """Return rewards of both signs, and different discounts, some of them 0."""
    discounts = rng.uniform(0.3, 0.95, length)
    discounts[rng.random(length) < 0.25] = 0.0
    return rng.normal(-1.0, 3.0, length), discounts


def small_world():
    """Return a world of three states: 1 has one action, and 2 is terminal."""
    table = [
        [
            [(0.5, 0, 4.0, False), (0.25, 1, -8.0, False), (0.25, 1, 2.0, True)],
            [(0.75, 2, -4.0, True), (0.25, 0, -2.0, False)],
        ],
        [[], [(0.5, 0, -16.0, False), (0.5, 2, 8.0, True)]],
        [],
    ]
    return mdp.from_outcomes(table, 0.5, terminal=[2])


def world(rng, num_states=6, num_actions=3, num_outcomes=4, gamma=None):
    """Return a random world that contains everything that is easily forgotten.

    It has outcomes that share a next state and differ in reward and discount, discounts
    of several sizes, endings on the way into states that go on, an unavailable action
    in two states, padding that holds numbers, mostly negative rewards, and a last state
    that is terminal. Every action may end the episode.
    """
    shape = (num_states, num_actions, num_outcomes)
    probs = 0.9 * rng.dirichlet(np.full(num_outcomes, 0.7), shape[:2])
    probs += 0.1 / num_outcomes
    next_states = rng.integers(num_states, size=shape)
    # Two outcomes lead to the same state, and are not the same.
    next_states[:, :, 1] = next_states[:, :, 0]
    rewards = rng.normal(-2.0, 3.0, shape)
    discounts = rng.choice([0.5, 0.8, 0.9], shape) if gamma is None else gamma
    discounts = np.full(shape, discounts)
    discounts[:, :, -1] = 0.0
    available = np.ones(shape[:2], bool)
    limited = rng.permutation(num_states - 1)[:2] if num_actions > 1 else ()
    for state in limited:
        available[state, rng.integers(num_actions)] = False
    end = num_states - 1
    probs[end] = np.eye(num_outcomes)[0]
    next_states[end], rewards[end], discounts[end] = end, 0.0, 0.0
    discounts[next_states == end] = 0.0
    probs[~available] = 0.0
    start = np.append(rng.dirichlet(np.ones(end)), 0.0)
    model = mdp.MDP(probs, next_states, rewards, discounts, available, start)
    return mdp.validate(model)


def loop(reward, gamma):
    """Return one state with one action, which earns the reward for ever."""
    return mdp.from_arrays([[[1.0]]], [reward], gamma)


def path(num_steps=3):
    """Return a world without choice: one action a state, at different places.

    Its last step ends in state 1, where no episode begins. All rewards are negative.
    """
    table = [[[], []] for _ in range(num_steps)]
    for s, reward in enumerate([-4.0, -8.0, -2.0][:num_steps]):
        last = s == num_steps - 1
        table[s][s % 2] = [(1.0, 1 if last else s + 1, reward, last)]
    return mdp.from_outcomes(table, 0.5, start=0)


def fork(start=(1.0, 0.0)):
    """Return a fork: 0 leads to 1, where one action ends with 10, the other with 20.

    It ends in state 0, so that a target that looks past the end is wrong.
    """
    table = [
        [[(1.0, 1, 0.0, False)]],
        [[(1.0, 0, 10.0, True)], [(1.0, 0, 20.0, True)]],
    ]
    return mdp.from_outcomes(table, 0.5, start=start)


def ladder():
    """Return a world in which the best policy is two improvements away.

    The first action stays, at a cost, and is the worst of every state. The second one
    climbs to the prize. The third one ends; for state 0 that looks good at first.
    """
    table = [
        [[(1.0, s, -1.0, False)], [(1.0, s + 1, 0.0, False)], [(1.0, s, end, True)]]
        for s, end in enumerate((1.0, -3.0))
    ]
    table += [[[(1.0, 2, -1.0, False)], [(1.0, 2, 8.0, True)], [(1.0, 2, -3.0, True)]]]
    return mdp.from_outcomes(table, 0.5)


def values(rng, world):
    """Return values of both signs; that of the terminal state is not 0."""
    numbers = rng.normal(0.0, 10.0, world.num_states)
    numbers[-1] = 100.0
    return numbers


def action_values_with_ties(rng, world):
    """Return action values of which many tie, all below 0 where available.

    Unavailable actions have the best or the worst value.
    """
    q = rng.integers(-4, -1, world.available.shape).astype(float)
    return np.where(world.available, q, rng.choice([-9.0, 5.0], q.shape))


def policy(rng, world):
    """Return a random distribution over the available actions of each state."""
    weights = rng.uniform(0.05, 1.0, world.available.shape) * world.available
    return weights / weights.sum(-1, keepdims=True)


def episode(rng, length, ends=True, num_states=5):
    """Return a random episode through few states, so that they are visited again.

    The discounts differ from step to step; the last is 0 only if the episode ended.
    """
    states = np.append(rng.integers(num_states - 1, size=length), num_states - 1)
    if not ends:
        states[-1] = rng.integers(num_states - 1)
    discounts = rng.uniform(0.5, 0.95, length)
    if ends:
        discounts[-1] = 0.0
    actions = rng.integers(3, size=length)
    rewards = rng.normal(-1.0, 3.0, length)
    return mdp.Episode(states[:-1], actions, rewards, discounts, states[1:])


def small_episode():
    """Return an episode from state 0 to 1 to the end in 2, with gamma 1/2."""
    return mdp.Episode(
        states=np.array([0, 1]),
        actions=np.array([0, 0]),
        rewards=np.array([6.0, 10.0]),
        discounts=np.array([0.5, 0.0]),
        next_states=np.array([1, 2]),
    )


def worlds_to_solve(rng):
    """Return worlds without and with ends, with gamma below 1 and equal to 1."""
    random = [world(rng, 5, gamma=gamma) for gamma in (None, 0.3, 0.97, 1.0)]
    return [loop(-1.0, 0.9), small_world(), *random]


def next_actions(rng, num_actions=4):
    """Return reward, discount, values of the next actions, and which are available.

    The values are negative, but for the one that is not available, which is the best.
    """
    available = rng.permutation(num_actions) > 0
    q = np.where(available, rng.normal(-5.0, 1.0, num_actions), 50.0)
    return float(rng.normal()), float(rng.uniform(0.3, 0.95)), q, available


def pulls(rng, num_runs, num_arms):
    """Return the arguments of a gradient bandit's step, by name."""
    return {
        "preferences": rng.normal(size=(num_runs, num_arms)),
        "actions": rng.integers(num_arms, size=num_runs),
        "rewards": rng.normal(2.0, 3.0, num_runs),
        "baseline": rng.normal(2.0, 1.0, num_runs),
        "step_size": float(rng.uniform(0.1, 0.9)),
    }
