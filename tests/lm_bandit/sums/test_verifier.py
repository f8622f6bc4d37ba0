"""The verifier pays for right sums, and for nothing else."""

import numpy as np
import pytest

from lm_bandit.oracle import trie
from lm_bandit.sums.pass_at_k import success_probs
from lm_bandit.sums.verifier import verifier_table, verify, verify_last_word
from lm_bandit.sums.world import (
    EQUALS,
    PLUS,
    babble_sums,
    sums_world,
    written_probs,
    written_sums,
)


@pytest.mark.parametrize(
    ("completion", "earned"),
    [
        ("1 2", 1.0),
        ("1 3", 0.0),
        ("2", 0.0),
        ("2 1", 0.0),
        ("0 1 2", 0.0),
        ("1 2 1", 0.0),
        ("1 2 +", 0.0),
        ("= 1 2", 0.0),
        ("1 2 ...", 0.0),  # cut off
        ("", 0.0),
    ],
)
def test_a_sum_is_right_as_a_whole_or_earns_nothing(completion, earned):
    assert verify("7 + 5 =", completion) == earned


def test_every_number_of_a_prompt_is_added():
    assert verify("1 + 3 + 2 =", "6") == 1.0
    assert verify("1 + 3 + 2 =", "4") == 0.0
    assert verify("0 + 0 =", "0") == 1.0


def test_with_a_scratchpad_only_the_last_word_counts():
    assert verify_last_word("1 + 3 + 2 =", "4 6") == 1.0
    assert verify_last_word("1 + 3 + 2 =", "9 6") == 1.0
    assert verify_last_word("1 + 3 + 2 =", "6 4") == 0.0
    assert verify_last_word("1 + 3 + 2 =", "") == 0.0


def test_the_table_has_one_right_answer_to_each_prompt():
    sums = sums_world()
    scores = np.asarray(verifier_table(sums).scores)
    np.testing.assert_array_equal(scores.sum(1), 1.0)
    completions = trie.ended_completions(sums.world)
    for i, j in zip(*np.nonzero(scores), strict=True):
        digits = sums.world.decode(completions[j]).replace(" ", "")
        assert int(digits) == sums.terms[i].sum()


def test_a_known_share_of_the_texts_is_wrong():
    """The mean over the prompts is exact; a sample agrees within 4 standard errors."""
    sums = sums_world(noise=0.3)
    right = np.diag(written_probs(sums, 2))[sums.terms.sum(1)]
    np.testing.assert_allclose(1.0 - right.mean(), 0.3, atol=1e-12)
    prompts, completions = written_sums(np.random.default_rng(0), sums, 4000)
    earned = [
        verify(" ".join(sums.world.vocabulary[i] for i in x), sums.world.decode(y))
        for x, y in zip(prompts, completions, strict=True)
    ]
    assert abs(np.mean(earned) - 0.7) < 4 * (0.21 / 4000) ** 0.5


@pytest.mark.parametrize(("scratchpad", "added"), [(False, 2), (True, 2), (True, 3)])
def test_the_written_numbers_have_probabilities(scratchpad, added):
    probs = written_probs(sums_world(scratchpad), added)
    np.testing.assert_allclose(probs.sum(1), 1.0, atol=1e-12)
    assert probs.min() >= 0.0


@pytest.mark.parametrize("scratchpad", [False, True])
def test_half_of_the_texts_for_pretraining_are_in_another_format(scratchpad):
    sums = sums_world(scratchpad)
    texts = babble_sums(np.random.default_rng(0), sums, 2000)
    answers = texts[:, sums.world.prompts.shape[1] :]
    assert not np.any(answers == EQUALS)
    other = np.any(answers == PLUS, axis=1)
    if scratchpad:
        other = answers[:, 1] == 0
    assert abs(other.mean() - 0.5) < 0.05


def test_success_adds_up_the_right_answers_that_end():
    log_probs = np.log([[0.5, 0.2, 0.1], [0.1, 0.1, 0.1]])
    policy = trie.LogProbs(log_probs, np.log([[0.2], [0.7]]))
    scores = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(success_probs(policy, scores), [0.6, 0.0])
