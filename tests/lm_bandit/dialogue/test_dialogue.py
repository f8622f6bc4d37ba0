"""A dialogue of two turns, against brute force over all dialogues."""

from itertools import product

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mdp
from lm_bandit.dialogue import learning, talk, turn_groups

LATE = talk.train_talk()


def random_talk(seed, certain=True):
    """A dialogue of 3 answers with random tables; the user may be random, too."""
    rng = np.random.default_rng(seed)
    replies = rng.dirichlet(np.ones(3), size=3)
    if certain:
        replies = np.eye(3)[rng.integers(0, 3, 3)]
    return talk.Talk(
        prompts=("first", "x", "y", "z"),
        answers=(("a", "b", "c"),) * 4,
        replies=np.hstack([np.zeros((3, 1)), replies]),
        rewards=rng.normal(size=(4, 3)),
        reference=rng.dirichlet(np.ones(3), size=4),
        kl_weight=0.4,
    )


def all_dialogues(late, policy):
    """Each dialogue's probability, and r - beta log(pi / pi_ref) summed over it."""
    for a, x, b in product(range(len(late.replies)), range(4), range(len(policy[0]))):
        prob = policy[0, a] * late.replies[a, x] * policy[x, b]
        ratio = (
            policy[0, a] / late.reference[0, a] * policy[x, b] / late.reference[x, b]
        )
        earned = late.rewards[0, a] + late.rewards[x, b]
        yield prob, earned - late.kl_weight * np.log(ratio)


@pytest.mark.parametrize("late", [LATE, random_talk(0), random_talk(1)])
def test_the_start_is_worth_beta_log_z_of_whole_dialogues(late):
    """Brute force: each dialogue as one answer, of one bandit."""
    beta = late.kl_weight
    terms = [p * np.exp(r / beta) for p, r in all_dialogues(late, late.reference)]
    expected = beta * np.log(sum(terms))
    assert talk.optimal_values(late)[0] == pytest.approx(expected, abs=1e-9)
    assert talk.sum_over_dialogues(late) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("certain", [True, False])
def test_the_optimum_reaches_the_value_of_the_start_and_nothing_is_better(certain):
    late = random_talk(2, certain)
    best = talk.optimal_answers(late)
    assert_allclose(best.sum(1), 1.0, atol=1e-12)
    value = talk.optimal_values(late)[0]
    assert talk.talk_objective(late, best) == pytest.approx(value, abs=1e-12)
    assert_allclose(turn_groups.talk_gradient(late, best), 0.0, atol=1e-12)
    others = np.random.default_rng(3).dirichlet(np.ones(3), size=(100, 4))
    assert talk.talk_objective(late, others).max() < value


def test_a_random_user_is_not_chosen_so_the_start_is_worth_less_than_log_z():
    """Z would tilt the user's replies, too; then all dialogues are one bandit."""
    late = random_talk(4, certain=False)
    assert talk.optimal_values(late)[0] < talk.sum_over_dialogues(late) - 0.05


def test_j_is_the_value_of_the_start_and_the_mean_over_dialogues():
    late = random_talk(5, certain=False)
    policy = np.random.default_rng(6).dirichlet(np.ones(3), size=4)
    value = mdp.evaluate(talk.talk_mdp(late, policy), talk.with_end(policy))[0]
    mean = sum(prob * earned for prob, earned in all_dialogues(late, policy))
    assert talk.talk_objective(late, policy) == pytest.approx(value, abs=1e-12)
    assert mean == pytest.approx(value, abs=1e-12)


@pytest.mark.slow  # it compiles PPO twice
def test_ppo_reaches_the_optimum_over_both_turns_and_its_own_end_turn_by_turn():
    """On 4 seeds each: at least 99.5% of the way, and within 1.5 points of its end."""
    keys = jax.random.split(jax.random.key(0), 4)
    start, best = (
        talk.talk_objective(LATE, x)
        for x in (LATE.reference, talk.optimal_answers(LATE))
    )

    def share(policy):
        return (talk.talk_objective(LATE, policy) - start) / (best - start)

    own = share(talk.best_of_each_turn(LATE))
    assert own < 0.6
    assert share(learning.learn_to_talk(keys, LATE)[:, -1]).min() > 0.995
    apart = share(learning.learn_to_talk(keys, LATE, turn_by_turn=True)[:, -1])
    assert_allclose(apart, own, atol=0.015)


def test_groups_of_different_second_prompts_have_no_bias():
    late = random_talk(7)
    policy = np.random.default_rng(8).dirichlet(np.ones(3), size=4)
    gradient = turn_groups.talk_gradient(late, policy)
    others = turn_groups.turn_update(late, policy, 2, turn_groups.compared_with_others)
    critic = turn_groups.compared_with_values(late, policy)
    valued = turn_groups.turn_update(late, policy, 2, critic)
    assert_allclose(others.mean, gradient, atol=1e-12)
    assert_allclose(valued.mean, gradient, atol=1e-12)
    assert valued.variance < others.variance


def test_comparing_at_the_same_prompt_alone_neglects_rare_prompts():
    """A prompt of probability p counts 1 - (1 - p)^(G - 1) times."""
    policy, size = LATE.reference, 3
    gradient = turn_groups.talk_gradient(LATE, policy)
    found = turn_groups.turn_update(
        LATE, policy, size, turn_groups.compared_at_same_prompt
    )
    p = policy[0] @ LATE.replies
    weights = 1 - (1 - p) ** (size - 1)
    assert_allclose(found.mean[0], gradient[0], atol=1e-12)
    assert_allclose(found.mean[1:], weights[1:, None] * gradient[1:], atol=1e-12)


def test_the_deviation_of_a_group_has_a_bias():
    gradient = turn_groups.talk_gradient(LATE, LATE.reference)
    found = turn_groups.turn_update(
        LATE, LATE.reference, 3, turn_groups.divided_by_deviation
    )
    cosine = np.vdot(found.mean, gradient)
    cosine /= np.linalg.norm(found.mean) * np.linalg.norm(gradient)
    assert cosine < 0.95
