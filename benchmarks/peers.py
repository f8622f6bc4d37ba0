"""Peers of the first floor: our worlds as models of each library, and their solvers."""

import warnings

import numpy as np

from mdp import MDP

NUM_EPISODES = 1000  # of Q-learning, for each learner


def sparse(world: MDP):
    """Return QuantEcon's model, with a sparse row for every state and action."""
    from quantecon.markov import DiscreteDP
    from scipy.sparse import csr_matrix

    S, A, B = world.probs.shape
    rows = np.arange(0, S * A * B + 1, B)
    # Copies: sum_duplicates works in place.
    entries = world.probs.flatten(), world.next_states.flatten(), rows
    transitions = csr_matrix(entries, shape=(S * A, S))
    transitions.sum_duplicates()
    states, actions = np.divmod(np.arange(S * A), A)
    rewards, gamma = world.expected_rewards.ravel(), float(world.discounts.max())
    return DiscreteDP(rewards, transitions, gamma, states, actions)


def dense(world: MDP):
    """Return QuantEcon's model, with arrays [S, A, S]."""
    from quantecon.markov import DiscreteDP

    gamma = float(world.discounts.max())
    return DiscreteDP(world.expected_rewards, world.transitions, gamma)


def stacked_by_action(world: MDP):
    """Return pymdptoolbox's model: arrays [A, S, S] and [S, A], and gamma."""
    transitions = np.moveaxis(world.transitions, 1, 0).copy()
    return transitions, world.expected_rewards, float(world.discounts.max())


def lists(world: MDP):
    """Return mdpsolver's model: nested lists without zeros."""
    import mdpsolver

    table = world.transitions
    model = mdpsolver.model()
    model.mdp(
        discount=float(world.discounts.max()),
        rewards=world.expected_rewards.tolist(),
        tranMatProbs=[[row[row > 0].tolist() for row in rows] for rows in table],
        tranMatColumns=[[row.nonzero()[0].tolist() for row in rows] for rows in table],
    )
    return model


def quantecon(method: str, epsilon: float, model) -> np.ndarray:
    """Solve a DiscreteDP by one of its methods, and return the values."""
    return model.solve(method=method, epsilon=epsilon, max_iter=10_000).v


def toolbox(model) -> np.ndarray:
    """Return values by policy iteration, the fastest solver of pymdptoolbox."""
    warnings.simplefilter("ignore")
    from mdptoolbox.mdp import PolicyIteration

    solver = PolicyIteration(*model, max_iter=1000)
    solver.run()
    return np.array(solver.V)


def mdpsolver(epsilon: float, model) -> np.ndarray:
    """Return values by modified policy iteration in C++.

    It runs on one thread, because more threads make it slower here.
    """
    model.solve(algorithm="mpi", tolerance=epsilon, parallel=False)
    return np.array(model.getValueVector())


def gymnasium_lake():
    """Return FrozenLake 4x4 as Gymnasium makes it."""
    import gymnasium

    return gymnasium.make("FrozenLake-v1")


def plain_loop(env) -> int:
    """Run Q-learning as a plain Python loop, and return its number of steps."""
    rng = np.random.default_rng(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    steps = 0
    for episode in range(NUM_EPISODES):
        state, _ = env.reset(seed=episode)
        over = False
        while not over:
            explore = rng.random() < 0.1
            action = int(rng.integers(4)) if explore else int(q[state].argmax())
            after, reward, terminated, truncated, _ = env.step(action)
            target = reward + 0.99 * q[after].max() * (not terminated)
            q[state, action] += 0.1 * (target - q[state, action])
            state, over = after, terminated or truncated
            steps += 1
    return steps
