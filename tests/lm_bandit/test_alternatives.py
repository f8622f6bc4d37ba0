"""PPO's alternatives, against closed forms, loops in numpy, and the exact optimum."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, diagnostics, ppo, reward_model
from lm_bandit.alternatives import methods as alternatives
from lm_bandit.alternatives.methods import (
    GRPO,
    REINFORCE,
    DPOConfig,
    ExpertConfig,
)
from lm_bandit.generate import completion_log_prob, token_log_probs
from lm_bandit.oracle import exact, trie
from lm_bandit.ppo import ActorCritic, State

BETA, PENALTY = 0.4, -2.0
DIALS = {"pulls": 64, "kl_weight": BETA, "penalty": PENALTY, "step_size": 1e-2}


@pytest.fixture(scope="module")
def problem(tiny, fixed):
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    return exact.Problem(reference, learned, learned, BETA, PENALTY)


def one_update(update, policy, fixed, config, writer=None):
    """What a step of gradient descent of size 1 changes, and the pulls it was from."""
    pull_key, _ = jax.random.split(jax.random.key(0))
    pulls = bandit.pull_all(writer or policy, pull_key, fixed.prompts, config.pulls, 3)
    optimizer = optax.sgd(1.0)
    params = ActorCritic(policy, None)
    state = State(params, optimizer.init(params), jnp.array(BETA))
    step = jax.jit(partial(update, length=3, optimizer=optimizer, config=config))
    moved, _ = step(state, jax.random.key(0), fixed)
    return jax.tree.map(jnp.subtract, moved.params.policy, policy), pulls


def facts(pulls, policy, fixed):
    """Of each pull: prompt, completion, score with the penalty, and log pi / pi_ref."""

    @jax.jit
    def of_one(prompt, completion):
        score = reward_model.score(fixed.reward_model, prompt, completion)
        now, then = (
            completion_log_prob(params, prompt, completion)
            for params in (policy, fixed.reference)
        )
        return jnp.where((completion == 0).any(), score, PENALTY), now - then

    scores, log_ratios = jax.vmap(jax.vmap(of_one))(pulls.prompts, pulls.completions)
    for i, j in np.ndindex(scores.shape):
        prompt, completion = pulls.prompts[i, j], np.asarray(pulls.completions[i, j])
        yield i, j, prompt, completion, float(scores[i, j]), float(log_ratios[i, j])


def summed(policy, weighted):
    """Sum of w grad log pi(y|x), over (w, x, y)."""
    weights, prompts, completions = (jnp.array(x) for x in zip(*weighted, strict=True))

    def total(policy):
        log_probs = jax.vmap(completion_log_prob, (None, 0, 0))
        return weights @ log_probs(policy, prompts, completions)

    return jax.jit(jax.grad(total))(policy)


def assert_same_step(got, expected):
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert_allclose(x, y, rtol=1e-3, atol=2e-5)


def test_grpo_standardizes_by_prompt_and_charges_k3(policy, fixed):
    """At pi_old: mean_y 1/|y| sum_t (A - beta (1 - pi_ref / pi)) grad log pi(y_t)."""
    config = replace(GRPO, pulls=8, penalty=PENALTY, epochs=1, minibatches=1)
    step, pulls = one_update(alternatives._update_grpo, policy, fixed, config)
    known = list(facts(pulls, policy, fixed))
    scores = np.array([score for *_, score, _ in known]).reshape(2, 8)
    centred = scores - scores.mean(1, keepdims=True)
    advantages = centred / np.sqrt(np.mean(centred**2, 1, keepdims=True))

    ends = [
        [*row, 0].index(0) + 1 for row in np.asarray(pulls.completions).reshape(16, 3)
    ]
    lengths = np.minimum(ends, 3).reshape(2, 8)

    def objective(policy):
        now, then = (
            token_log_probs(params, pulls.prompts, pulls.completions)
            for params in (policy, fixed.reference)
        )
        k3 = jnp.exp(then - now) - 1 - (then - now)
        tokens = advantages[..., None] * now - BETA * k3
        return jnp.mean(tokens.sum(-1) / lengths)

    assert_same_step(step, jax.jit(jax.grad(objective))(policy))


def test_a_group_of_equals_teaches_nothing():
    assert_allclose(alternatives.group_standardized(jnp.full(8, -4.0)), 0.0)
    rewards = jnp.array([1.0, 2.0, 6.0])
    expected = np.array([-2.0, -1.0, 3.0]) / np.sqrt(14 / 3)
    assert_allclose(alternatives.group_standardized(rewards), expected, rtol=1e-4)


def test_expert_iteration_imitates_the_best_of_each_group(policy, fixed):
    config = ExpertConfig(
        pulls=8, best_of=4, penalty=PENALTY, kl_weight=BETA, epochs=1, minibatches=1
    )
    step, pulls = one_update(alternatives._update_expert, policy, fixed, config)
    groups = {}
    for i, j, prompt, completion, score, log_ratio in facts(pulls, policy, fixed):
        groups.setdefault((i, j // 4), []).append(
            (score - BETA * log_ratio, prompt, completion)
        )
    best = [max(group, key=lambda pull: pull[0]) for group in groups.values()]
    assert len(best) == 4
    assert_same_step(step, summed(policy, [(0.25, x, y) for _, x, y in best]))


def test_dpo_weighs_pairs_by_how_wrong_the_implicit_reward_is(policy, fixed):
    """Rafailov et al. (2023), section 4: beta (p - sigmoid(m)) (grad y1 - grad y2)."""
    dials = {"pulls": 8, "penalty": PENALTY, "epochs": 1, "minibatches": 1}
    config = DPOConfig(**dials)  # the pairs are the reference's
    step, pulls = one_update(
        alternatives._update_dpo, policy, fixed, config, writer=fixed.reference
    )
    known = list(facts(pulls, policy, fixed))
    weighted = []
    for first, second in zip(known[::2], known[1::2], strict=True):
        preferred = 1 / (1 + np.exp(second[4] - first[4]))
        believed = 1 / (1 + np.exp(BETA * (second[5] - first[5])))
        weight = BETA * (preferred - believed) / 8
        weighted += [(weight, *first[2:4]), (-weight, *second[2:4])]
    assert_same_step(step, summed(policy, weighted))


def test_dpo_starts_at_log_2_and_is_least_at_the_optimum():
    """At pi_ref a coin; the implicit reward of pi* is r, up to a constant."""
    reference = jnp.array([-3.0, -5.0])
    start = alternatives.dpo_loss(reference, reference, jnp.array(1.0), BETA)
    assert float(start) == pytest.approx(np.log(2))
    scores = jnp.array([1.5, -0.3])
    preference = jax.nn.sigmoid(scores[0] - scores[1])
    slope = jax.grad(alternatives.dpo_loss)
    best = reference + scores / BETA - 2.0
    at_optimum = slope(best, reference, preference, BETA)
    assert_allclose(at_optimum, 0.0, atol=1e-6)
    from_start = slope(reference, reference, preference, BETA)
    assert from_start[0] < -0.05, "the preferred one rises"


# GRPO's fixed point is another than pi*. On policy the ratio is 1: no clip acts.
@pytest.mark.parametrize(
    ("train", "config", "least"),
    [
        (ppo.train, replace(REINFORCE, **DIALS), 0.85),
        (alternatives.grpo, replace(GRPO, **DIALS), 0.6),
        (alternatives.expert_iteration, ExpertConfig(**DIALS), 0.9),
        (alternatives.dpo, DPOConfig(writer="policy", **DIALS), 0.95),
    ],
    ids=["REINFORCE", "GRPO", "expert iteration", "online DPO"],
)
def test_every_road_leads_towards_the_optimum(
    train, config, least, tiny, fixed, problem
):
    snapshots, history = train(jax.random.key(0), fixed, 3, config)
    diagnostics.require_sound(config.num_updates, snapshots, history, fixed.reference)
    last = diagnostics.row(snapshots, -1)
    reached = exact.policy_value(problem, trie.policy_log_probs(last, tiny)).objective
    start = exact.policy_value(problem, problem.reference).objective
    share = (reached - start) / (exact.optimal_objective(problem) - start)
    assert least < share < 1.0
    clipped = float(history.improvement.clip_fraction.max())
    assert (clipped == 0.0) == (config.epochs * config.minibatches == 1)


def test_configs_refuse_pairs_and_groups_that_do_not_come_out_even():
    with pytest.raises(ValueError, match="best_of must divide pulls = 64, got 7"):
        ExpertConfig(best_of=7)
    with pytest.raises(ValueError, match="2 must divide pulls = 9"):
        DPOConfig(pulls=9, minibatches=1)
