"""What completions earn and how it is compared, against a loop over their tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, ppo, reward_model, rewards
from lm_bandit.config import RLHFConfig
from lm_bandit.ppo import ActorCritic
from lm_bandit.transformer import hidden_states

BETA, PENALTY = 0.3, -2.5
PLAIN = {"pulls": 8, "penalty": PENALTY}

DIALS = [
    {},
    {"baseline": "none"},
    {"baseline": "constant", "baseline_value": 0.7, "kl_at": "end"},
    {"baseline": "average", "view": "token"},
    {"view": "token", "kl_at": "end", "over_tokens": "token_mean"},
    {"view": "token", "temperature": 1.4, "over_tokens": "sequence_mean"},
    {"temperature": 1.7, "reward_scaling": "scale"},
    {"reward_scaling": "whiten", "view": "token", "baseline": "none"},
    {"baseline": "value"},
    {"baseline": "value", "view": "token", "trace_decay": 0.6},
    {
        "baseline": "value",
        "view": "token",
        "trace_decay": 1.0,
        "kl_at": "end",
        "reward_scaling": "scale",
        "normalize_advantages": True,
    },
    {"normalize_advantages": True},
]


@pytest.mark.parametrize("dials", DIALS, ids=lambda x: ",".join(map(str, x.values())))
def test_a_batch_is_what_a_loop_over_its_tokens_makes_of_it(fixed, policy, dials):
    config = RLHFConfig(**PLAIN, **dials)
    # The critic is the reward model moved a little: not to be taken for it.
    critic = fixed.reward_model._replace(bias=jnp.array(-0.4))
    params = ActorCritic(policy, critic if config.baseline == "value" else None)
    pulls = pull(policy, fixed.prompts, config.temperature)
    batch, history = estimate(params, pulls, fixed, jnp.array(BETA), config)
    expected = by_loops(policy, fixed, critic, pulls.completions, config)
    counts = np.asarray(batch.weights) > 0
    assert counts.sum() == sum(len(row["rewards"]) for row in expected)
    assert 0 < history.ended < 1, "the sample must hold both kinds"
    names = {
        "log_probs": batch.log_probs,
        "values": batch.values,
        "advantages": batch.advantages,
        "targets": batch.value_targets,
        "weights": batch.weights,
    }
    for name, got in names.items():
        want = np.concatenate([row[name] for row in expected])
        assert_allclose(np.asarray(got)[counts], want, atol=2e-4, err_msg=name)


pull = jax.jit(
    lambda params, prompts, temperature: bandit.pull(
        params, jax.random.key(0), prompts, 8, 3, temperature
    )
)
estimate = jax.jit(ppo.estimate)
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
        rows.append({"log_probs": log_probs, "rewards": earned, "values": values})

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
            row["targets"] = [sum(row["rewards"][t:]) for t in range(T)]
            row["advantages"] = [g - baseline for g in row["targets"]]
        else:
            v = [*row["values"], 0.0]
            deltas = [row["rewards"][t] + v[t + 1] - v[t] for t in range(T)]
            row["advantages"] = [
                sum(config.trace_decay ** (s - t) * deltas[s] for s in range(t, T))
                for t in range(T)
            ]
            row["targets"] = [row["advantages"][t] + v[t] for t in range(T)]
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


@pytest.mark.parametrize(
    ("kl", "factor"),
    [(6.0, 1.0), (6.6, 1.01), (5.4, 0.99), (100.0, 1.02), (0.0, 0.98), (7.2, 1.02)],
)
def test_beta_rises_above_the_target_and_falls_below_by_a_fifth_of_the_gain(kl, factor):
    """Ziegler et al. (2019), section 2.2, by hand: beta (1 + 0.1 clip(e, -.2, .2))."""
    beta = rewards.adapted_kl_weight(jnp.array(0.5), jnp.array(kl), 6.0, 0.1)
    assert_allclose(beta, 0.5 * factor, rtol=1e-6)
