"""The oracle, against brute force and the theory of KL-regularised bandits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.oracle import exact, trie
from lm_bandit.world import pocket_world

BETA, PENALTY = 0.4, -2.0


@pytest.fixture(scope="module")
def scorer(fixed):
    return fixed.reward_model


@pytest.fixture(scope="module")
def problem(tiny, model, scorer):
    gold = np.random.default_rng(0).normal(size=(2, 31))
    reference = trie.policy_log_probs(model, tiny)
    learned = trie.learned_scores(scorer, tiny)
    return exact.Problem(reference, gold, learned, BETA, PENALTY)


def test_the_default_world_is_as_large_as_it_says():
    world = pocket_world()
    ended = trie.ended_completions(world)
    assert world.num_prompts * len(ended) == 202_080
    assert len(np.unique(ended, axis=0)) == len(ended)
    assert np.all((ended == 0).any(1))


def test_the_trie_gives_each_completion_the_score_that_the_reward_model_gives_it(
    tiny, scorer
):
    scores = trie.learned_scores(scorer, tiny)
    ended = jnp.asarray(trie.ended_completions(tiny))
    score = jax.vmap(reward_model.score, (None, None, 0))
    for i, prompt in enumerate(jnp.asarray(tiny.prompts)):
        assert_allclose(scores[i], score(scorer, prompt, ended), atol=1e-5)


def test_the_value_of_a_policy_is_a_sum_over_everything_it_could_say(
    tiny, policy, problem
):
    log_probs = trie.policy_log_probs(policy, tiny)
    gold = learned = kl = 0.0
    for i in range(2):
        for ended in (True, False):
            mine = log_probs.ended[i] if ended else log_probs.cut_off[i]
            theirs = problem.reference[0 if ended else 1][i]
            for j, (p, q) in enumerate(zip(mine, theirs, strict=True)):
                gold += np.exp(p) * (problem.gold[i, j] if ended else PENALTY) / 2
                learned += np.exp(p) * (problem.learned[i, j] if ended else PENALTY) / 2
                kl += np.exp(p) * (p - q) / 2
    expected = (gold, learned, kl, learned - BETA * kl)
    assert_allclose(exact.policy_value(problem, log_probs), expected, rtol=1e-9)
    assert kl > 0


def test_the_optimum_is_worth_beta_log_z(problem):
    best = exact.optimum(problem)
    totals = np.exp(best.ended).sum(-1) + np.exp(best.cut_off).sum(-1)
    assert_allclose(totals, 1.0)
    value = exact.policy_value(problem, best)
    assert_allclose(value.objective, exact.optimal_objective(problem), rtol=1e-12)


def test_regret_is_beta_times_the_divergence_from_the_optimum(tiny, policy, problem):
    """J* - J(pi) = beta KL(pi || pi*), for any pi: the optimum is unique."""
    log_probs = trie.policy_log_probs(policy, tiny)
    best = exact.optimum(problem)
    divergence = exact.kl(log_probs, best)
    regret = exact.optimal_objective(problem)
    regret -= exact.policy_value(problem, log_probs).objective
    assert_allclose(regret, BETA * divergence, atol=1e-9)


def test_no_policy_lies_above_the_frontier(tiny, policy, problem):
    betas = np.geomspace(20, 0.02, 60)
    values = exact.frontier(problem, betas)
    kl, learned = np.array([(v.kl, v.learned) for v in values]).T
    assert np.all(np.diff(kl) > 0)
    assert np.all(np.diff(learned) > 0)
    # A line of slope beta supports it: the trade-off is concave.
    slopes = np.diff(learned) / np.diff(kl)
    assert np.all((slopes < betas[:-1]) & (slopes > betas[1:]))
    for seed in range(5):
        noise = np.random.default_rng(seed).normal(size=(2, 31))
        nudged = exact.optimum(problem._replace(learned=problem.learned + noise))
        value = exact.policy_value(problem, nudged)
        assert value.learned < np.interp(value.kl, kl, learned) + 1e-6


def test_the_frontier_need_not_tell_cut_off_completions_apart(problem):
    (merged,) = exact.frontier(problem, np.array([BETA]))
    assert_allclose(
        merged, exact.policy_value(problem, exact.optimum(problem)), rtol=1e-9
    )


def random_policy(rng):
    """Of two prompts: 30 completions that end, 10 that do not."""
    logits = rng.normal(size=(2, 40))
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return exact.LogProbs(logits[:, :30], logits[:, 30:])


@pytest.fixture(scope="module")
def drawn():
    """A problem with scores that repeat, and a policy: all random."""
    rng = np.random.default_rng(7)
    learned = rng.integers(-3, 4, size=(2, 30)).astype(float)
    problem = exact.Problem(random_policy(rng), learned, learned, 0.3, -2.0)
    return problem, random_policy(rng)


def test_what_is_left_to_gain_is_the_kl_to_the_optimum(drawn):
    """J* - J(pi) = beta KL(pi || pi*), and no random policy is worth J*."""
    problem, _ = drawn
    for seed in range(20):
        policy = random_policy(np.random.default_rng(seed))
        value = exact.policy_value(problem, policy).objective
        left = exact.optimal_objective(problem) - value
        assert_allclose(exact.gap(problem, policy), left, atol=1e-9)
        assert left > 0.01
    assert_allclose(exact.gap(problem, exact.optimum(problem)), 0.0, atol=1e-12)


def test_kl_both_ways_and_entropy_are_sums_over_all_completions(drawn):
    problem, policy = drawn
    p, q = (np.hstack(x) for x in (policy, problem.reference))
    forth, back = np.exp(p) * (p - q), np.exp(q) * (q - p)
    assert_allclose(exact.kl(policy, problem.reference), forth.sum(-1).mean())
    assert_allclose(exact.reverse_kl(policy, problem.reference), back.sum(-1).mean())
    assert_allclose(exact.entropy(policy), -(np.exp(p) * p).sum(-1).mean())


@pytest.mark.parametrize("n", [1, 2, 5])
def test_best_of_n_is_what_sampling_n_and_keeping_the_best_gives(drawn, n):
    """Ties are many here, and -2 is the score of ten that are cut off, too."""
    problem, _ = drawn
    rng = np.random.default_rng(n)
    exactly = np.exp(np.hstack(exact.best_of_n(problem, n)))
    assert_allclose(exactly.sum(-1), 1.0, atol=1e-12)
    count = 20_000
    for i in range(2):
        probs = np.exp(np.hstack(problem.reference)[i])
        scores = np.append(problem.learned[i], np.full(10, problem.penalty))
        draws = rng.choice(40, size=(count, n), p=probs / probs.sum())
        # Of several that are best, the first drawn: any of them, as pi_ref has it.
        kept = draws[np.arange(count), scores[draws].argmax(1)]
        seen = np.bincount(kept, minlength=40)
        expected = count * exactly[i]
        likely = expected > 5
        chi_squared = np.sum((seen - expected)[likely] ** 2 / expected[likely])
        assert chi_squared < 80  # 99.9% with at most 40 degrees of freedom is 73


def test_the_best_of_one_is_the_reference_and_of_more_is_worth_more(drawn):
    problem, _ = drawn
    for mine, one in zip(problem.reference, exact.best_of_n(problem, 1), strict=True):
        assert_allclose(one, mine, atol=1e-12)
    worth = [
        exact.policy_value(problem, exact.best_of_n(problem, n)).learned
        for n in (1, 2, 3, 8, 64, 4096)
    ]
    assert np.all(np.diff(worth) > 0)
    assert_allclose(worth[-1], problem.learned.max(-1).mean(), atol=1e-3)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        exact.best_of_n(problem, 0)


@pytest.mark.parametrize("learned", [[[0.0, 1.0, 2.0]], [[0.0, 2.0, 1.0]]])
def test_best_of_n_keeps_what_is_too_rare_for_a_float(learned):
    """One of chance e^-800 and score r gains log n + (n - 1) log F(r)."""
    likely = np.log([0.3, 0.5, 0.2])
    reference = exact.LogProbs(
        np.array([[likely[0], -800.0, likely[1]]]), likely[None, 2:]
    )
    problem = exact.Problem(reference, *[np.array(learned)] * 2, 0.3, -2.0)
    up_to = 0.5 if learned[0][1] == 1.0 else 1.0
    best = exact.best_of_n(problem, 4)
    expected = -800.0 + np.log(4) + 3 * np.log(up_to)
    assert_allclose(best.ended[0, 1], expected, atol=1e-9)
    assert 0 < exact.kl(best, reference) < exact.best_of_n_kl_bound(4)


def test_the_kl_of_best_of_n_is_below_its_bound(drawn):
    """Equal to it where every score is rare and its own."""
    problem, _ = drawn
    for n in (1, 2, 4, 16, 256):
        kl = exact.kl(exact.best_of_n(problem, n), problem.reference)
        assert kl <= exact.best_of_n_kl_bound(n) + 1e-12
    many = np.full((1, 200_000), -np.log(200_001))
    reference = exact.LogProbs(many, many[:, :1])
    learned = np.arange(200_000.0)[None]
    fine = exact.Problem(reference, learned, learned, 0.3, -2.0)
    kl = exact.kl(exact.best_of_n(fine, 16), reference)
    assert_allclose(kl, exact.best_of_n_kl_bound(16), atol=1e-3)
