"""The exact gradient of J by the parameters of the transformer, through the trie.

    grad J  =  E_x[ sum_y pi(y|x) grad log pi(y|x) ( r(x, y) - beta log(pi / pi_ref) ) ]

It is the derivative of a finite sum: no completion is sampled. One prompt is handled at
a time, so that memory holds the trie of one, and what can be computed again for the
backward pass is not kept.

Source: Williams (1992), whose estimator has this mean; Chen et al. (2016), "Training
deep nets with sublinear memory cost", for computing again.
Shapes: k prompts, E completions that end, M that are cut off.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Scalar

from lm_bandit.oracle.exact import Problem
from lm_bandit.oracle.trie import prompt_logits, require_enumerable
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World


class _Prompts(NamedTuple):
    """The problem in the types of the transformer; one prompt has no leading axis."""

    prompts: Int[Array, "*k P"]
    learned: Float[Array, "*k E"]
    ended: Float[Array, "*k E"]  # log pi_ref
    cut_off: Float[Array, "*k M"]


def objective_and_gradient(
    params: Transformer, problem: Problem, world: World
) -> tuple[Scalar, Transformer]:
    """Return J and its gradient, in float32. Source: Ziegler et al. (2019), eq. 2."""
    require_enumerable(world)
    data = _Prompts(
        prompts=jnp.asarray(world.prompts, jnp.int32),
        learned=jnp.asarray(problem.learned, jnp.float32),
        ended=jnp.asarray(problem.reference.ended, jnp.float32),
        cut_off=jnp.asarray(problem.reference.cut_off, jnp.float32),
    )
    return _mean_over_prompts(
        params, data, problem.kl_weight, problem.penalty, world.completion_length
    )


@partial(jax.jit, static_argnums=4)
def _mean_over_prompts(
    params: Transformer,
    data: _Prompts,
    kl_weight: float | Scalar,
    penalty: float | Scalar,
    length: int,
) -> tuple[Scalar, Transformer]:
    def prompt_gradient(row: _Prompts) -> tuple[Scalar, Transformer]:
        return jax.value_and_grad(_objective)(params, row, kl_weight, penalty, length)

    return jax.tree.map(lambda x: x.mean(0), jax.lax.map(prompt_gradient, data))


@partial(jax.checkpoint, static_argnums=4)
def _objective(
    params: Transformer,
    row: _Prompts,
    kl_weight: float | Scalar,
    penalty: float | Scalar,
    length: int,
) -> Scalar:
    """Return sum_y pi(y|x) ( r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ), one prompt.

    The sum goes through the trie level by level, as `trie.completion_log_probs` does.
    """
    log_probs = jax.nn.log_softmax(prompt_logits(params, row.prompts, length))
    before, total, first = jnp.zeros(1), jnp.zeros(()), 0
    for _ in range(length):
        nodes = slice(first, first + before.shape[0])
        ended = before + log_probs[nodes, END]
        rewards = row.learned[nodes] - kl_weight * (ended - row.ended[nodes])
        total += jnp.sum(jnp.exp(ended) * rewards)
        first += before.shape[0]
        before = (before[:, None] + log_probs[nodes, END + 1 :]).reshape(-1)
    rewards = penalty - kl_weight * (before - row.cut_off)
    return total + jnp.sum(jnp.exp(before) * rewards)
