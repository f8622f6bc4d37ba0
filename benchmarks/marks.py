"""The marks of the second floor's exams: J of what was learned, exactly.

Ours learns with its own dials, on tables. Stable-Baselines3 has those of the races, and
fewer seeds, for it is slow.
"""

from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
from jaxtyping import Float

import mdp
from benchmarks import ppo_peers as peers
from mdp import MDP
from policy_gradient import policies, ppo
from policy_gradient.comparison.performances import performances

NUM_SEEDS = 16
PEER_SEEDS = 3


def lake() -> MDP:
    """FrozenLake 4x4, where a step may slip to either side."""
    return mdp.worlds.frozen_lake(peers.DISCOUNT)


def large_lake() -> MDP:
    """FrozenLake 8x8."""
    return mdp.worlds.frozen_lake_8x8(peers.DISCOUNT)


def own_dials(make, num_steps: int) -> ppo.Config:
    """The defaults, for so many steps; less exploring where a step slips by itself.

    On the large lake, where the goal is found once in many hundred episodes, a batch
    without it would teach nothing: larger batches, smaller steps.
    """
    config = ppo.Config()
    if make is lake:
        config = ppo.Config(entropy_weight=0.4)
    if make is large_lake:
        config = ppo.Config(
            num_environments=256, num_steps=32, step_size=0.05, entropy_weight=0.25
        )
    batch = config.num_environments * config.num_steps
    return replace(config, num_updates=num_steps // batch)


@cache
def learned(make, num_steps: int) -> Float[np.ndarray, "seeds S A"]:
    """The policies of all seeds, with our own dials."""
    world, config = make(), own_dials(make, num_steps)
    keys = jax.random.split(jax.random.key(1), NUM_SEEDS)
    params, _ = jax.jit(jax.vmap(partial(ppo.train, mdp=world, config=config)))(keys)
    policy = policies.tabular_softmax(world)
    of_one = (jax.tree.map(lambda x, i=i: x[i], params) for i in range(NUM_SEEDS))
    return np.array(
        [policies.policy_table(policy, p, world.num_states) for p in of_one]
    )


def cliff_marks(greedy: bool) -> Float[np.ndarray, "seeds"]:
    """J on the cliff, without discounting; -13 is the best."""
    world = mdp.worlds.cliff_walking()
    tables = learned(mdp.worlds.cliff_walking, 200_000)
    if greedy:
        tables = np.array([mdp.greedy_policy(world, table) for table in tables])
    return performances(world, tables, time_limit=200)


def lake_marks(make, num_steps: int) -> Float[np.ndarray, "seeds"]:
    """J of the policy as it acts, by that of the optimum."""
    return shares(make(), learned(make, num_steps))


def peer_marks(make, num_steps: int) -> Float[np.ndarray, "seeds"]:
    """The same of Stable-Baselines3, with the dials of the races."""
    world = make()
    limit = 100 if world.num_states == 16 else 200  # Gymnasium's
    agents = (
        peers.stable_baselines(world, num_steps, limit, seed)
        for seed in range(PEER_SEEDS)
    )
    return shares(world, np.array([*map(peers.stable_baselines_policy, agents)]))


def shares(world: MDP, tables: Float[np.ndarray, "*n S A"]) -> Float[np.ndarray, "*n"]:
    """J of each policy by that of the optimum."""
    optimum = world.start @ mdp.policy_iteration(world, 1e-12).values
    return performances(world, tables, time_limit=200) / optimum
