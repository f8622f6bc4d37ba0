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

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Scalar

from lm_bandit.oracle.exact import Problem
from lm_bandit.oracle.trie import prompt_logits, require_enumerable
from lm_bandit.transformer import Transformer
from lm_bandit.world import END, World


def objective_and_gradient(
    params: Transformer, problem: Problem, world: World
) -> tuple[Scalar, Transformer]:
    """Return J and its gradient, in float32. Source: Ziegler et al. (2019), eq. 2."""
    require_enumerable(world)
    problem = jax.tree.map(jnp.float32, problem)
    prompts = jnp.asarray(world.prompts, jnp.int32)
    return _mean_over_prompts(params, problem, prompts, world.completion_length)


@partial(jax.jit, static_argnums=3)
def _mean_over_prompts(
    params: Transformer, problem: Problem, prompts: Int[Array, "k P"], length: int
) -> tuple[Scalar, Transformer]:
    """Return J and its gradient, the means of those of each prompt."""

    def prompt_gradient(i: Int[Array, ""]) -> tuple[Scalar, Transformer]:
        rows = (problem.learned, problem.reference)
        learned, reference = jax.tree.map(lambda x: x[i], rows)
        one = problem._replace(learned=learned, reference=reference)
        return jax.value_and_grad(_objective)(params, one, prompts[i], length)

    gradients = jax.lax.map(prompt_gradient, jnp.arange(len(prompts)))
    return jax.tree.map(lambda x: x.mean(0), gradients)


@partial(jax.checkpoint, static_argnums=3)
def _objective(
    params: Transformer, problem: Problem, prompt: Int[Array, "P"], length: int
) -> Scalar:
    """Return sum_y pi(y|x) ( r(x, y) - beta log(pi(y|x) / pi_ref(y|x)) ), one prompt.

    The arrays of the problem are those of this prompt. The sum goes through the trie
    level by level, as `trie.completion_log_probs` does.
    """
    reference, beta = problem.reference, problem.kl_weight
    log_probs = jax.nn.log_softmax(prompt_logits(params, prompt, length))
    before, total, first = jnp.zeros(1), jnp.zeros(()), 0
    for _ in range(length):
        nodes = slice(first, first + before.shape[0])
        ended = before + log_probs[nodes, END]
        rewards = problem.learned[nodes] - beta * (ended - reference.ended[nodes])
        total += jnp.sum(jnp.exp(ended) * rewards)
        first += before.shape[0]
        before = (before[:, None] + log_probs[nodes, END + 1 :]).reshape(-1)
    if_cut_off = problem.penalty - beta * (before - reference.cut_off)
    return total + jnp.sum(jnp.exp(before) * if_cut_off)
