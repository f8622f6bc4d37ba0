"""One short run of each algorithm by plain gradient descent, shared by its tests."""

import jax
import numpy as np
import pytest

from lm_bandit import bandit, diagnostics, reward_model
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import exact, trie

BETA, PENALTY = 0.4, -2.0
SETTINGS = {"kl_weight": BETA, "penalty": PENALTY, "epochs": 1, "minibatches": 1}


@pytest.fixture(scope="session")
def share_reached(tiny, fixed):
    """The share of the way to J* of the last policy of a run, which must be sound."""
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, BETA, PENALTY)
    start = exact.policy_value(problem, reference).objective

    def share(snapshots, history):
        count = len(history.score)
        diagnostics.require_sound(count, snapshots, history, fixed.reference)
        last = trie.policy_log_probs(diagnostics.row(snapshots, -1), tiny)
        gained = exact.policy_value(problem, last).objective - start
        return gained / (exact.optimal_objective(problem) - start)

    return share


@pytest.fixture(scope="session")
def second_update(fixed):
    """The step of a run's second update, its policy, and the pulls that it used.

    Before the second update the policy is no longer the reference.
    """

    def look(key, snapshots, count):
        policy, moved = (diagnostics.row(snapshots, i) for i in (0, 1))
        pull_key, _ = jax.random.split(jax.random.fold_in(key, 1))
        pulls = bandit.pull_all(policy, pull_key, fixed.prompts, count, 3)
        return jax.tree.map(np.subtract, moved, policy), policy, pulls

    return look


@pytest.fixture(scope="session")
def facts(fixed):
    """For each pull: prompt, completion, score with penalty, and log pi / pi_ref."""

    @jax.jit
    def measure(policy, pulls):
        scores = reward_model.score(
            fixed.reward_model, pulls.prompts, pulls.completions
        )
        log_probs, references = (
            completion_log_prob(params, pulls.prompts, pulls.completions)
            for params in (policy, fixed.reference)
        )
        return scores, log_probs - references

    def list_facts(policy, pulls):
        scores, log_ratios = measure(policy, pulls)
        for i, j in np.ndindex(scores.shape):
            completion = np.asarray(pulls.completions[i, j])
            score = float(scores[i, j]) if (completion == 0).any() else PENALTY
            yield pulls.prompts[i, j], completion, score, float(log_ratios[i, j])

    return list_facts
