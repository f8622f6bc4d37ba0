"""Marks of the second floor's exams: the exact J of learned policies.

Our PPO learns with its own settings, on tables. Stable-Baselines3 has the settings of
the races, and fewer seeds, because it is slow.
"""

from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
from jaxtyping import Float

import mdp
from benchmarks import ppo_peers as peers
from benchmarks import ppo_settings as settings
from mdp import MDP
from policy_gradient import policies, ppo
from policy_gradient.exact import performances

NUM_SEEDS = 16
PEER_SEEDS = 3


def lake() -> MDP:
    """Return FrozenLake 4x4, where a step may slip to either side."""
    return mdp.worlds.frozen_lake(settings.DISCOUNT)


def large_lake() -> MDP:
    """Return FrozenLake 8x8."""
    return mdp.worlds.frozen_lake_8x8(settings.DISCOUNT)


def our_config(make, num_steps: int) -> ppo.Config:
    """Return our settings for that many steps, with less exploration on the lakes.

    On the large lake the goal is reached once in many hundred episodes. A batch without
    the goal teaches nothing, so that batches are larger and steps smaller there.
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
    """Return the policies of all seeds, learned with our own settings."""
    world, config = make(), our_config(make, num_steps)
    keys = jax.random.split(jax.random.key(1), NUM_SEEDS)
    params, _ = jax.jit(jax.vmap(partial(ppo.train, mdp=world, config=config)))(keys)
    policy = policies.tabular_softmax(world)
    each = (jax.tree.map(lambda x, i=i: x[i], params) for i in range(NUM_SEEDS))
    return np.array([policies.policy_table(policy, p, world.num_states) for p in each])


def cliff_marks(greedy: bool) -> Float[np.ndarray, "seeds"]:
    """Return the undiscounted J on the cliff for each seed; the optimum is -13."""
    world = mdp.worlds.cliff_walking()
    tables = learned(mdp.worlds.cliff_walking, 200_000)
    if greedy:
        tables = np.array([mdp.greedy_policy(world, table) for table in tables])
    return performances(world, tables, time_limit=200)


def lake_marks(make, num_steps: int) -> Float[np.ndarray, "seeds"]:
    """Return J of each seed's sampling policy, divided by the optimum."""
    return shares(make(), learned(make, num_steps))


def peer_marks(make, num_steps: int) -> Float[np.ndarray, "seeds"]:
    """Return J of Stable-Baselines3's policies, divided by the optimum."""
    world = make()
    limit = 100 if world.num_states == 16 else 200  # Gymnasium's time limits
    agents = (
        peers.stable_baselines(world, num_steps, limit, seed)
        for seed in range(PEER_SEEDS)
    )
    return shares(world, np.array([*map(peers.stable_baselines_policy, agents)]))


def shares(world: MDP, tables: Float[np.ndarray, "*n S A"]) -> Float[np.ndarray, "*n"]:
    """Return J of each policy, divided by the optimum."""
    optimum = world.start @ mdp.policy_iteration(world, 1e-12).values
    return performances(world, tables, time_limit=200) / optimum
