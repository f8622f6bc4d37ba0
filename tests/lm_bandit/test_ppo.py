"""PPO for RLHF, against loops over tokens, and the exact objective and its gradient."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_softmax

from lm_bandit import bandit, diagnostics, ppo, reward_model, sft
from lm_bandit.config import RLHFConfig
from lm_bandit.generate import (
    token_log_probs,
)
from lm_bandit.oracle import exact, trie
from lm_bandit.oracle.gradient import objective_and_gradient
from lm_bandit.ppo import ActorCritic
from lm_bandit.transformer import hidden_states
from policy_gradient.config import ImproveConfig
from policy_gradient.improvement import improve
from policy_gradient.trajectory import Batch
from tests.lm_bandit import assembly, inputs

BETA, PENALTY = 0.3, -2.5
CONFIG = RLHFConfig(pulls=8, kl_weight=0.4, penalty=-2.0)


KEYS = "view baseline kl_at over_tokens reward_scaling temperature normalize_advantages"
DIALS = [
    ("completion", "leave_one_out", "tokens", "sum", "none", 1.0, False),
    ("completion", "constant", "end", "sum", "scale", 1.7, False),
    ("token", "average", "tokens", "sequence_mean", "whiten", 1.4, False),
    ("token", "none", "end", "token_mean", "none", 1.0, True),
    ("completion", "value", "tokens", "sum", "none", 1.0, False),
    ("token", "value", "tokens", "sum", "scale", 1.0, True),
]


@pytest.mark.parametrize("dials", DIALS, ids=lambda dials: ",".join(dials[:5]))
def test_a_batch_is_what_a_loop_over_its_tokens_makes_of_it(fixed, policy, dials):
    config = RLHFConfig(pulls=8, penalty=PENALTY, baseline_value=0.7, trace_decay=0.6)
    config = replace(config, **dict(zip(KEYS.split(), dials, strict=True)))
    # The critic is the reward model moved a little: not to be taken for it.
    critic = fixed.reward_model._replace(bias=jnp.array(-0.4))
    params = ActorCritic(policy, critic if config.baseline == "value" else None)
    key, temperature = jax.random.key(0), config.temperature
    pulls = pull(policy, key, fixed.prompts, temperature=temperature)
    batch, history = estimate(params, pulls, fixed, jnp.array(BETA), config)
    expected = by_loops(policy, fixed, critic, pulls.completions, config)
    counts = np.asarray(batch.weights) > 0
    assert counts.sum() == sum(len(row["rewards"]) for row in expected)
    assert 0 < history.ended < 1, "the sample must hold both kinds"
    for name in ("log_probs", "values", "advantages", "value_targets", "weights"):
        want = np.concatenate([row[name] for row in expected])
        got = np.asarray(getattr(batch, name))[counts]
        assert_allclose(got, want, atol=2e-4, err_msg=name)
    kl = np.mean([row["kl"] for row in expected])
    score = np.mean([row["score"] for row in expected])
    assert_allclose(history.kl, kl, atol=1e-4)
    assert_allclose(history.objective, score - BETA * kl, atol=1e-4)


pull = jax.jit(partial(bandit.pull, count=8, length=3))


@jax.jit
def estimate(params, pulls, fixed, kl_weight, config):
    """The batch of an update, and the history, before anything is improved."""
    scored = ppo.score_pulls(params.critic, pulls, fixed, config)
    trajectories = ppo.reward_pulls(pulls, scored, kl_weight, config)
    earned = trajectories.rewards.sum(-1)
    history = diagnostics.measure_pulls(
        params.policy,
        fixed.reward_model,
        pulls,
        scored,
        earned,
        kl_weight,
        config.temperature,
    )
    return ppo.compare_pulls(pulls.completions, trajectories, config), history


read = jax.jit(jax.vmap(hidden_states, (None, 0)))


def by_loops(policy, fixed, critic, completions, config):
    """The equations of Ziegler et al. (2019), token by token: a list of completions."""
    k, n, C = completions.shape
    P = fixed.prompts.shape[1]
    prompts = np.repeat(np.asarray(fixed.prompts)[:, None], n, axis=1)
    texts = np.concatenate([prompts, completions], axis=2).reshape(k * n, P + C)
    hidden = {
        "now": (policy, read(policy, texts)),
        "ref": (fixed.reference, read(fixed.reference, texts)),
    }
    by_scorer = np.asarray(read(fixed.reward_model.trunk, texts), np.float64)
    by_critic = np.asarray(read(critic.trunk, texts), np.float64)

    def log_prob(who, i, t):  # of token t, by the state before it
        model, states = hidden[who]
        logits = np.asarray(states[i, P + t - 1] @ model.wte.T, np.float64)
        logits = logits / config.temperature
        return logits[texts[i, P + t]] - np.log(np.exp(logits).sum())

    rows = []
    for i in range(k * n):
        ends = [t for t in range(C) if texts[i, P + t] == 0]
        length = ends[0] + 1 if ends else C
        log_probs = [log_prob("now", i, t) for t in range(length)]
        kls = [log_probs[t] - log_prob("ref", i, t) for t in range(length)]
        score = PENALTY
        if ends:
            model = fixed.reward_model
            score = by_scorer[i, P + length - 1] @ model.head + model.bias
        if config.kl_at == "end":
            earned = [0.0] * (length - 1) + [score - BETA * sum(kls)]
        else:
            earned = [-BETA * kl for kl in kls]
            earned[-1] += score
        values = [
            by_critic[i, P + t - 1] @ critic.head + critic.bias for t in range(length)
        ]
        if config.view == "completion":
            log_probs, earned, values = [sum(log_probs)], [sum(earned)], values[:1]
        row = {"log_probs": log_probs, "rewards": earned, "values": values}
        rows.append(row | {"kl": sum(kls), "score": score})

    if config.reward_scaling != "none":
        every = np.concatenate([row["rewards"] for row in rows])
        away = every.mean() if config.reward_scaling == "whiten" else 0.0
        for row in rows:
            row["rewards"] = [(r - away) / every.std() for r in row["rewards"]]

    for i, row in enumerate(rows):
        group = rows[i // n * n : (i // n + 1) * n]
        totals = [sum(other["rewards"]) for other in group]
        T = len(row["rewards"])
        if config.baseline != "value":
            own = sum(row["rewards"])
            baseline = {
                "none": 0.0,
                "constant": config.baseline_value,
                "average": sum(totals) / n,
                "leave_one_out": (sum(totals) - own) / (n - 1),
            }[config.baseline]
            row["values"] = [baseline] * T
            row["value_targets"] = [sum(row["rewards"][t:]) for t in range(T)]
            row["advantages"] = [g - baseline for g in row["value_targets"]]
        else:
            v = [*row["values"], 0.0]
            deltas = [row["rewards"][t] + v[t + 1] - v[t] for t in range(T)]
            row["advantages"] = [
                sum(config.trace_decay ** (s - t) * deltas[s] for s in range(t, T))
                for t in range(T)
            ]
            row["value_targets"] = [row["advantages"][t] + v[t] for t in range(T)]
        mean_length = sum(len(other["rewards"]) for other in rows) / len(rows)
        share = {"sum": 1, "sequence_mean": T, "token_mean": mean_length}
        row["weights"] = [1 / share[config.over_tokens]] * T

    if config.normalize_advantages:
        every = np.concatenate([row["advantages"] for row in rows])
        for row in rows:
            row["advantages"] = [
                (a - every.mean()) / every.std() for a in row["advantages"]
            ]
    return rows


@pytest.mark.slow
def test_the_critic_begins_as_the_reward_model_and_never_sees_its_own_token(fixed):
    """V(t) is the head on the prompt and y_<t: other tokens from t on, the same V."""
    critic = fixed.reward_model
    rng = np.random.default_rng(0)
    completions = jnp.asarray(rng.integers(1, 6, size=(2, 6, 3)))
    prompts = jnp.repeat(fixed.prompts[:, None], 6, axis=1)
    zeros = jnp.zeros((2, 6, 3))
    config = RLHFConfig(baseline="value", view="token", pulls=6)
    params = ActorCritic(fixed.reference, critic)

    def values(completions):
        pulls = bandit.Pulls(prompts, completions, zeros)
        return estimate(params, pulls, fixed, jnp.array(BETA), config)[0].values

    before = values(completions)
    for t in range(3):
        others = completions.at[..., t:].set(completions[..., t:] % 5 + 1)
        assert_allclose(values(others)[:, : t + 1], before[:, : t + 1], atol=1e-6)
        if t < 2:
            assert np.abs(values(others) - before)[:, t + 1].min() > 1e-6
    # A prefix that ends in y_t is what the reward model would read at y_t.
    text = jnp.concatenate([fixed.prompts[0], completions[0, 0, :2]])
    head = reward_model.apply_head(critic, hidden_states(critic.trunk, text)[-1])
    assert_allclose(before[0, 2], head, atol=1e-5)


# Gradients of the two views, of all 156 completions of each prompt, in float64.
PLAIN = {"penalty": -2.0, "trace_decay": 1.0, "entropy_weight": 0.0}


def some(seed=0):
    """Weights that select 12 completions of each prompt, of each length and kind."""
    chosen = np.random.default_rng(seed).choice(60, size=12, replace=False)
    return np.isin(np.arange(156), chosen)[None] * np.ones((2, 1))


@pytest.fixture(scope="module")
def gradient(fixed, policy, everything):
    """A function: the gradient of PPO's loss at the old parameters, flat.

    Each completion of each prompt may have a weight [k, 156] of its own.
    """
    with jax.enable_x64(True):
        fixed, policy = jax.tree.map(
            lambda x: x.astype(float) if x.dtype == jnp.float32 else x, (fixed, policy)
        )
        completions = jnp.asarray([everything] * 2, jnp.int32)
        prompts = jnp.repeat(fixed.prompts[:, None], 156, axis=1)
        log_probs = jax.jit(token_log_probs)(policy, prompts, completions)
        pulls = bandit.Pulls(prompts, completions, log_probs)

    @jax.jit
    def flat_gradient(policy, fixed, pulls, weights, config):
        params, beta = ActorCritic(policy, critic=None), jnp.array(config.kl_weight)
        batch, _ = estimate(params, pulls, fixed, beta, config)
        batch = batch._replace(weights=batch.weights * weights.reshape(-1, 1))
        loss = partial(ppo.loss, batch=batch, prompts=fixed.prompts, config=config)
        gradients = jax.grad(lambda params: loss(params)[0])(params)
        return jnp.concatenate([x.ravel() for x in jax.tree.leaves(gradients)])

    def of(weights, **settings):
        config = RLHFConfig(kl_weight=0.4, **PLAIN, **settings)
        with jax.enable_x64(True):
            weights = jnp.asarray(weights, float)
            return np.asarray(flat_gradient(policy, fixed, pulls, weights, config))

    of.probs = np.exp(np.asarray(log_probs).sum(-1))
    return of


def angle(x, y):
    """The angle between two vectors, in degrees."""
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.slow
def test_both_views_have_one_gradient_where_all_is_charged_at_the_end(gradient):
    """sum_t A grad log pi(y_t) = A grad log pi(y): for every batch, term by term."""
    of_tokens, of_texts = (
        gradient(some(), kl_at="end", view=view) for view in ("token", "completion")
    )
    assert_allclose(of_tokens, of_texts, atol=1e-12)
    assert np.linalg.norm(of_texts) > 0.01


@pytest.mark.slow
def test_a_price_per_token_leaves_the_gradients_equal_in_expectation_only(gradient):
    """The KL paid before a token does not depend on it: its terms have mean 0."""
    token, completion = (
        partial(gradient, kl_at="tokens", baseline="none", view=view)
        for view in ("token", "completion")
    )
    by_probability = gradient.probs * 156
    assert_allclose(token(by_probability), completion(by_probability), atol=1e-12)
    assert angle(token(some()), completion(some())) > 1.0, "of one batch they differ"


@pytest.mark.slow
def test_means_over_tokens_are_other_objectives(gradient, everything):
    """token_mean is shorter by the mean length; sequence_mean points elsewhere."""
    by = {
        name: partial(gradient, kl_at="end", view="token", over_tokens=name)
        for name in ("sum", "sequence_mean", "token_mean")
    }
    ends = np.stack([everything] * 2) == 0
    lengths = np.where(ends.any(-1), ends.argmax(-1) + 1, 3)
    whole = by["sum"](some())
    assert_allclose(by["token_mean"](some()) * lengths.mean(), whole, atol=1e-12)
    by_sequence = by["sequence_mean"](some())
    assert_allclose(by_sequence, by["sum"](some() / lengths), atol=1e-12)
    assert angle(by_sequence, whole) > 1.0


@pytest.mark.slow
def test_the_first_step_follows_the_exact_gradient(tiny, fixed, policy, problem):
    """At the old policy: the mean step of 400 batches, within its standard error."""
    _, truth = objective_and_gradient(policy, problem, tiny)
    optimizer = optax.sgd(1.0)
    once = ImproveConfig(epochs=1, minibatches=1, value_weight=0.0)

    def step(key):
        pulls = bandit.pull(policy, key, fixed.prompts, CONFIG.pulls, 3)
        params = ActorCritic(policy, critic=None)
        batch, _ = estimate(params, pulls, fixed, jnp.array(0.4), CONFIG)
        loss = partial(ppo.loss, prompts=fixed.prompts, config=CONFIG)
        state = optimizer.init(params)
        moved, _, measured = improve(params, state, key, batch, loss, optimizer, once)
        return jax.tree.map(jnp.subtract, moved, params), measured.first_ratio

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


def test_the_first_critic_knows_what_the_reward_model_knows_and_a_table_is_no_model():
    config = RLHFConfig(baseline="value")
    _, _, fixed, *_ = assembly.iteration(0, config, optax.sgd(0.1))
    head, bias = jnp.arange(1.0, 5.0), jnp.array(-0.5)
    learned = reward_model.RewardModel(inputs.model(7), head, bias)
    critic = ppo.first_critic(fixed._replace(reward_model=learned))
    for got, expected in zip(*map(jax.tree.leaves, (critic, learned)), strict=True):
        assert_allclose(got, expected)
    critic = ppo.first_critic(fixed)  # of a table of rewards
    assert_allclose(critic.head, 0.0)
    assert_allclose(critic.bias, 0.0)
    assert_allclose(critic.trunk.wte, fixed.reference.wte)


@pytest.mark.slow
def test_ppo_nears_the_exact_optimum_of_a_tiny_world(tiny, fixed, problem):
    config = replace(CONFIG, num_updates=100, pulls=64, step_size=1e-2)
    snapshots, history = ppo.train(jax.random.key(0), fixed, 3, config)
    last = jax.tree.map(lambda x: x[-1], snapshots)
    reached = exact.policy_value(problem, trie.policy_log_probs(last, tiny)).objective
    start = exact.policy_value(problem, problem.reference).objective
    share = (reached - start) / (exact.optimal_objective(problem) - start)
    assert share > 0.95
    assert_allclose(history.improvement.first_ratio, 1.0, atol=1e-4)
    assert history.kl[0] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.slow
def test_pretraining_texts_add_their_own_gradient(fixed, policy, tiny):
    texts = sft.as_texts(np.array([[1, 2, 5, 3, 0]] * 7))  # all the same
    config = RLHFConfig(pretraining_weight=27.8)
    params = ActorCritic(policy, critic=None)
    minibatch = Batch(None, None, *[jnp.ones((4, 1))] * 5)
    further = ppo.pretraining_loss(texts, config)
    got = jax.jit(jax.grad(further))(params, minibatch, jax.random.key(0)).policy
    one = jax.tree.map(lambda x: x[:1], texts)
    expected = jax.jit(jax.grad(sft.loss))(policy, one)
    for mine, theirs in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
        assert_allclose(mine, 27.8 * theirs, atol=1e-3)
    assert ppo.pretraining_loss(texts, RLHFConfig()) is None
    with pytest.raises(ValueError, match="there are no texts"):
        ppo.pretraining_loss(None, config)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["token", "completion"])
def test_the_entropy_counts_no_token_after_the_end(fixed, policy, view):
    """The entropy of each token before and at the end, from scipy's log-softmax."""
    completions = jnp.array([[1, 0, 0], [2, 1, 3]])  # one ends, one is cut off
    which, lengths = jnp.array([0, 1]), np.array([2, 3])
    _, found, _ = ppo.evaluate_completions(
        ActorCritic(policy, None),
        which,
        completions,
        fixed.prompts,
        RLHFConfig(view=view),
    )
    texts = np.concatenate([fixed.prompts[which], completions], axis=1)
    states = np.asarray(read(policy, texts), np.float64)
    first = fixed.prompts.shape[1] - 1
    log_probs = log_softmax(states @ np.asarray(policy.wte).T, axis=-1)
    entropies = -(np.exp(log_probs) * log_probs).sum(-1)[:, first : first + 3]
    entropies *= np.arange(3) < lengths[:, None]
    expected = entropies if view == "token" else entropies.sum(1, keepdims=True)
    assert_allclose(found, expected, atol=1e-5)
