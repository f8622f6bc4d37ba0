"""Races of the first floor: solving known MDPs, and learning from samples.

Each library gets the model in its own form, built before the clock starts. Q-learning
races many learners, which take their steps together, against one learner in a plain
loop. The time is that of one step of one learner.
"""

from functools import cache, partial

import numpy as np

import mdp
from benchmarks import peers
from benchmarks.race import Contestant, Race
from mdp import MDP

NUM_LEARNERS = 4096


def races() -> tuple[Race, ...]:
    """Return all tasks, with the required speed of each."""
    return (
        Race(
            "FrozenLake 8x8, 1e-8",
            Contestant("ours", lake, partial(ours, "solve_small", 1e-8)),
            (
                _peer(
                    "quantecon pi",
                    peers.dense,
                    lake,
                    partial(peers.quantecon, "pi", 1e-8),
                ),
                _peer(
                    "quantecon mpi",
                    peers.dense,
                    lake,
                    partial(peers.quantecon, "mpi", 1e-8),
                ),
                _peer("pymdptoolbox pi", peers.stacked_by_action, lake, peers.toolbox),
                _peer(
                    "mdpsolver",
                    peers.lists,
                    lake,
                    partial(peers.mdpsolver, 1e-8),
                    spent=True,
                ),
            ),
            bar=3.0,
            error=partial(error, lake),
            tolerance=5e-9,
        ),
        Race(
            "1000 random MDPs, S 20, A 4, 1e-6",
            Contestant("ours", one_stack, partial(ours, "solve_small", 1e-6)),
            (
                _peers(
                    "quantecon pi", peers.dense, partial(peers.quantecon, "pi", 1e-6)
                ),
                _peers(
                    "quantecon mpi", peers.dense, partial(peers.quantecon, "mpi", 1e-6)
                ),
                _peers("pymdptoolbox pi", peers.stacked_by_action, peers.toolbox),
                _peers(
                    "mdpsolver", peers.lists, partial(peers.mdpsolver, 1e-6), spent=True
                ),
            ),
            bar=18.0,
            error=error_of_many,
            tolerance=5e-7,
        ),
        Race(
            "random MDP, S 2000, A 10, B 20, 1e-6",
            Contestant("ours", random_world, partial(ours, "solve_large", 1e-6)),
            (
                _peer(
                    "quantecon sparse mpi",
                    peers.sparse,
                    random_world,
                    partial(peers.quantecon, "mpi", 1e-6),
                ),
                _peer(
                    "mdpsolver",
                    peers.lists,
                    random_world,
                    partial(peers.mdpsolver, 1e-6),
                    spent=True,
                ),
            ),
            bar=1.8,
            error=partial(error, random_world),
            tolerance=5e-7,
        ),
        Race(
            "grid of a million states, 1e-6",
            Contestant("ours", grid, partial(ours, "solve_large", 1e-6)),
            (
                _peer(
                    "quantecon sparse mpi",
                    peers.sparse,
                    grid,
                    partial(peers.quantecon, "mpi", 1e-6),
                ),
            ),
            bar=8.0,
            error=partial(error_bound, grid),
            tolerance=5e-7,
            memory=1.2,
        ),
        Race(
            "grid of four million states, 1e-6",
            Contestant("ours", large_grid, partial(ours, "solve_large", 1e-6)),
            error=partial(error_bound, large_grid),
            tolerance=5e-7,
            memory=2.0,
            seconds=10.0,
        ),
        Race(
            "Q-learning, FrozenLake, a step: many learners against one loop",
            Contestant(
                f"ours, {NUM_LEARNERS} learners",
                partial(mdp.worlds.frozen_lake, 0.99),
                q_learning,
            ),
            (
                Contestant(
                    "one learner, a plain loop on Gymnasium",
                    peers.gymnasium_lake,
                    peers.plain_loop,
                ),
            ),
            bar=200.0,
            amount=float,
        ),
    )


# The worlds.


def lake() -> MDP:
    """Return FrozenLake 8x8."""
    return mdp.worlds.frozen_lake_8x8(0.99)


@cache
def random_worlds() -> list[MDP]:
    """Return a thousand random MDPs with dense transitions."""
    rng = np.random.default_rng(0)
    return [
        mdp.from_arrays(
            rng.dirichlet(np.ones(20), (20, 4)), rng.normal(size=(20, 4)), 0.95
        )
        for _ in range(1000)
    ]


def one_stack() -> MDP:
    """Return all random MDPs as one stack."""
    return mdp.stack(random_worlds())


def random_world() -> MDP:
    """Return a random MDP of 2000 states, 10 actions and 20 outcomes each."""
    return mdp.worlds.garnet(2000, 10, 20, seed=0, discount=0.95)


def grid(size: int = 1000) -> MDP:
    """Return a grid world without an end.

    A move slips to either side with probability 0.1 each. Every cell has its own
    reward, uniform in [0, 1), for each step that begins in it. A move off the grid
    leaves the agent where it is.
    """
    row, column = np.divmod(np.arange(size * size), size)
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    after = [
        (row + down).clip(0, size - 1) * size + (column + right).clip(0, size - 1)
        for down, right in moves
    ]
    slips = [[after[a - 1], after[a], after[(a + 1) % 4]] for a in range(4)]
    next_states = np.moveaxis(np.array(slips), -1, 0).copy()
    shape = next_states.shape
    rewards = np.random.default_rng(0).random((size * size, 1, 1))
    return MDP(
        probs=np.broadcast_to([0.1, 0.8, 0.1], shape).copy(),
        next_states=next_states,
        rewards=np.broadcast_to(rewards, shape).copy(),
        discounts=np.full(shape, 0.99),
        available=np.ones(shape[:2], bool),
        start=np.full(size * size, 1 / size**2),
    )


def large_grid() -> MDP:
    """Return a grid world of four million states."""
    return grid(2000)


# The timed functions.


def ours(solver: str, epsilon: float, model: MDP) -> np.ndarray:
    """Return the values by one of our solvers."""
    return getattr(mdp, solver)(model, epsilon).values


def q_learning(world: MDP) -> int:
    """Run Q-learning, and return the number of steps of all learners."""
    config = mdp.ControlConfig(
        num_episodes=peers.NUM_EPISODES, max_steps=100, num_snapshots=1
    )
    rng = np.random.default_rng(0)
    learned = mdp.learn_many(rng, world, config, mdp.q_learning, NUM_LEARNERS)
    return int(learned.lengths.sum())


# Errors.


def error(make, values: np.ndarray) -> float:
    """Return the largest error of a state's value; policy iteration is exact."""
    return float(np.abs(values - mdp.policy_iteration(make(), 1e-12).values).max())


def error_of_many(values: np.ndarray) -> float:
    """Return the largest error of a value in all random worlds."""
    exact = [mdp.policy_iteration(world, 1e-12).values for world in random_worlds()]
    return float(np.abs(values - exact).max())


def error_bound(make, values: np.ndarray) -> float:
    """Return an upper bound of the error, where v* itself is too expensive."""
    world = make()
    residual = float(mdp.bellman_residual(world, values))
    return residual / (1 - float(world.discounts.max()))


def _peer(name, form, make, run, spent=False) -> Contestant:
    return Contestant(name, partial(_prepare, form, make), run, spent)


def _peers(name, form, run, spent=False) -> Contestant:
    return Contestant(name, partial(_prepare_all, form), partial(_run_all, run), spent)


def _prepare(form, make):
    return form(make())


def _prepare_all(form):
    return [form(world) for world in random_worlds()]


def _run_all(run, models):
    return np.array([run(model) for model in models])
