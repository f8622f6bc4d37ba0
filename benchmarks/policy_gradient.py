"""Races and exams of the second floor: acting, and learning a policy.

All contestants of a race over PPO have the same networks and settings, see
ppo_settings.py. A contestant counts only if its policy reaches nine tenths of the
optimal J.
"""

from functools import partial
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import mdp
from benchmarks import ppo_peers as peers
from benchmarks import ppo_settings as settings
from benchmarks.exams import Candidate, Exam
from benchmarks.marks import (
    cliff_marks,
    lake,
    lake_marks,
    large_lake,
    our_config,
    peer_marks,
    shares,
)
from benchmarks.race import Contestant, Race
from mdp import MDP
from policy_gradient import actor_critic, policies, ppo, reinforce
from policy_gradient.rollout import reset_many, rollout_many, to_jax

NUM_ACTORS = 4096  # environments side by side, where only acting is timed
ACTOR_STEPS = 128  # of each
GYMNASIUM_STEPS = 20_000

# By name: a module cannot be sent to another process.
CONFIGS = {
    "reinforce": reinforce.Config(),
    "actor_critic": actor_critic.Config(),
    "ppo": ppo.Config(),
}


def tasks() -> tuple[Race | Exam, ...]:
    """Return the races over acting, learning and compiling, then the exams."""
    return (
        _acting("FrozenLake", mdp.worlds.frozen_lake, "FrozenLake", bar=300.0),
        _acting("CliffWalking", mdp.worlds.cliff_walking, "CliffWalking"),
        _acting("Taxi", mdp.worlds.taxi, "Taxi"),
        _learning(
            "PPO, networks, a step: Python",
            80.0,
            Contestant(
                "stable-baselines3",
                partial(_on_lake, peers.stable_baselines),
                peers.stable_baselines_learns_on,
            ),
        ),
        _learning(
            "PPO, networks, a step: jax",
            6.0,
            Contestant(
                "rejax", partial(_on_lake, peers.rejax_ppo), peers.trained_whole
            ),
            Contestant(
                "PureJaxRL's style",
                partial(_on_lake, peers.pure_jax),
                peers.trained_whole,
            ),
        ),
        Race(
            "PPO, tables, 200,000 steps",
            Contestant("32 seeds", partial(tabular_ppo, 32), _wait),
            (Contestant("one seed", partial(tabular_ppo, 1), _wait),),
            bar=1 / 6,
            seconds=20.0,
        ),
        *(_compiling(algorithm) for algorithm in CONFIGS),
        Exam(
            "cliff, greedy, 200,000 steps",
            Candidate("ours", partial(cliff_marks, greedy=True)),
            worst=-13.0,
        ),
        Exam(
            "cliff, sampled, 200,000 steps",
            Candidate("ours", partial(cliff_marks, greedy=False)),
            worst=-14.5,
        ),
        Exam(
            "FrozenLake 4x4, 200,000 steps",
            Candidate("ours", partial(lake_marks, lake, 200_000)),
            (Candidate("stable-baselines3", partial(peer_marks, lake, 200_000)),),
            worst=0.95,
        ),
        Exam(
            "FrozenLake 8x8, 200,000 steps",
            Candidate("ours", partial(lake_marks, large_lake, 200_000)),
            (Candidate("stable-baselines3", partial(peer_marks, large_lake, 200_000)),),
        ),
        Exam(
            "FrozenLake 8x8, 2 million steps",
            Candidate("ours", partial(lake_marks, large_lake, 2_000_000)),
            (
                Candidate(
                    "stable-baselines3", partial(peer_marks, large_lake, 2_000_000)
                ),
            ),
            median=0.9,
        ),
    )


# Acting.


def random_actors(make, num_actors: int = NUM_ACTORS):
    """Return a compiled function that takes uniform actions in many environments.

    It returns states, actions and rewards of `ACTOR_STEPS` steps of each. No critic is
    evaluated, because Gymnasium has none.
    """
    world = make()
    table, policy = to_jax(world), policies.tabular_softmax(world)
    uniform = policy.init(jax.random.key(0))
    tables = policies.tabulate(policy, uniform, world.num_states)

    @jax.jit
    def act(key: Key[Array, ""]):
        start_key, rollout_key = jax.random.split(key)
        positions = reset_many(start_key, table, num_actors)
        rows = rollout_many(tables, rollout_key, positions, table, ACTOR_STEPS, 200)
        happened = rows.trajectory
        return happened.observations, happened.actions, happened.rewards

    return act


def act_in_jax(act) -> int:
    """Act once, and return the number of steps."""
    return jax.block_until_ready(act(jax.random.key(0)))[0].size


def act_in_gymnasium(env) -> int:
    """Take uniform actions in Gymnasium's own environment; return their number."""
    actions = np.random.default_rng(0).integers(
        env.action_space.n, size=GYMNASIUM_STEPS
    )
    env.reset(seed=0)
    for action in actions.tolist():
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return GYMNASIUM_STEPS


# Learning.


def network_ppo(world: MDP):
    """Return our training with the settings of the peers, as one compiled function."""
    policy = policies.mlp(world, settings.HIDDEN)
    config = ppo.Config(
        num_updates=settings.NUM_STEPS
        // (settings.NUM_ENVIRONMENTS * settings.BATCH_STEPS),
        num_environments=settings.NUM_ENVIRONMENTS,
        num_steps=settings.BATCH_STEPS,
        epochs=settings.EPOCHS,
        minibatches=settings.MINIBATCHES,
        time_limit=settings.TIME_LIMIT,
        step_size=settings.STEP_SIZE,
        trace_decay=settings.TRACE_DECAY,
        clip=settings.CLIP,
        value_weight=settings.VALUE_WEIGHT,
        # Ours falls as the square of the share of updates left: it is 1/3 on average.
        entropy_weight=3 * settings.ENTROPY_WEIGHT,
    )

    def train(key: Key[Array, ""]) -> Float[Array, "S A"]:
        params, _ = ppo.train(key, world, config, policy)
        return jnp.exp(policies.tabulate(policy, params, world.num_states).log_probs)

    return jax.jit(train)


def tabular_ppo(num_seeds: int):
    """Return compiled training of several seeds side by side, with their keys."""
    train = jax.jit(
        jax.vmap(partial(ppo.train, mdp=lake(), config=our_config(lake, 200_000)))
    )
    return partial(train, jax.random.split(jax.random.key(0), num_seeds))


def uncached(algorithm: str):
    """Return training with default settings, compiled without the cache."""
    jax.config.update("jax_enable_compilation_cache", False)
    train = import_module(f"policy_gradient.{algorithm}").train
    return partial(train, jax.random.key(0), lake(), CONFIGS[algorithm])


def shortfall(learned: peers.Learned) -> float:
    """Return how far J is below the optimum, as a share of the optimum."""
    return float(1.0 - shares(lake(), learned.policy))


def _acting(name: str, make, gymnasium_name: str, bar: float = 100.0) -> Race:
    return Race(
        f"random actions, {name}, a step",
        Contestant("ours", partial(random_actors, make), act_in_jax),
        (
            Contestant(
                "Gymnasium", partial(_gymnasium, gymnasium_name), act_in_gymnasium
            ),
        ),
        bar=bar,
        amount=float,
    )


def _learning(name: str, bar: float, *rivals: Contestant) -> Race:
    return Race(
        name,
        Contestant("ours", partial(_on_lake, network_ppo), peers.trained_whole),
        rivals,
        bar=bar,
        error=shortfall,
        tolerance=0.1,
        amount=lambda learned: float(learned.steps),
    )


def _compiling(algorithm: str) -> Race:
    ours = Contestant("ours", partial(uncached, algorithm), _wait)
    return Race(f"{algorithm}, compiled and run once", ours, first=6.0)


def _gymnasium(name: str):
    import gymnasium

    gymnasium.logger.min_level = gymnasium.logger.ERROR  # names here have no version
    return gymnasium.make(name)


def _on_lake(prepare):
    return prepare(lake())


def _wait(run) -> None:
    jax.block_until_ready(run())
