"""PPO of other libraries on our worlds, with the same networks and settings.

Each is prepared before the clock starts. It returns the policy that it learned, as a
table, and the number of steps that were timed.
"""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from benchmarks import ppo_settings as settings
from mdp import MDP


class Learned(NamedTuple):
    """The result of a contestant."""

    policy: Float[np.ndarray, "S A"]
    steps: int  # that were timed


# Stable-Baselines3: torch, and environments in Python.


def stable_baselines(
    world: MDP,
    num_steps: int = settings.NUM_STEPS,
    time_limit: int = settings.TIME_LIMIT,
    seed: int = 0,
):
    """Return a trained agent; it is timed while it continues, because it is slow."""
    import torch
    from gymnasium.wrappers import TimeLimit
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from mdp.gym import to_gymnasium

    def environment():
        return TimeLimit(to_gymnasium(world), time_limit)

    torch.set_num_threads(1)  # such small networks are slower on more
    batch = settings.NUM_ENVIRONMENTS * settings.BATCH_STEPS
    agent = PPO(
        "MlpPolicy",
        DummyVecEnv([environment] * settings.NUM_ENVIRONMENTS),
        learning_rate=lambda left: left * settings.STEP_SIZE,
        n_steps=settings.BATCH_STEPS,
        batch_size=batch // settings.MINIBATCHES,
        n_epochs=settings.EPOCHS,
        gamma=settings.DISCOUNT,
        gae_lambda=settings.TRACE_DECAY,
        clip_range=settings.CLIP,
        ent_coef=settings.ENTROPY_WEIGHT,
        vf_coef=settings.VALUE_WEIGHT,
        max_grad_norm=float("inf"),
        policy_kwargs={
            "net_arch": list(settings.HIDDEN),
            "activation_fn": torch.nn.Tanh,
        },
        device="cpu",
        seed=seed,
    )
    return agent.learn(num_steps)


def stable_baselines_policy(agent) -> Float[np.ndarray, "S A"]:
    """Return pi(a|s) of the agent's network for every state."""
    import torch

    states = torch.arange(int(agent.observation_space.n))
    with torch.no_grad():
        probs = agent.policy.get_distribution(states).distribution.probs
    table = probs.numpy().astype(np.float64)
    return table / table.sum(-1, keepdims=True)


def stable_baselines_learns_on(agent) -> Learned:
    """Train the agent on eight more batches."""
    steps = 8 * settings.NUM_ENVIRONMENTS * settings.BATCH_STEPS
    agent.learn(steps, reset_num_timesteps=False)
    return Learned(stable_baselines_policy(agent), steps)


# rejax: jax and flax, environments of gymnax.


def gymnax_world(world: MDP, time_limit: int = settings.TIME_LIMIT):
    """Return the world as an environment of gymnax, with one-hot observations."""
    from flax import struct
    from gymnax.environments import spaces
    from gymnax.environments.environment import Environment, EnvParams

    outcomes = jnp.cumsum(jnp.asarray(world.probs), -1)
    starts = jnp.cumsum(jnp.asarray(world.start))
    rows = [jnp.asarray(x) for x in (world.next_states, world.rewards, world.discounts)]
    num_states, num_actions = world.num_states, world.num_actions

    @struct.dataclass
    class State:
        state: jax.Array
        time: jax.Array

    class World(Environment):
        @property
        def default_params(self):
            return EnvParams(max_steps_in_episode=time_limit)

        def step_env(self, key, state, action, params):
            cumulative = outcomes[state.state, action]
            outcome = jnp.argmax(cumulative > jax.random.uniform(key) * cumulative[-1])
            where = state.state, action, outcome
            next_state, reward, discount = (x[where] for x in rows)
            after = State(next_state, state.time + 1)
            done = (discount == 0) | (after.time >= params.max_steps_in_episode)
            return self.get_obs(after), after, reward, done, {}

        def reset_env(self, key, params):
            start = jnp.argmax(starts > jax.random.uniform(key) * starts[-1])
            state = State(start.astype(rows[0].dtype), jnp.zeros((), int))
            return self.get_obs(state), state

        def get_obs(self, state, params=None, key=None):
            return jax.nn.one_hot(state.state, num_states)

        def action_space(self, params):
            return spaces.Discrete(num_actions)

        def observation_space(self, params):
            return spaces.Box(0.0, 1.0, (num_states,))

    return World()


def rejax_ppo(world: MDP):
    """Return rejax's whole training as one compiled function."""
    # distrax, which it needs, still uses names that jax is about to drop.
    warnings.simplefilter("ignore", DeprecationWarning)
    from rejax import PPO

    env = gymnax_world(world)
    algorithm = PPO.create(
        env=env,
        env_params=env.default_params,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": settings.HIDDEN},
        total_timesteps=settings.NUM_STEPS,
        eval_freq=settings.NUM_STEPS,
        skip_initial_evaluation=True,
        num_envs=settings.NUM_ENVIRONMENTS,
        num_steps=settings.BATCH_STEPS,
        num_epochs=settings.EPOCHS,
        num_minibatches=settings.MINIBATCHES,
        learning_rate=settings.STEP_SIZE / 2,
        gamma=settings.DISCOUNT,
        gae_lambda=settings.TRACE_DECAY,
        clip_eps=settings.CLIP,
        vf_coef=settings.VALUE_WEIGHT,
        ent_coef=settings.ENTROPY_WEIGHT,
    ).replace(eval_callback=lambda *_: ())  # it is judged exactly, outside the timing

    def train(key):
        state, _ = algorithm.train(key)
        log_probs, _ = jax.vmap(
            lambda action: algorithm.actor.apply(
                state.actor_ts.params,
                jnp.eye(world.num_states),
                jnp.full(world.num_states, action),
                method="log_prob_entropy",
            )
        )(jnp.arange(world.num_actions))
        return jnp.exp(log_probs.T)

    return jax.jit(train)


def pure_jax(world: MDP):
    """Return the script in PureJaxRL's style as one compiled function."""
    warnings.simplefilter("ignore", DeprecationWarning)
    from benchmarks.pure_jax_ppo import make_train

    return jax.jit(make_train(gymnax_world(world), world.num_states))


def trained_whole(train) -> Learned:
    """Run a whole compiled training."""
    table = np.asarray(train(jax.random.key(0)), np.float64)
    return Learned(table / table.sum(-1, keepdims=True), settings.NUM_STEPS)
