"""PPO as the peers have it, on our table: the same networks, the same dials.

Each is prepared before the clock starts, and answers with the policy it learned, as a
table, and the steps that it was timed for.
"""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from mdp import MDP

# The dials of all contestants (Huang et al. 2022, table 1, but for the step size).
NUM_STEPS = 200_704  # of the environments: 196 batches
NUM_ENVIRONMENTS = 8
BATCH_STEPS = 128  # of each environment
EPOCHS = 4
MINIBATCHES = 4
STEP_SIZE = 2.5e-3  # of Adam, annealed to 0; rejax can only keep it constant: half
DISCOUNT = 0.99
TRACE_DECAY = 0.95
CLIP = 0.2
VALUE_WEIGHT = 0.5
ENTROPY_WEIGHT = 0.01
HIDDEN = (64, 64)  # tanh layers, of the policy and of the critic
TIME_LIMIT = 100


class Learned(NamedTuple):
    """A contestant's answer."""

    policy: Float[np.ndarray, "S A"]
    steps: int  # what it was timed for


# Stable-Baselines3: torch, and environments in Python.


def stable_baselines(
    world: MDP,
    num_steps: int = NUM_STEPS,
    time_limit: int = TIME_LIMIT,
    seed: int = 0,
):
    """Its agent, trained already; it is timed while it learns on, for it is slow."""
    import torch
    from gymnasium.wrappers import TimeLimit
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from mdp.gym import to_gymnasium

    def environment():
        return TimeLimit(to_gymnasium(world), time_limit)

    torch.set_num_threads(1)  # such small networks are slower on more
    batch = NUM_ENVIRONMENTS * BATCH_STEPS
    agent = PPO(
        "MlpPolicy",
        DummyVecEnv([environment] * NUM_ENVIRONMENTS),
        learning_rate=lambda left: left * STEP_SIZE,
        n_steps=BATCH_STEPS,
        batch_size=batch // MINIBATCHES,
        n_epochs=EPOCHS,
        gamma=DISCOUNT,
        gae_lambda=TRACE_DECAY,
        clip_range=CLIP,
        ent_coef=ENTROPY_WEIGHT,
        vf_coef=VALUE_WEIGHT,
        max_grad_norm=float("inf"),
        policy_kwargs={"net_arch": list(HIDDEN), "activation_fn": torch.nn.Tanh},
        device="cpu",
        seed=seed,
    )
    return agent.learn(num_steps)


def stable_baselines_policy(agent) -> Float[np.ndarray, "S A"]:
    """pi(a|s) of its network, for every state."""
    import torch

    states = torch.arange(int(agent.observation_space.n))
    with torch.no_grad():
        probs = agent.policy.get_distribution(states).distribution.probs
    table = probs.numpy().astype(np.float64)
    return table / table.sum(-1, keepdims=True)


def stable_baselines_learns_on(agent) -> Learned:
    """Eight batches more."""
    steps = 8 * NUM_ENVIRONMENTS * BATCH_STEPS
    agent.learn(steps, reset_num_timesteps=False)
    return Learned(stable_baselines_policy(agent), steps)


# rejax: jax and flax, environments of gymnax.


def gymnax_world(world: MDP, time_limit: int = TIME_LIMIT):
    """The table as an environment of gymnax; states are shown one-hot."""
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
    """Its whole training as one compiled function, and its network."""
    # distrax, which it needs, still uses names that jax is about to drop.
    warnings.simplefilter("ignore", DeprecationWarning)
    from rejax import PPO

    env = gymnax_world(world)
    algorithm = PPO.create(
        env=env,
        env_params=env.default_params,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": HIDDEN},
        total_timesteps=NUM_STEPS,
        eval_freq=NUM_STEPS,
        skip_initial_evaluation=True,
        num_envs=NUM_ENVIRONMENTS,
        num_steps=BATCH_STEPS,
        num_epochs=EPOCHS,
        num_minibatches=MINIBATCHES,
        learning_rate=STEP_SIZE / 2,
        gamma=DISCOUNT,
        gae_lambda=TRACE_DECAY,
        clip_eps=CLIP,
        vf_coef=VALUE_WEIGHT,
        ent_coef=ENTROPY_WEIGHT,
    ).replace(eval_callback=lambda *_: ())  # it is judged exactly, and not timed for it

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
    """The script in PureJaxRL's style, compiled whole."""
    warnings.simplefilter("ignore", DeprecationWarning)
    from benchmarks.pure_jax_ppo import make_train

    return jax.jit(make_train(gymnax_world(world), world.num_states))


def trained_whole(train) -> Learned:
    """From the initial parameters to the last, on the device all the way."""
    table = np.asarray(train(jax.random.key(0)), np.float64)
    return Learned(table / table.sum(-1, keepdims=True), NUM_STEPS)
