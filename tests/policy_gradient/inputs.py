"""Random inputs on which no term of an equation can go missing unnoticed."""

import jax
import jax.numpy as jnp
import numpy as np

from policy_gradient.diagnostics import Diagnostics
from policy_gradient.policies import tabular_softmax
from policy_gradient.trajectory import Batch, Trajectory


def array(*numbers):
    """What jax reckons with, of numbers or of an array of numpy's."""
    values = numbers[0] if len(numbers) == 1 else numbers
    return jnp.asarray(np.asarray(values, np.float32))


def trajectory(rewards, discounts, continues, values, next_values=None):
    """The rows, next to each other. By default the critic agrees with itself.

    That is, what a step leads to is worth what the next row says, unless the next row
    is another episode's; the numbers for those are given in `next_values`.
    """
    rewards, values = np.asarray(rewards, float), np.asarray(values, float)
    beyond = np.full(len(rewards), 8.0) if next_values is None else next_values
    following = np.append(values[1:], 0.0)
    within = np.asarray(continues) * (np.arange(len(rewards)) < len(rewards) - 1)
    return Trajectory(
        observations=jnp.arange(len(rewards)),
        actions=jnp.zeros(len(rewards), jnp.int32),
        log_probs=array(np.full(len(rewards), np.log(0.5))),
        rewards=array(rewards),
        discounts=array(discounts),
        values=array(values),
        next_values=array(np.where(within, following, beyond)),
        continues=array(continues),
        mask=array(np.ones(len(rewards))),
    )


def random_trajectory(rng, length=7):
    """An episode that ends, one that is cut off, and one that still runs at the end.

    The discounts differ from step to step, rewards and values are of both signs, and
    the states beyond every ending and cut-off are worth something.
    """
    ended, cut = np.sort(rng.choice(np.arange(1, length - 2), 2, replace=False))
    discounts, continues = rng.uniform(0.3, 0.95, length), np.ones(length)
    discounts[ended] = 0.0
    continues[[ended, cut]] = 0.0
    rewards, values, beyond = rng.normal(-0.5, 2.0, (3, length))
    return trajectory(rewards, discounts, continues, values, beyond)


def tabular(world, seed):
    """A tabular policy for a world, and random preferences and values for it."""
    policy, rng = tabular_softmax(world), np.random.default_rng(seed)
    like = policy.init(jax.random.key(0))
    return policy, jax.tree.map(lambda x: rng.normal(size=x.shape), like)


def log_policy(rng, num_actions=4):
    """Log-probabilities of a random policy that has its favourite."""
    weights = rng.dirichlet(np.full(num_actions, 0.8)) + 0.05
    return array(np.log(weights / weights.sum()))


def preferences(rng, num_actions=4):
    """Preferences of both signs; an action that is not available has the largest."""
    available = rng.permutation(np.arange(num_actions) < num_actions - 1)
    numbers = np.where(available, rng.normal(0.0, 1.5, num_actions), 5.0)
    return {"preferences": array(numbers), "available": jnp.asarray(available)}


def mask(rng, num_episodes=3, time=4):
    """1 on the rows of episodes of different lengths, 0 on the padding behind them."""
    lengths = rng.permutation(time)[:num_episodes] + 1
    return (np.arange(time) < lengths[:, None]).astype(float)


def episodes(rng):
    """Log-probabilities, advantages of both signs, and weights gamma^t, 0 on padding.

    What stands on the padding is not 0.
    """
    happened = mask(rng)
    gamma_to_t = rng.uniform(0.6, 0.95) ** np.arange(happened.shape[1])
    return {
        "log_probs": array(-rng.uniform(0.2, 2.0, happened.shape)),
        "advantages": array(rng.normal(0.5, 2.0, happened.shape)),
        "weights": array(happened * gamma_to_t),
    }


def rows_then_and_now(rng):
    """Actions in rows, as they were and as they are: likelier and less likely ones.

    Ratios on both sides of a clip of 0.2 and within, advantages of both signs, and rows
    whose ratios all together are within where those of the actions are not.
    """
    happened = mask(rng)
    old = -rng.uniform(0.5, 2.0, happened.shape)
    ratios = rng.choice([0.5, 0.7, 0.95, 1.05, 1.4, 1.9], happened.shape)
    return {
        "log_probs": array(old + np.log(ratios)),
        "old_log_probs": array(old),
        "advantages": array(rng.normal(0.5, 2.0, happened.shape)),
        "weights": array(happened),
    }


def batch_of_rows(advantages, value_targets):
    """A batch whose observations are the numbers of its rows; all else is equal."""
    zeros = jnp.zeros(len(advantages))
    rows, old = jnp.arange(len(advantages)), zeros + np.log(0.5)
    return Batch(rows, rows, old, zeros, advantages, value_targets, zeros + 1.0)


def params_of_rows(size):
    """A log-probability and a value of its own for every row, and one more number."""
    zeros = jnp.zeros(size)
    return {"log_probs": zeros + np.log(0.5), "values": zeros, "other": jnp.array(1.0)}


def loss_of_rows(clip, seen):
    """PPO's loss of such rows; it adds the rows of each minibatch to `seen`.

    A row moves its own numbers only, so that the order of the rows changes nothing. It
    is reckoned by numpy, with a gradient of its own: step by step jax is slow.
    """

    def forward(params, batch):
        rows = np.asarray(batch.observations)
        seen.append(rows)
        data = batch.log_probs, batch.advantages, batch.value_targets
        old, advantages, targets = map(np.asarray, data)
        log_ratios = np.asarray(params["log_probs"])[rows] - old
        ratios = np.exp(log_ratios)
        edges = 1.0 + clip * np.sign(advantages)
        too_far = (ratios - edges) * advantages > 0
        surrogates = np.where(too_far, edges, ratios) * advantages
        errors = np.asarray(params["values"])[rows] - targets
        gradient = {name: np.zeros(np.shape(x), "f") for name, x in params.items()}
        slopes = np.where(too_far, 0.0, -ratios * advantages) / len(rows)
        np.add.at(gradient["log_probs"], rows, slopes)
        np.add.at(gradient["values"], rows, errors / len(rows))
        kl = np.mean(ratios - 1.0 - log_ratios)
        measured = np.mean(0.5 * errors**2 - surrogates), kl, np.mean(ratios)
        return tuple(map(array, measured)), gradient

    @jax.custom_vjp
    def measure(params, batch):
        return forward(params, batch)[0]

    def backward(gradient, slopes):
        return jax.tree.map(lambda x: array(x * slopes[0]), gradient), None

    measure.defvjp(forward, backward)

    def loss(params, batch):
        value, kl, first_ratio = measure(params, batch)
        zero = jnp.zeros(())
        return value, Diagnostics(value, zero, kl, zero, zero, zero, first_ratio)

    return loss
