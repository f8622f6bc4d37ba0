"""A reward of your own: its table has the function's values, and PPO climbs it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import ppo
from lm_bandit.config import RLHFConfig
from lm_bandit.oracle import estimates, exact, trie
from lm_bandit.reward_table import look_up, score_texts
from lm_bandit.world import END


def reward(prompt: str, completion: str) -> float:
    """Every text has its own value, and the order of the words counts."""
    letters = "".join(completion.split())
    value = sum((i + 1) * ord(letter) for i, letter in enumerate(letters)) % 97 / 48 - 1
    return value if prompt == "say: and" else -value


def test_every_completion_is_worth_what_the_function_says(tiny, everything):
    table = trie.reward_table(tiny, reward)
    prompts = np.repeat(tiny.prompts[:, None], len(everything), axis=1)
    texts = np.broadcast_to(everything, (2, *everything.shape))
    found = look_up(table, jnp.asarray(prompts), jnp.asarray(texts))
    ended = (everything == END).any(-1)
    assert np.isnan(found[:, ~ended]).all()
    for x, prompt in enumerate(("say: and", "and say:")):
        expected = [reward(prompt, tiny.decode(y)) for y in everything[ended]]
        assert len(set(expected)) > 20
        assert_allclose(found[x, ended], expected, atol=1e-6)
    assert_allclose(trie.learned_scores(table, tiny), found[:, ended])


def test_the_padding_counts_nowhere_and_another_prompt_has_no_value(tiny):
    table = trie.reward_table(tiny, reward)
    texts = jnp.array([[2, END, END], [2, END, 3]])
    prompts = jnp.asarray(tiny.prompts[:1])
    first, second = score_texts(table, jnp.repeat(prompts, 2, axis=0), texts)
    assert first == second == np.float32(reward("say: and", "fine"))
    assert np.isnan(score_texts(table, prompts[:, ::-1] * 0 + 2, texts[:1]))


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["leave_one_out", "value"])
def test_ppo_comes_close_to_the_exact_optimum_of_the_function(tiny, fixed, baseline):
    fixed = fixed._replace(reward_model=trie.reward_table(tiny, reward))
    config = RLHFConfig(
        num_updates=60,
        kl_weight=0.4,
        penalty=-2.0,
        step_size=1e-2,
        baseline=baseline,
        view="token" if baseline == "value" else "completion",
    )
    snapshots, _ = ppo.train(jax.random.key(0), fixed, 3, config, lambda *_: None)
    policy = jax.tree.map(lambda x: x[-1], snapshots)
    reference = trie.policy_log_probs(fixed.reference, tiny)
    values = trie.learned_scores(fixed.reward_model, tiny)
    problem = exact.Problem(reference, values, values, 0.4, -2.0)
    start, best = (
        exact.policy_value(problem, reference),
        exact.optimal_objective(problem),
    )
    reached = exact.policy_value(problem, trie.policy_log_probs(policy, tiny))
    share = (reached.objective - start.objective) / (best - start.objective)
    assert 0.95 < share <= 1.0
    sampled = estimates.estimate_value(
        policy,
        jax.random.key(1),
        fixed.reference,
        fixed.reward_model,
        tiny,
        500,
        config,
    )
    assert (
        abs(sampled.learned.mean - reached.learned) < 5 * sampled.learned.standard_error
    )


@pytest.mark.parametrize("value", [None, "2", float("nan"), 1e300, [1.0]])
def test_a_reward_that_is_no_finite_number_is_named(tiny, value):
    with pytest.raises(ValueError, match=r"reward\('say: and', ''\) must be a finite"):
        trie.reward_table(tiny, lambda prompt, completion: value)
