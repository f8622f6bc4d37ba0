"""Attention, against one query after another."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from lm_bandit.transformer import causal_attention
from tests.lm_bandit import inputs, oracles
from tests.lm_bandit.inputs import array

compiled = jax.jit(causal_attention, static_argnames="start")


def test_each_query_has_the_mean_of_what_it_may_see(rng):
    case = inputs.attention(rng, 2, 5, 4, 2, heads=(2,))
    mixed = compiled(*case.values())
    for head in range(2):
        of_head = (case[name][head] for name in ("queries", "keys", "values"))
        expected = oracles.attended(*of_head, case["start"])
        assert_allclose(mixed[head], expected, rtol=1e-4, atol=1e-5)


def test_what_comes_later_changes_nothing_that_came_before(rng):
    case = inputs.attention(rng, 3, 3, 2, 0)
    before = causal_attention(*case.values())
    for t in (1, 2):
        later = {
            name: case[name].at[t:].set(5.0) for name in ("queries", "keys", "values")
        }
        assert_allclose(causal_attention(**later, start=0)[:t], before[:t], rtol=1e-5)


def test_queries_that_nothing_answers_see_the_mean(rng):
    values = array(rng.normal(size=(3, 2)))
    mixed = causal_attention(jnp.zeros((3, 2)), jnp.ones((3, 2)), values, 0)
    means = [np.asarray(values)[: t + 1].mean(0) for t in range(3)]
    assert_allclose(mixed, means, rtol=1e-5, atol=1e-6)
