"""DPO on a finite set of pairs, against gradient descent on its loss."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.alternatives.dpo import dpo_loss
from lm_bandit.oracle import exact, pairs
from tests.lm_bandit import inputs


def flat(policy):
    return np.concatenate(policy, axis=1)


def test_following_the_loss_from_the_reference_ends_at_the_table():
    """Two islands, of three completions and of two; the others are in no pair."""
    problem = inputs.problem(np.random.default_rng(0))
    reference = flat(problem.reference)
    cut_off = np.full((2, 2), problem.penalty)
    rewards = np.hstack([problem.learned, cut_off])
    last = reference.shape[1] - 1  # a completion that is cut off
    drawn = np.array([[[0, 1], [1, last], [1, 0], [2, 3]]] * 2)
    wins = jax.nn.sigmoid(rewards[0][drawn[0, :, 0]] - rewards[0][drawn[0, :, 1]])

    def loss(logits):
        both = jax.nn.log_softmax(logits)[drawn[0]], jnp.asarray(reference[0])[drawn[0]]
        return jax.vmap(lambda *pair: dpo_loss(*pair, problem.kl_weight))(
            *both, wins
        ).mean()

    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(loss))
        logits = jnp.asarray(reference[0])
        for _ in range(3000):
            logits -= 4.0 / problem.kl_weight**2 * slope(logits)
        expected = jax.nn.log_softmax(logits)
    found = pairs.fitted_to_pairs(problem, drawn)
    assert_allclose(flat(found)[0], expected, atol=1e-6)
    assert_allclose(np.exp(flat(found)).sum(1), 1.0, rtol=1e-9)
    assert exact.kl(found, exact.optimum(problem)) > 1e-3


def test_pairs_that_connect_everything_lead_to_the_optimum(rng):
    problem = inputs.problem(rng)
    count = flat(problem.reference).shape[1]
    chain = np.column_stack([np.arange(count - 1), np.arange(1, count)])
    found = pairs.fitted_to_pairs(problem, np.array([chain] * 2))
    assert_allclose(flat(found), flat(exact.optimum(problem)), atol=1e-9)


def test_pairs_are_drawn_as_often_as_the_reference_writes_them(rng):
    problem = inputs.problem(rng)
    drawn = pairs.drawn_pairs(problem, 5000, rng)
    assert drawn.shape == (2, 5000, 2)
    probs = np.exp(flat(problem.reference))
    for row, chance in zip(drawn, probs, strict=True):
        shares = np.bincount(row.ravel(), minlength=len(chance)) / row.size
        assert_allclose(shares, chance, atol=4 * np.sqrt(0.25 / row.size))
