"""One short run of each algorithm by plain gradient descent, shared by its tests."""

from functools import partial

import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from lm_bandit import bandit, diagnostics, reward_model
from lm_bandit.generate import completion_log_prob
from lm_bandit.oracle import exact, trie

BETA, PENALTY = 0.4, -2.0
SETTINGS = {
    "kl_weight": BETA,
    "penalty": PENALTY,
    "epochs": 1,
    "minibatches": 1,
    "num_updates": 60,
    "pulls": 16,
}


def descending(config_class, step_size):
    """A config of this class for a short run by plain gradient descent."""

    class Descent(config_class):
        def optimizer(self):
            return optax.sgd(step_size)

    return partial(Descent, **SETTINGS)


def assert_same_step(step, expected):
    for got, exactly in zip(*map(jax.tree.leaves, (step, expected)), strict=True):
        assert_allclose(got, exactly, rtol=1e-3, atol=2e-5)


@pytest.fixture(scope="session")
def short_run(tiny, fixed):
    """The second update of a run: its step, policy, and pulls; and where the run ends.

    Before the second update the policy is no longer the reference. The run, which must
    be sound, ends at a share of the way to J*.
    """
    learned = trie.learned_scores(fixed.reward_model, tiny)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    problem = exact.Problem(reference, learned, learned, BETA, PENALTY)
    start = exact.policy_value(problem, reference).objective

    def run(train, config):
        key = jax.random.key(0)
        snapshots, history = train(key, fixed, 3, config)
        diagnostics.require_sound(60, snapshots, history, fixed.reference)
        last = trie.policy_log_probs(diagnostics.row(snapshots, -1), tiny)
        gained = exact.policy_value(problem, last).objective - start
        share = gained / (exact.optimal_objective(problem) - start)
        policy, moved = (diagnostics.row(snapshots, i) for i in (0, 1))
        pull_key, _ = jax.random.split(jax.random.fold_in(key, 1))
        pulls = bandit.pull_all(policy, pull_key, fixed.prompts, 16, 3)
        return jax.tree.map(np.subtract, moved, policy), policy, pulls, share

    return run


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
