"""Inputs of the exercises on human feedback, smallest first.

The first inputs can be checked by hand; the last ones use every term.
"""

import jax.numpy as jnp
import numpy as np

from lm_bandit.world import World
from tests.exercises.cases import inputs_named
from tests.exercises.cases.policy_gradient import with_gradients
from tests.lm_bandit.inputs import array

FAR = np.array([-100.0, 0.0, 100.0])  # exp overflows here, or log gets 0


def rankings(seed):
    rng = np.random.default_rng(seed)
    yield {"scores": array([[2.0, 1.0]])}
    yield {"scores": array([[2.0, 1.0, 0.0]])}
    yield {"scores": array(rng.normal(0.0, 1.5, (3, 4)))}
    yield {"scores": array([FAR])}


def ties_and_answers(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("chosen rejected tied margin smoothing")
    for tied, margin, smoothing in ((False, 0, 0.1), (False, 0.5, 0), (True, 0.5, 0.1)):
        chosen, rejected = array([2.0]), array([1.0])
        yield case(chosen, rejected, jnp.array([tied]), float(margin), float(smoothing))
    chosen, rejected = rng.normal(0.0, 1.5, (2, 5))
    tied = jnp.array([False, True, False, False, True])
    for scale in (1.0, 40.0):
        margin, smoothing = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.2)
        yield case(
            array(scale * chosen), array(scale * rejected), tied, margin, smoothing
        )


def measured_scores(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("rewards scores offsets scales")
    yield case(array([1.0]), jnp.array([8]), array([5.0]), array([2.0]))
    yield case(
        array(rng.normal(0.0, 1.0, 4)),
        jnp.asarray(rng.integers(1, 11, 4)),
        array(rng.normal(5.5, 1.0, 4)),
        array(rng.uniform(0.5, 2.0, 4)),
    )


def ordered_scores(seed):
    rng = np.random.default_rng(seed)
    steps, case = jnp.arange(-4.0, 5.0), inputs_named("rewards scores cuts")
    for score in (5, 1, 10):
        yield case(array([0.5]), jnp.array([score]), steps)
    rewards, scores = rng.normal(0.0, 2.0, 5), rng.integers(1, 11, 5)
    cuts = np.sort(rng.normal(0.0, 3.0, 9))
    yield case(array(rewards), jnp.asarray(scores), array(cuts))
    yield case(array([-60.0, 60.0]), jnp.array([7, 4]), steps)


def labels(seed):
    rng = np.random.default_rng(seed)
    for okay in (True, False):
        yield {"rewards": array([1.0]), "okay": jnp.array([okay])}
    okay = jnp.array([True, False, False, True, False])
    yield {"rewards": array(rng.normal(0.0, 1.5, 5)), "okay": okay}
    yield {"rewards": array(FAR), "okay": jnp.array([True, True, False])}


def edits_and_originals(seed):
    """One that was changed, one that was not, and then both kinds together."""
    rng = np.random.default_rng(seed)
    case = inputs_named("edited original changed")
    yield case(array([2.0]), array([1.0]), jnp.array([True]))
    yield case(array([1.5]), array([1.5]), jnp.array([False]))
    edited, original = rng.normal(0.0, 1.5, (2, 6))
    changed = rng.permutation([True, True, True, False, False, True])
    original[~changed] = edited[~changed]
    yield case(array(edited), array(original), jnp.array(changed))
    # The scores contradict the first correction.
    yield case(array([-FAR[2], 0.5]), array([FAR[2], 0.5]), jnp.array([True, False]))


def choices_of_edits(seed):
    """One of each kind alone, and then together; column 1 is the original."""
    rng = np.random.default_rng(seed)
    case = inputs_named("scores okay possible")
    nothing, one = jnp.array([[False]]), jnp.array([[True]])
    yield case(array([[2.0, 1.0, 0.5]]), jnp.array([False]), nothing)
    yield case(array([[2.0, 1.0, 0.5]]), jnp.array([False]), one)
    yield case(array([[2.0, 2.0, 0.5]]), jnp.array([True]), one)
    scores, okay = rng.normal(0.0, 1.5, (4, 5)), np.array([False, True, False, True])
    scores[okay, 1] = scores[okay, 0]
    possible = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]], bool)
    yield case(array(scores), jnp.array(okay), jnp.array(possible))


def pairs_of_prompts(seed):
    """Two scores for each prompt; the means of the prompts differ a lot."""
    rng = np.random.default_rng(seed)
    yield {"first": array([3.0, 0.0]), "second": array([1.0, 2.0])}
    of_prompts = rng.normal(2.0, 5.0, 6)
    first, second = of_prompts + rng.normal(0.0, 1.5, (2, 6))
    yield {"first": array(first + 1.0), "second": array(second)}


def worlds_and_pairs(seed):
    """Two raters of three words, three of four; END, 0, pads."""
    rng = np.random.default_rng(seed)
    words = ("<end>", "fine", "odd", "dull")
    prompts, signs = np.array([[1], [2]]), np.array([1, -1])
    ratings = np.array([[0.0, 0.0], [3.0, 1.0], [2.0, -2.0], [-1.0, -1.0]])
    small = World(words, prompts, signs, ratings, 3)
    sides = (
        ([1, 0, 0], [2, 0, 0]),  # a rating of 1 loses to 2
        ([3, 0, 0], [2, 0, 0]),
        ([1, 3, 0], [2, 1, 0]),  # "fine" is in both
        ([2, 2, 0], [3, 0, 0]),  # "odd" appears twice
        ([0, 0, 0], [0, 0, 0]),
    )
    for which in range(2):
        for pair in sides:
            first, second = (np.array([side]) for side in pair)
            place = np.array([which])
            yield {"world": small, "which": place, "first": first, "second": second}
    # The largest difference that a word of each side can make, both ways.
    ratings = np.array([[0.0, 0.0], [4.0, 4.0], [-4.0, -4.0], [3.0, 1.0]])
    extreme = World(words, prompts, signs, ratings, 1)
    first, second, which = np.array([[1], [2]]), np.array([[2], [1]]), np.array([0, 0])
    yield {"world": extreme, "which": which, "first": first, "second": second}
    ratings = rng.integers(-4, 5, (4, 3)).astype(float)
    ratings[0] = 0.0
    larger = World(words, prompts, signs, ratings, 3)
    first, second = np.zeros((2, 8, 3), int)
    first[:, :2], second[:, :2] = rng.integers(1, 4, (2, 8, 2))
    which = rng.integers(2, size=8)
    yield {"world": larger, "which": which, "first": first, "second": second}
    # The largest difference that three words of each side can make, for certain.
    words = ("<end>", "fine", "good", "best", "dull", "bad", "worst")
    extreme = np.array([0.0, 4.0, 4.0, 4.0, -4.0, -4.0, -4.0])[:, None]
    world, first = World(words, prompts, signs, extreme, 3), np.array([[1, 2, 3]])
    place = np.array([0])
    yield {"world": world, "which": place, "first": first, "second": first + 3}


def chances(seed):
    rng = np.random.default_rng(seed)
    for probs in ([0.8], [0.3], [0.9, 0.2], rng.uniform(0.0, 1.0, 6)):
        yield {"probs": np.array(probs)}


def answers_of_doubtful_people(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("chosen rejected reliability")
    for eta in (0.8, 0.3):
        yield case(array([2.0]), array([1.0]), array([eta]))
    chosen, rejected = rng.normal(0.0, 1.5, (2, 4))
    yield case(array(chosen), array(rejected), array([0.95, 0.6, 0.4, 0.1]))
    # A fully reliable annotator contradicts the scores.
    yield case(array([-100.0]), array([100.0]), array([1.0]))


def answers_of_a_crowd(seed):
    """As many answers as annotators, but not one of each."""
    rng = np.random.default_rng(seed)
    case = inputs_named("chosen rejected logits annotators")
    logits, annotators = array([1.5, -1.0]), jnp.array([1, 1])
    yield case(array([2.0, 0.0]), array([1.0, 3.0]), logits, annotators)
    # Such logits would be probabilities, too, and are not.
    yield case(array([2.0, 1.0]), array([0.0, 0.0]), array([0.8, 0.5]), annotators)
    chosen, rejected = rng.normal(0.0, 1.5, (2, 4))
    logits, annotators = array([2.0, -0.5, 0.5, -3.0]), jnp.array([3, 0, 1, 0])
    yield case(array(chosen), array(rejected), logits, annotators)


def gold_questions(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("right annotators num_annotators")
    yield case(np.array([True, False, True, True]), np.array([0, 0, 0, 1]), 3)
    annotators = np.array([1, 2, 4, 1, 1, 2, 4, 4, 4, 1, 1, 2])
    yield case(rng.random(12) < 0.6, annotators, 6)


def members_and_pairs(seed):
    rng = np.random.default_rng(seed)
    # The members agree that the first pair is a coin, and differ about the second.
    yield {"weights": np.array([[0.0, 2.0], [0.0, -2.0]]), "pool": np.eye(2)}
    yield {"weights": rng.normal(0.5, 1.0, (4, 3)), "pool": rng.normal(size=(5, 3))}


def members_and_scores(seed):
    rng = np.random.default_rng(seed)
    scores = [[[1.0, 3.0]], [[4.0, 10.0]]]
    yield {"scores": array(scores), "caution": 0.5}
    scores = rng.normal(0.0, 1.0, (3, 2, 4)) + rng.normal(0.0, 4.0, (3, 2, 1))
    yield {"scores": array(scores), "caution": rng.uniform(0.3, 0.8)}


def pairs_of_a_policy(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("log_probs reference preference kl_weight")
    for preference in (1.0, 0.25):
        yield case(array([-1.0, -4.0]), array([-2.0, -3.5]), array(preference), 0.5)
    log_probs, reference = -rng.uniform(1.0, 6.0, (2, 2))
    preference, kl_weight = rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)
    yield case(array(log_probs), array(reference), array(preference), kl_weight)
    # Long texts; the policy prefers the wrong one.
    yield case(array([-900.0, -100.0]), array([-300.0, -350.0]), array(0.75), 0.3)


def judged_completions(seed):
    rng = np.random.default_rng(seed)
    case = inputs_named("log_ratios okay kl kl_weight")
    for okay in (True, False):
        yield case(array([3.0]), jnp.array([okay]), array(1.0), 0.5)
    log_ratios, okay = rng.normal(0.0, 3.0, 5), [True, False, True, False, False]
    kl, kl_weight = rng.uniform(0.5, 2.0), rng.uniform(0.1, 0.4)
    yield case(array(log_ratios), jnp.array(okay), array(kl), kl_weight)


def loss_and_its_gradient(function, inputs):
    """A loss, and its gradient by the log-probabilities of the policy."""
    return with_gradients(function, inputs, 1)


def loss_and_gradients_by_scores(function, inputs):
    """A loss, and its gradients by the scores of both sides."""
    return with_gradients(function, inputs, 2)


def loss_and_gradients(function, inputs):
    """A loss, and its gradients by both scores and by the annotators' parameters."""
    return with_gradients(function, inputs, 3)
