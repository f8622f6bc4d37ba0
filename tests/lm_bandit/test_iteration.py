"""One iteration of RLHF: the gradient of its own pulls, and what it hands on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, ppo, rewards, sft
from lm_bandit.config import RLHFConfig
from lm_bandit.generate import completion_log_prob, completion_mask, has_ended
from lm_bandit.reward_table import look_up
from tests.lm_bandit import assembly


@jax.jit
def log_probs_of(params, pulls):
    return completion_log_prob(params, pulls.prompts, pulls.completions, 1.5)


@jax.jit
@jax.grad
def weighted_ascent(params, pulls, advantages):
    return jnp.mean(advantages * log_probs_of(params, pulls))


score_pulls = jax.jit(ppo.score_pulls)


@pytest.mark.slow
def test_an_iteration_follows_the_advantages_of_its_own_pulls():
    """One step of gradient ascent on mean A log pi(y|x), at the pulls' temperature.

    A is R less the mean R of the prompt's other pulls, with the beta of the state. The
    loss on the pretraining texts, which are all equal, has its share of the gradient.
    """
    config = RLHFConfig(pulls=4, epochs=1, minibatches=1, kl_weight=0.3, penalty=-2.0)
    config = replace(config, temperature=1.5, pretraining_weight=0.7)
    start = assembly.iteration(1, config, optax.sgd(0.1))
    policy, fixed = start.state.params.policy, start.fixed
    state, history = assembly.run(start)

    pull_key, _ = jax.random.split(start.key)
    pulls = bandit.pull_all(policy, pull_key, fixed.prompts, 4, 3, 1.5)

    log_ratios = log_probs_of(policy, pulls) - log_probs_of(fixed.reference, pulls)
    scores = look_up(fixed.reward_model, pulls.prompts, pulls.completions)
    ended = has_ended(pulls.completions)
    earned = np.asarray(jnp.where(ended, scores, -2.0) - 0.4 * log_ratios)
    others = (earned.sum(1, keepdims=True) - earned) / 3
    ascent = weighted_ascent(policy, pulls, earned - others).wte
    ascent -= 0.7 * jax.jit(jax.grad(sft.loss))(policy, fixed.texts).wte
    expected = policy.wte + 0.1 * ascent
    assert_allclose(state.params.policy.wte, expected, atol=1e-5)
    assert_allclose(history.kl, log_ratios.mean(), rtol=1e-4)


@pytest.mark.slow
def test_an_iteration_keeps_the_optimizer_the_critics_unit_and_the_next_beta():
    """Also: the ratio moves away from 1, as the old log-probabilities stay."""
    config = RLHFConfig(pulls=4, epochs=2, minibatches=1, view="token")
    config = replace(
        config,
        baseline="value",
        trace_decay=1.0,
        normalize_advantages=True,
        kl_target=2.0,
    )
    start = assembly.iteration(0, config, optax.adam(0.05))
    params, before, _ = start.state
    state, history = assembly.run(start)

    steps, steps_before = (
        optax.tree.get(x, "count") for x in (state.optimizer_state, before)
    )
    assert steps == steps_before + 2
    assert history.improvement.approx_kl > 5e-6
    expected = rewards.adapted_kl_weight(jnp.array(0.4), history.kl, 2.0, 0.1)
    assert_allclose(state.kl_weight, expected, rtol=1e-6)

    pull_key, _ = jax.random.split(start.key)
    pulls = bandit.pull_all(params.policy, pull_key, start.fixed.prompts, 4, 3)
    scored = score_pulls(params.critic, pulls, start.fixed, config)
    costs = np.asarray(0.4 * (pulls.log_probs - scored.references), float)
    to_go = (
        np.asarray(scored.scores)[..., None] - costs[..., ::-1].cumsum(-1)[..., ::-1]
    )
    counts = np.asarray(completion_mask(pulls.completions)) > 0
    errors = (to_go - np.asarray(scored.values))[counts]
    share = 1 - errors.var() / to_go[counts].var()
    assert_allclose(history.improvement.explained_variance, share, atol=1e-3)
