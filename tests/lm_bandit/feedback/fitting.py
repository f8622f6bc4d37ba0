"""The optimum of a likelihood on all answers at once, by L-BFGS in double precision."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import optimize

from lm_bandit.feedback import annotators, crowd, linear_reward
from lm_bandit.world import pocket_world


@cache
def value_and_gradient(likelihood):
    """The compiled loss of a linear reward and a crowd, and its gradient."""
    loss = crowd.loss(likelihood, linear_reward.scorer(pocket_world()))
    return jax.jit(jax.value_and_grad(lambda model, batch: loss(model, batch)[0]))


def fit(likelihood, answers, num_annotators, reliability=None):
    """The `CrowdModel` that makes the answers most probable."""
    weights = jnp.zeros(len(pocket_world().rated))
    start, unravel = ravel_pytree(crowd.init(weights, num_annotators, reliability))
    batch = jax.tree.map(jnp.asarray, answers)

    def value(flat):
        model = unravel(jnp.asarray(flat, jnp.float32))
        loss, gradient = value_and_gradient(likelihood)(model, batch)
        return float(loss), np.asarray(ravel_pytree(gradient)[0], float)

    found = optimize.minimize(value, start, jac=True, method="L-BFGS-B")
    return unravel(jnp.asarray(found.x, jnp.float32))


def careful_people(world, rng, count=50):
    """Honest annotators, who answer with the noise of temperature 1."""
    return annotators.hire(rng, world, count)._replace(temperature=1.0)
