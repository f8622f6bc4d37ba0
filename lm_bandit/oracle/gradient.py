"""The exact gradient of J by the parameters of the transformer, through the trie.

    grad J  =  E_x[ sum_y pi(y|x) grad log pi(y|x) ( r(x, y) - beta log(pi / pi_ref) ) ]

It is the derivative of a finite sum: no completion is sampled. One prompt at a time, so
that memory holds the trie of one, and what can be read again is not kept.

Source: Williams (1992), for the mean of which this is the truth; Chen et al. (2016),
"Training deep nets with sublinear memory cost", for reading again.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Scalar

from lm_bandit.oracle.exact import Problem
from lm_bandit.oracle.trie import prompt_logits, require_enumerable
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World


def objective_and_gradient(
    params: Transformer, problem: Problem, world: World
) -> tuple[Scalar, Transformer]:
    """J and its gradient, in float32."""
    require_enumerable(world)
    data = (world.prompts, problem.learned, *problem.reference)
    data = tuple(jnp.asarray(np.asarray(x, _narrow(x))) for x in data)
    return _over_prompts(
        params, data, problem.kl_weight, problem.penalty, world.completion_length
    )


def _narrow(x):
    return np.float32 if np.issubdtype(x.dtype, np.floating) else np.int32


@partial(jax.jit, static_argnums=4)
def _over_prompts(params, data, kl_weight, penalty, length):
    def of_prompt(row):
        return jax.value_and_grad(_objective)(params, row, kl_weight, penalty, length)

    values = jax.lax.map(of_prompt, data)
    return jax.tree.map(lambda x: x.mean(0), values)


@partial(jax.checkpoint, static_argnums=4)
def _objective(params, row, kl_weight, penalty, length):
    """sum_y pi(y|x) ( r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ) of one prompt."""
    prompt, learned, ended, cut_off = row
    log_probs = jax.nn.log_softmax(prompt_logits(params, prompt, length))
    before, total, first = jnp.zeros(1), 0.0, 0
    for _ in range(length):
        nodes = slice(first, first + before.shape[0])
        ends = before + log_probs[nodes, END]
        rewards = learned[nodes] - kl_weight * (ends - ended[nodes])
        total += jnp.sum(jnp.exp(ends) * rewards)
        first += before.shape[0]
        before = (before[:, None] + log_probs[nodes, END + 1 :]).reshape(-1)
    rewards = penalty - kl_weight * (before - cut_off)
    return total + jnp.sum(jnp.exp(before) * rewards)
