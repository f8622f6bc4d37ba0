"""PPO in the style of PureJaxRL: one script with one `train`, compiled at once.

PureJaxRL (Lu et al. 2022) is not a package: its users copy the script. This script has
its form, but is written anew: a flax network for both policy and critic, a `scan` over
a gymnax environment, and everything inside one function for `jit`. The settings are
those of the race. As in PureJaxRL, an episode that is cut off counts as ended.

Source: Schulman et al. (2017), algorithm 1; Huang et al. (2022).
"""

from typing import NamedTuple

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.linen.initializers import constant, orthogonal
from flax.training.train_state import TrainState

from benchmarks import ppo_settings as settings

NUM_UPDATES = settings.NUM_STEPS // (settings.NUM_ENVIRONMENTS * settings.BATCH_STEPS)


class ActorCritic(nn.Module):
    """Two networks of tanh layers."""

    num_actions: int

    @nn.compact
    def __call__(self, x):
        """Return the distribution over actions, and the value."""
        actor = critic = x
        for size in settings.HIDDEN:
            actor = nn.tanh(_dense(size, np.sqrt(2))(actor))
        logits = _dense(self.num_actions, 0.01)(actor)
        for size in settings.HIDDEN:
            critic = nn.tanh(_dense(size, np.sqrt(2))(critic))
        value = _dense(1, 1.0)(critic)
        return distrax.Categorical(logits=logits), jnp.squeeze(value, -1)


class Transition(NamedTuple):
    """One step of every environment."""

    done: jax.Array
    action: jax.Array
    value: jax.Array
    reward: jax.Array
    log_prob: jax.Array
    obs: jax.Array


def make_train(env, num_states: int):
    """Return `train(key)`, which trains and returns the policy as a table."""
    params = env.default_params
    network = ActorCritic(env.action_space(params).n)

    def anneal(count):
        done = count // (settings.MINIBATCHES * settings.EPOCHS)
        return settings.STEP_SIZE * (1.0 - done / NUM_UPDATES)

    def loss_fn(network_params, batch):
        transition, advantages, targets = batch
        pi, value = network.apply(network_params, transition.obs)
        value_loss = 0.5 * jnp.square(value - targets).mean()
        ratio = jnp.exp(pi.log_prob(transition.action) - transition.log_prob)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = jnp.clip(ratio, 1 - settings.CLIP, 1 + settings.CLIP)
        actor_loss = -jnp.minimum(ratio * advantages, clipped * advantages).mean()
        bonus = settings.ENTROPY_WEIGHT * pi.entropy().mean()
        return actor_loss + settings.VALUE_WEIGHT * value_loss - bonus

    def env_step(carry, _):
        train_state, env_state, obs, rng = carry
        rng, act_rng, step_rng = jax.random.split(rng, 3)
        pi, value = network.apply(train_state.params, obs)
        action = pi.sample(seed=act_rng)
        log_prob = pi.log_prob(action)
        step_rngs = jax.random.split(step_rng, settings.NUM_ENVIRONMENTS)
        next_obs, env_state, reward, done, _ = jax.vmap(env.step, (0, 0, 0, None))(
            step_rngs, env_state, action, params
        )
        transition = Transition(done, action, value, reward, log_prob, obs)
        return (train_state, env_state, next_obs, rng), transition

    def calculate_gae(transitions, last_value):
        def backward(carry, transition):
            gae, next_value = carry
            alive = settings.DISCOUNT * (1.0 - transition.done)
            delta = transition.reward + alive * next_value - transition.value
            gae = delta + alive * settings.TRACE_DECAY * gae
            return (gae, transition.value), gae

        start = jnp.zeros_like(last_value), last_value
        _, advantages = jax.lax.scan(
            backward, start, transitions, reverse=True, unroll=16
        )
        return advantages, advantages + transitions.value

    def update_minibatch(train_state, minibatch):
        grads = jax.grad(loss_fn)(train_state.params, minibatch)
        return train_state.apply_gradients(grads=grads), None

    def update_step(carry, _):
        carry, transitions = jax.lax.scan(env_step, carry, None, settings.BATCH_STEPS)
        train_state, env_state, obs, rng = carry
        _, last_value = network.apply(train_state.params, obs)
        batch = (transitions, *calculate_gae(transitions, last_value))
        size = settings.NUM_ENVIRONMENTS * settings.BATCH_STEPS
        batch = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), batch)

        def update_epoch(carry, _):
            train_state, rng = carry
            rng, shuffle_rng = jax.random.split(rng)
            order = jax.random.permutation(shuffle_rng, size)
            shuffled = jax.tree.map(lambda x: jnp.take(x, order, axis=0), batch)
            minibatches = jax.tree.map(
                lambda x: x.reshape(settings.MINIBATCHES, -1, *x.shape[1:]), shuffled
            )
            train_state, _ = jax.lax.scan(update_minibatch, train_state, minibatches)
            return (train_state, rng), None

        (train_state, rng), _ = jax.lax.scan(
            update_epoch, (train_state, rng), None, settings.EPOCHS
        )
        return (train_state, env_state, obs, rng), None

    def train(rng):
        rng, init_rng, reset_rng = jax.random.split(rng, 3)
        reset_rngs = jax.random.split(reset_rng, settings.NUM_ENVIRONMENTS)
        obs, env_state = jax.vmap(env.reset, (0, None))(reset_rngs, params)
        train_state = TrainState.create(
            apply_fn=network.apply,
            params=network.init(init_rng, obs),
            tx=optax.adam(anneal, eps=1e-5),
        )
        carry = (train_state, env_state, obs, rng)
        carry, _ = jax.lax.scan(update_step, carry, None, NUM_UPDATES)
        return network.apply(carry[0].params, jnp.eye(num_states))[0].probs

    return train


def _dense(size: int, scale: float) -> nn.Dense:
    return nn.Dense(size, kernel_init=orthogonal(scale), bias_init=constant(0.0))
