"""Annotators who err, lie and differ, and a model that knows of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.feedback import annotators, critiques, crowd, lessons, linear_reward
from lm_bandit.feedback.kinds import (
    Comparisons,
    Corrections,
    Critiques,
    Labels,
    Rankings,
    Scores,
)
from tests.lm_bandit.feedback.fitting import careful_people, fit
from tests.lm_bandit.inputs import array

A = 50
joint_loss = jax.jit(jax.value_and_grad(crowd.joint_pairwise_loss, (0, 2)))


def joint_loss_by_hand(chosen, rejected, logits, annotators):
    losses = []
    for first, second, k in zip(chosen, rejected, annotators, strict=True):
        eta = 1 / (1 + np.exp(-logits[k]))
        p = 1 / (1 + np.exp(second - first))
        losses.append(-np.log(eta * p + (1 - eta) * (1 - p)))
    return np.mean(losses)


def test_each_answer_counts_with_the_reliability_of_its_annotator(rng):
    """Slopes are compared with finite differences in double precision."""
    chosen, rejected = rng.normal(0.0, 1.5, (2, 6))
    logits, who = rng.normal(0.0, 1.5, 3), rng.integers(3, size=6)
    loss, (by_scores, by_people) = joint_loss(
        array(chosen), array(rejected), array(logits), jnp.asarray(who)
    )
    by_hand = partial(joint_loss_by_hand, rejected=rejected, annotators=who)
    assert_allclose(loss, by_hand(chosen, logits=logits), rtol=1e-4)
    step = 1e-5
    for i, unit in enumerate(step * np.eye(6)):
        rise = by_hand(chosen + unit, logits=logits)
        rise -= by_hand(chosen - unit, logits=logits)
        assert_allclose(by_scores[i], rise / 2 / step, rtol=1e-3, atol=1e-5)
    for k, unit in enumerate(step * np.eye(3)):
        rise = by_hand(chosen, logits=logits + unit)
        rise -= by_hand(chosen, logits=logits - unit)
        assert_allclose(by_people[k], rise / 2 / step, rtol=1e-3, atol=1e-5)


def test_an_annotator_who_contradicts_the_scores_is_trusted_less(rng):
    """And an upside-down crowd with upside-down scores has an equal loss."""
    chosen, rejected = rng.normal([[3.0], [0.0]], 1.0, (2, 6))
    sides, logits = (array(chosen), array(rejected)), array([0.5, -1.0, 0.0])
    who = jnp.array([0, 0, 0, 1, 2, 2])
    loss, _ = joint_loss(*sides, logits, who)
    inverted, _ = joint_loss(*sides[::-1], -logits, who)
    assert_allclose(inverted, loss, rtol=1e-4)
    _, (_, slopes) = joint_loss(array([-3.0] * 6), array([0.0] * 6), logits, who)
    assert (slopes > 0).all(), "less trust makes the loss smaller"


GRID = (np.arange(20_000) + 0.5) / 20_000  # every reliability, equally likely before


def test_reliability_by_gold_is_the_posterior_mean(rng):
    """Against Bayes' rule on a grid."""
    right, who = rng.random(15) < 0.7, rng.integers(4, size=15)
    expected = []
    for k in range(6):  # nobody asked the last two
        posterior = np.ones(len(GRID))
        for answer in right[who == k]:
            posterior *= GRID if answer else 1 - GRID
        expected.append(np.sum(GRID * posterior) / np.sum(posterior))
    got = crowd.reliability_by_gold(right, who, 6)
    assert_allclose(got, expected, rtol=1e-5)


def test_the_loss_of_a_pair_is_that_of_the_reward_model_in_every_kind(tiny, model):
    """A comparison, as a correction, and as a ranking of two."""
    rng = np.random.default_rng(0)
    head = jnp.asarray(rng.normal(size=8), jnp.float32)
    scorer = reward_model.RewardModel(model, head, jnp.array(0.7))
    prompts = tiny.prompts[[0, 1, 1]]
    better, worse = rng.integers(0, 6, size=(2, 3, 3))
    pairs = Comparisons(prompts, better, worse)
    expected, _ = reward_model.loss(scorer, pairs)
    ranking = Rankings(prompts, np.stack([better, worse], axis=1))
    score = jax.jit(reward_model.score)
    for likelihood, answers in (
        (crowd.bradley_terry, pairs),
        (crowd.bradley_terry, Corrections(prompts, worse, better)),
        (crowd.ranked_pairs, ranking),
        (crowd.plackett_luce, ranking),
    ):
        answers = jax.tree.map(jnp.asarray, answers)
        got, _ = crowd.loss(likelihood, score)(crowd.init(scorer), answers)
        assert_allclose(got, expected, rtol=1e-5)


def test_a_critic_names_a_word_the_likelier_the_less_she_likes_it(world):
    """Of "good and weird": exp(-w) of each word, and 1 for no objection, normalised."""
    weights = np.random.default_rng(0).normal(size=20)
    w = dict(zip(world.rated, weights, strict=True))
    loss = jax.jit(crowd.loss(crowd.chosen_edit, linear_reward.scorer(world)))
    completion = np.array([[*world.encode("good and weird"), 0]])
    for prompt, sign in ((0, 1), (7, -1)):
        probs = []
        for text in ("'good' should go.", "'weird' should go.", critiques.FINE):
            said = Critiques(world.prompts[[prompt]], completion, (text,))
            parsed = jax.tree.map(jnp.asarray, critiques.parse_critiques(world, said))
            value, _ = loss(crowd.init(jnp.asarray(weights, jnp.float32)), parsed)
            probs.append(np.exp(-float(value)))
        good, weird = (w[token] for token in world.encode("good weird"))
        expected = np.exp([-sign * good, -sign * weird, 0.0])
        assert_allclose(probs, expected / expected.sum(), rtol=1e-4)


def test_each_annotator_has_an_offset_and_a_scale_and_the_scales_have_mean_1():
    rng = np.random.default_rng(0)
    rewards, offsets, log_scales = rng.normal(size=(3, 4))
    who, scores = np.array([2, 0, 2, 3]), np.array([1, 5, 9, 10])
    people = crowd.init(jnp.zeros(1), 4).crowd
    people = people._replace(offsets=array(offsets), log_scales=array(log_scales))
    tokens, column = jnp.zeros((4, 3), int), array(rewards)[:, None]
    scored = Scores(tokens, tokens, jnp.asarray(scores), jnp.asarray(who))
    scales = np.exp(log_scales) / np.prod(np.exp(log_scales)) ** 0.25
    errors = scores - 5.5 - offsets[who] - scales[who] * rewards
    got = crowd.interval(column, people, scored)
    assert_allclose(got, np.mean(errors**2), rtol=1e-4)
    labelled = Labels(tokens, tokens, jnp.asarray(scores > 5), jnp.asarray(who))
    signs = np.where(scores > 5, 1, -1)
    losses = np.log1p(np.exp(-signs * (rewards + offsets[who])))
    assert_allclose(crowd.logistic(column, people, labelled), losses.mean(), rtol=1e-4)
    # Nine cuts at -4, -3, .., 4, which all annotators share.
    shifted = rewards + (offsets - offsets.mean())[who]
    up_to = 1 / (1 + np.exp(shifted[:, None] - np.arange(-4.0, 5.0)))
    up_to = np.pad(up_to, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    probs = np.diff(up_to, axis=1)[np.arange(4), scores - 1]
    got = crowd.ordinal(column, people, scored)
    assert_allclose(got, -np.mean(np.log(probs)), rtol=1e-4)


def test_answers_of_unknown_annotators_are_those_of_one():
    rng = np.random.default_rng(0)
    tokens, zeros = jnp.zeros((5, 3), int), jnp.zeros(5, int)
    pairs, column = array(rng.normal(size=(5, 2))), array(rng.normal(size=(5, 1)))
    people = crowd.init(jnp.zeros(1), 2).crowd._replace(offsets=array([0.7, -0.5]))
    people = people._replace(reliability=array([1.0, -1.0]))
    for likelihood, scores, answers in (
        (crowd.crowd_bradley_terry, pairs, Comparisons(tokens, tokens, tokens)),
        (crowd.interval, column, Scores(tokens, tokens, zeros + 3)),
        (crowd.ordinal, column, Scores(tokens, tokens, zeros + 3)),
        (crowd.logistic, column, Labels(tokens, tokens, zeros > 0)),
    ):
        unknown = likelihood(scores, people, answers)
        known = likelihood(scores, people, answers._replace(annotators=zeros))
        other = likelihood(scores, people, answers._replace(annotators=zeros + 1))
        assert unknown == known != other, likelihood.__name__


def test_only_scores_and_labels_know_a_constant_of_each_prompt(world):
    rng = np.random.default_rng(0)
    people = annotators.hire(rng, world, 3)
    which, completions = lessons.questions(rng, world, 50, 4)
    weights = array(rng.normal(size=len(world.rated)))
    shift = array(rng.normal(0.0, 3.0, len(world.vocabulary)))
    linear = linear_reward.scorer(world)

    def score(reward, prompts, completions):
        weights, constants = reward
        return linear(weights, prompts, completions) + constants[prompts[..., 2]]

    for kind in lessons.KINDS:
        answers = kind.ask(rng, world, which, completions[:, : kind.reads], people)
        answers = jax.tree.map(jnp.asarray, answers)
        loss = jax.jit(crowd.loss(kind.likelihood, score))
        before, after = (
            float(loss(crowd.init((weights, constants), 3), answers)[0])
            for constants in (jnp.zeros_like(shift), shift)
        )
        absolute = kind.name.startswith("score") or "label" in kind.name
        assert (abs(after - before) > 0.1) == absolute, kind.name


def compared(world, people, count=4000):
    """Comparisons by these people, made from careful ones."""
    rng = np.random.default_rng(0)
    which, pairs = lessons.questions(rng, world, count, 2)
    crowd_of_people = people(careful_people(world, rng, A))
    return annotators.compare_pairs(rng, world, which, pairs, crowd_of_people)


def sabotaged(people, malicious=10):
    """Half-hearted people, and malicious ones who know very well what all like."""
    liars = np.arange(A) < malicious
    return people._replace(
        tastes=np.where(liars[:, None], people.tastes.mean(0), people.tastes),
        malicious=liars,
        temperature=np.where(liars, 0.0, 2.0),
        random_clicks=np.where(liars, 0.0, 0.5),
    )


@pytest.fixture(scope="module")
def learn(world):
    """The correlation with the gold weights, the scale, and the crowd."""
    gold = linear_reward.gold_weights(world)

    def run(answers, likelihood, reliability=None):
        model = fit(likelihood, answers, A, reliability)
        weights = np.asarray(model.reward, np.float64)
        correlation = lessons.gold_correlation(world, weights)
        return correlation, np.polyfit(gold, weights, 1)[0], model.crowd

    return run


smoothed = partial(crowd.bradley_terry, smoothing=0.2)
corrected = partial(crowd.noisy_bradley_terry, flips=0.2)


@pytest.mark.slow
def test_mistakes_keep_the_order_but_shrink_the_scale_unless_they_are_known(
    world, learn
):
    """If one answer in five is reversed, the scores have less than half the size.

    So at an equal beta the optimum of RLHF stays nearer to the reference, as if beta
    were more than twice as large.
    """
    careful = compared(world, lambda people: people)
    mistaken = compared(world, lambda people: people._replace(flips=0.2))
    correlation, scale, _ = learn(careful, crowd.bradley_terry)
    assert correlation > 0.95
    scales = []
    for likelihood in (crowd.bradley_terry, smoothed, corrected):
        correlation, found, _ = learn(mistaken, likelihood)
        assert correlation > 0.92
        scales.append(found / scale)
    plain, smaller, repaired = scales
    assert smaller < plain < 0.5, "smoothing shrinks the scale further"
    assert_allclose(repaired, 1.0, rtol=0.25)


@pytest.mark.slow
def test_a_fifth_of_malicious_annotators_spoil_the_plain_model_and_not_crowd_bt(
    world, learn
):
    answers = compared(world, sabotaged)
    plain, _, _ = learn(answers, crowd.bradley_terry)
    assert plain < 0.7
    repaired, _, people = learn(answers, crowd.crowd_bradley_terry)
    assert repaired > 0.95
    reliability = np.asarray(jax.nn.sigmoid(people.reliability))
    assert reliability[:10].max() < 0.1, "each of them is found, and inverted"
    # Half of the honest answers are random, and there is noise in the others.
    assert 0.45 < reliability[10:].min() < reliability[10:].mean() < 0.75


@pytest.mark.slow
def test_where_most_lie_only_questions_with_a_known_answer_can_tell(world, learn):
    """Three in four are malicious: all is upside down, unless it is known who lies."""
    mob = partial(sabotaged, malicious=38)
    answers = compared(world, mob)
    fooled, _, _ = learn(answers, crowd.crowd_bradley_terry)
    assert fooled < -0.9

    rng = np.random.default_rng(9)
    people = mob(annotators.hire(rng, world, A))
    pairs = np.zeros((20 * A, 2, world.completion_length), int)
    pairs[:, :, 0] = world.encode("superb awful")  # all know which one is better
    gold = annotators.compare_pairs(rng, world, np.zeros(20 * A, int), pairs, people)
    right = (gold.chosen == pairs[:, 0]).all(1)
    measured = crowd.reliability_by_gold(right, gold.annotators, A)
    saved, _, _ = learn(answers, crowd.crowd_bradley_terry, measured)
    assert saved > 0.9
