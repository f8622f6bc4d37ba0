"""PPO for RLHF, against the exact objective and its exact gradient."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, ppo, reward_model, sft, transformer
from lm_bandit.config import RLHFConfig
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import exact, trie
from lm_bandit.ppo import ActorCritic, Fixed
from lm_bandit.transformer import TransformerConfig
from policy_gradient.config import ImproveConfig
from policy_gradient.improvement import improve

CONFIG = RLHFConfig(pulls=8, kl_weight=0.4, penalty=-2.0)


@pytest.fixture(scope="module")
def fixed(tiny, model):
    head = jnp.asarray(np.random.default_rng(3).normal(size=8), jnp.float32)
    scorer = reward_model.RewardModel(model, head, jnp.array(0.7))
    return Fixed(jnp.asarray(tiny.prompts), model, scorer)


@pytest.fixture(scope="module")
def policy(tiny):
    config = TransformerConfig(num_layers=1, num_heads=2, d_model=8)
    return transformer.init(jax.random.key(5), 6, tiny.context, config)


def test_rewards_are_scores_less_the_price_of_leaving_the_reference(fixed, policy):
    """R = r - beta (log pi - log pi_ref), with the penalty for r where cut off."""
    pulls = bandit.pull_all(policy, jax.random.key(0), fixed.prompts, 8, 3)
    params = ActorCritic(policy, critic=None)
    batch, metrics = ppo.estimate(params, pulls, fixed, jnp.array(0.4), CONFIG)
    rewards, kls = np.zeros((2, 2, 8))
    for i, j in np.ndindex(2, 8):
        prompt, completion = fixed.prompts[i], pulls.completions[i, j]
        ended = bool((completion == 0).any())
        score = reward_model.score(fixed.reward_model, prompt, completion)
        kls[i, j] = completion_log_prob(policy, prompt, completion)
        kls[i, j] -= completion_log_prob(fixed.reference, prompt, completion)
        rewards[i, j] = (score if ended else -2.0) - 0.4 * kls[i, j]
    assert 0 < metrics.ended < 1, "the sample must hold both kinds"
    assert_allclose(batch.value_targets[:, 0], rewards.ravel(), atol=1e-4)
    assert_allclose(metrics.objective, rewards.mean(), atol=1e-4)
    assert_allclose(metrics.kl, kls.mean(), atol=1e-5)
    others = (rewards.sum(1, keepdims=True) - rewards) / 7
    assert_allclose(batch.advantages[:, 0], (rewards - others).ravel(), atol=1e-4)


def exact_objective(params, fixed, learned, tiny):
    """J as a differentiable sum over all 312 completions."""
    ended = trie.ended_completions(tiny)
    cut_off = np.stack(np.indices((5, 5, 5)), axis=-1).reshape(-1, 3) + 1
    completions = jnp.asarray(np.concatenate([ended, cut_off]))
    scores = np.pad(learned, [(0, 0), (0, len(cut_off))], constant_values=-2.0)
    of_prompt = jax.vmap(completion_log_prob, (None, None, 0))

    def of_world(params):
        return jax.vmap(of_prompt, (None, 0, None))(params, fixed.prompts, completions)

    log_probs, references = of_world(params), of_world(fixed.reference)
    terms = jnp.exp(log_probs) * (scores - 0.4 * (log_probs - references))
    return terms.sum(-1).mean()


def test_the_first_step_follows_the_exact_gradient_of_the_objective(
    tiny, fixed, policy
):
    """At the old policy: the mean step of 400 batches, within its standard error."""
    learned = trie.learned_scores(fixed.reward_model, tiny)
    truth = jax.grad(exact_objective)(policy, fixed, learned, tiny)
    optimizer = optax.sgd(1.0)
    once = ImproveConfig(epochs=1, minibatches=1, value_weight=0.0)

    def step(key):
        pulls = bandit.pull(policy, key, fixed.prompts, CONFIG.pulls, 3)
        params = ActorCritic(policy, critic=None)
        batch, _ = ppo.estimate(params, pulls, fixed, jnp.array(0.4), CONFIG)
        evaluate = partial(
            ppo.evaluate_completions, prompts=fixed.prompts, config=CONFIG
        )
        loss = ppo.clipped_loss(evaluate, CONFIG)
        state = optimizer.init(params)
        moved, _, diagnostics = improve(
            params, state, key, batch, loss, optimizer, once
        )
        return jax.tree.map(jnp.subtract, moved, params), diagnostics.first_ratio

    keys = jax.random.split(jax.random.key(2), 400)
    steps, ratios = jax.jit(lambda keys: jax.lax.map(step, keys))(keys)
    assert_allclose(ratios, 1.0, atol=1e-5)
    steps = np.hstack([np.reshape(x, (400, -1)) for x in jax.tree.leaves(steps)])
    truth = np.hstack([np.ravel(x) for x in jax.tree.leaves(truth)])
    error = steps.std(0) / 20
    moves = error > 1e-6 * error.max()
    z_scores = ((steps.mean(0) - truth) / np.where(moves, error, 1.0))[moves]
    # About 1,000 correlated scores: their mean square is 1, and none is absurd.
    assert np.mean(z_scores**2) < 1.5
    assert np.abs(z_scores).max() < 5.5
    # And the sum of the errors is small beside the gradient itself.
    assert np.linalg.norm(error) < 0.5 * np.linalg.norm(truth)


def test_ppo_nears_the_exact_optimum_of_a_tiny_world(tiny, fixed):
    config = RLHFConfig(
        num_updates=150, pulls=64, kl_weight=0.4, penalty=-2.0, step_size=1e-2
    )
    snapshots, history = ppo.train(jax.random.key(0), fixed, 3, config)
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, 0.4, -2.0)
    last = jax.tree.map(lambda x: x[-1], snapshots)
    reached = exact.policy_value(problem, trie.policy_log_probs(last, tiny)).objective
    start = exact.policy_value(problem, reference).objective
    share = (reached - start) / (exact.optimal_objective(problem) - start)
    assert share > 0.95
    assert_allclose(history.improvement.first_ratio, 1.0, atol=1e-4)
    assert history.kl[0] == pytest.approx(0.0, abs=1e-6)


def test_a_config_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="kl_weight must be positive, got 0"):
        RLHFConfig(kl_weight=0.0)
    with pytest.raises(ValueError, match="pulls must be at least 2, got 1"):
        RLHFConfig(pulls=1)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_step_size_rises_and_then_keeps_its_schedule(schedule):
    """Of a gradient that stays the same, Adam takes steps of exactly the step size."""
    config = RLHFConfig(
        num_updates=10,
        epochs=2,
        minibatches=1,
        step_size=0.5,
        schedule=schedule,
        warm_up=0.1,
    )
    optimizer, gradient = config.optimizer(), jnp.array([0.1])
    state, steps = optimizer.init(gradient), []
    for _ in range(20):
        step, state = optimizer.update(gradient, state)
        steps.append(-float(step[0]))
    rising, left = np.array([0.0, 0.5]), np.arange(18) / 18
    falling = {
        "constant": np.ones(18),
        "linear": 1 - left,
        "cosine": (1 + np.cos(np.pi * left)) / 2,
    }[schedule]
    assert_allclose(steps, 0.5 * np.append(rising, falling), rtol=1e-4)


def test_a_long_gradient_is_cut_to_the_norm_that_is_allowed():
    config = RLHFConfig(max_gradient_norm=0.5)
    optimizer, gradient = config.optimizer(), jnp.array([30.0, 40.0])
    _, state = optimizer.update(gradient, optimizer.init(gradient))
    first_moment = optax.tree_utils.tree_get(state, "mu")
    assert_allclose(first_moment, 0.1 * np.array([0.3, 0.4]), rtol=1e-5)


def test_pretraining_texts_add_their_own_gradient(fixed, policy, tiny):
    texts = sft.as_texts(np.array([[1, 2, 5, 3, 0]] * 7))  # all the same
    config = RLHFConfig(pretraining_weight=27.8)
    params = ActorCritic(policy, critic=None)
    minibatch = SimpleNamespace(weights=jnp.ones((4, 1)))
    further = ppo.pretraining_loss(texts, config)
    got = jax.grad(further)(params, minibatch, jax.random.key(0)).policy
    one = jax.tree.map(lambda x: x[:1], texts)
    expected = jax.tree.map(lambda x: 27.8 * x, jax.grad(sft.loss)(policy, one))
    for mine, theirs in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
        assert_allclose(mine, theirs, atol=1e-3)
    assert ppo.pretraining_loss(texts, RLHFConfig()) is None
    with pytest.raises(ValueError, match="there are no texts"):
        ppo.pretraining_loss(None, config)
