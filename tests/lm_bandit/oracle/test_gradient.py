"""The exact gradient, against the derivative of a brute-force sum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.gradient import objective_and_gradient


@pytest.mark.slow
def test_it_is_the_gradient_of_the_sum_over_all_completions(
    tiny, policy, problem, everything
):
    """The sum spells out the 31 completions that end and the 125 that do not."""
    prompts = jnp.repeat(jnp.asarray(tiny.prompts)[:, None], 156, axis=1)
    completions = jnp.broadcast_to(everything, (2, 156, 3))
    scores = np.pad(problem.learned, [(0, 0), (0, 125)], constant_values=-2.0)
    references = np.concatenate(problem.reference, axis=1)

    def objective(params):
        log_probs = completion_log_prob(params, prompts, completions)
        terms = jnp.exp(log_probs) * (scores - 0.4 * (log_probs - references))
        return terms.sum(-1).mean()

    truth, expected = jax.jit(jax.value_and_grad(objective))(policy)
    value, gradient = objective_and_gradient(policy, problem, tiny)
    assert_allclose(value, truth, atol=1e-5)
    for ours, brute in zip(*map(jax.tree.leaves, (gradient, expected)), strict=True):
        assert_allclose(ours, brute, atol=1e-5)
    assert np.linalg.norm(gradient.wte) > 0.1
    # The bias of the keys adds one number to all scores of a query: softmax drops it.
    queries, keys, values = np.moveaxis(np.abs(gradient.h.c_attn.b), 1, 0)
    assert keys.max() < 1e-6
    assert min(queries.max(), values.max()) > 1e-4


def test_it_vanishes_at_the_optimum_and_only_there(tiny, policy, problem):
    """Pi = pi* where pi_ref is pi exp(-r / beta), normalised; another beta moves it."""
    log_probs = trie.policy_log_probs(policy, tiny)
    learned = problem.learned
    untilt = exact.Problem(log_probs, -learned, -learned, 0.4, penalty=2.0)
    solved = problem._replace(reference=exact.optimum(untilt))
    assert_allclose(exact.gap(solved, log_probs), 0.0, atol=1e-9)
    for beta, is_optimal in [(0.4, True), (0.8, False)]:
        _, gradient = objective_and_gradient(
            policy, solved._replace(kl_weight=beta), tiny
        )
        largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradient))
        assert (largest < 1e-5) if is_optimal else (largest > 0.01)
