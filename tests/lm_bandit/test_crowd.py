"""Annotators who err, lie and differ, and what a model does that knows of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import reward_model
from lm_bandit.feedback import (
    annotators,
    critiques,
    crowd,
    lessons,
    linear_reward,
)
from lm_bandit.feedback.kinds import (
    Comparisons,
    Corrections,
    Critiques,
    Labels,
    Rankings,
    Scores,
)
from lm_bandit.oracle import exact, trie
from lm_bandit.world import pocket_world

A, SEEDS = 50, (0, 1, 2)


@pytest.fixture(scope="module")
def world():
    return pocket_world()


@pytest.fixture(scope="module")
def learn(world):
    """The correlation, the scale and the crowd learned from comparisons, by seed."""
    gold = linear_reward.gold_weights(world)

    def run(alter, likelihood, count=4000, reliability=None):
        asked = []
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            which, completions = lessons.questions(rng, world, count, 2)
            people = annotators.hire(rng, world, A)._replace(temperature=1.0)
            people = alter(people)
            asked.append(
                annotators.compare_pairs(rng, world, which, completions, people)
            )
        answers = jax.tree.map(lambda *x: np.stack(x), *asked)
        learned = lessons.learn_by_seed(
            SEEDS, world, answers, likelihood, A, reliability
        )
        worths = np.asarray(learned.reward, np.float64)
        correlations = [lessons.gold_correlation(world, w) for w in worths]
        scales = [np.polyfit(gold, w, 1)[0] for w in worths]
        return np.array(correlations), np.array(scales), learned.crowd

    return run


def careful(people):
    return people


def mistaken(people):
    return people._replace(flips=0.2)


def sabotaged(people, malicious=10):
    """Half-hearted people, and malicious ones who know very well what all like."""
    liars = np.arange(A) < malicious
    tastes = people.tastes.copy()
    tastes[liars] = people.tastes.mean(0)
    return people._replace(
        tastes=tastes,
        malicious=liars,
        temperature=np.where(liars, 0.0, 2.0),
        random_clicks=np.where(liars, 0.0, 0.5),
    )


def test_the_likelihoods_are_those_of_the_reward_model_and_of_any_reward(tiny, model):
    """A comparison, and the same answer as a correction and as a ranking of two."""
    rng = np.random.default_rng(0)
    head = jnp.asarray(rng.normal(size=8), jnp.float32)
    scorer = reward_model.RewardModel(model, head, jnp.array(0.7))
    prompts = tiny.prompts[[0, 1, 1]]
    better, worse = rng.integers(0, 6, size=(2, 3, 3))
    pairs = Comparisons(prompts, better, worse)
    expected, _ = reward_model.loss(scorer, pairs)
    ranking = Rankings(prompts, np.stack([better, worse], axis=1))
    for likelihood, answers in (
        (crowd.bradley_terry, pairs),
        (crowd.bradley_terry, Corrections(prompts, worse, better)),
        (crowd.ranked_pairs, ranking),
        (crowd.plackett_luce, ranking),
    ):
        judged = crowd.init(scorer)
        answers = jax.tree.map(jnp.asarray, answers)
        got, _ = crowd.loss(likelihood, reward_model.score)(judged, answers)
        assert_allclose(got, expected, rtol=1e-5)


def test_a_critic_names_a_word_the_likelier_the_less_she_likes_it(world):
    """Of "good and weird": exp(-w) of each word and 1 for no objection, normalised."""
    worths = dict(
        zip(world.rated, np.random.default_rng(0).normal(size=20), strict=True)
    )
    judged = crowd.init(jnp.asarray(list(worths.values()), jnp.float32))
    loss = crowd.loss(crowd.chosen_edit, linear_reward.scorer(world))
    completion = np.array([[*world.encode("good and weird"), 0]])
    for prompt, sign in ((0, 1), (7, -1)):
        probs = []
        for text in ("'good' should go.", "'weird' should go.", critiques.FINE):
            said = Critiques(world.prompts[[prompt]], completion, (text,))
            findings = jax.tree.map(jnp.asarray, critiques.parse_critiques(world, said))
            probs.append(np.exp(-float(loss(judged, findings)[0])))
        of_words = [worths[token] for token in world.encode("good weird")]
        weights = np.exp([-sign * of_words[0], -sign * of_words[1], 0.0])
        assert_allclose(probs, weights / weights.sum(), rtol=1e-4)


def test_each_annotator_has_an_offset_and_a_scale_and_the_scales_are_1_together():
    rng = np.random.default_rng(0)
    rewards, offsets, log_scales = rng.normal(size=(3, 4))
    who, scores = np.array([2, 0, 2, 3]), np.array([1, 5, 9, 10])
    people = crowd.init(jnp.zeros(1), 4).crowd
    people = people._replace(
        offsets=jnp.asarray(offsets), log_scales=jnp.asarray(log_scales)
    )
    tokens = jnp.zeros((4, 3), int)
    scored = Scores(tokens, tokens, jnp.asarray(scores), jnp.asarray(who))
    scales = np.exp(log_scales) / np.prod(np.exp(log_scales)) ** 0.25
    errors = [
        scores[i] - 5.5 - offsets[k] - scales[k] * rewards[i] for i, k in enumerate(who)
    ]
    got = crowd.interval(jnp.asarray(rewards)[:, None], people, scored)
    assert_allclose(got, np.mean(np.square(errors)), rtol=1e-4)
    labelled = Labels(tokens, tokens, jnp.asarray(scores > 5), jnp.asarray(who))
    signs = np.where(scores > 5, 1, -1)
    surprises = np.log1p(np.exp(-signs * (rewards + offsets[who])))
    got = crowd.logistic(jnp.asarray(rewards)[:, None], people, labelled)
    assert_allclose(got, surprises.mean(), rtol=1e-4)


def test_answers_that_nobody_signed_are_those_of_one_annotator(world):
    rng = np.random.default_rng(0)
    people = annotators.hire(rng, world, 1)
    which, completions = lessons.questions(rng, world, 20, 4)
    score = linear_reward.scorer(world)
    judged = crowd.init(jnp.asarray(rng.normal(size=len(world.rated)), jnp.float32))
    crowd_bt = lessons.KINDS[0]._replace(likelihood=crowd.crowd_bradley_terry)
    of_people = [lessons.KINDS[i] for i in (3, 4, 5, 7)]
    for kind in (crowd_bt, *of_people):
        answers = kind.ask(rng, world, which, completions[:, : kind.reads], people)
        signed = jax.tree.map(jnp.asarray, answers)
        losses = [
            float(crowd.loss(kind.likelihood, score)(judged, batch)[0])
            for batch in (signed, signed._replace(annotators=None))
        ]
        assert losses[0] == losses[1], kind.name


def test_comparisons_do_not_know_a_constant_of_each_prompt(world):
    rng = np.random.default_rng(0)
    people = annotators.hire(rng, world, 3)
    which, completions = lessons.questions(rng, world, 50, 4)
    score = linear_reward.scorer(world)
    constants = jnp.asarray(rng.normal(0.0, 3.0, len(world.vocabulary)), jnp.float32)

    def shifted(worths, prompts, completions):
        return score(worths, prompts, completions) + constants[prompts[..., 2]]

    judged = crowd.init(jnp.asarray(rng.normal(size=len(world.rated)), jnp.float32), 3)
    for kind in lessons.KINDS:
        answers = kind.ask(rng, world, which, completions[:, : kind.reads], people)
        answers = jax.tree.map(jnp.asarray, answers)
        before, after = (
            float(crowd.loss(kind.likelihood, s)(judged, answers)[0])
            for s in (score, shifted)
        )
        absolute = kind.name.startswith(("score", "label")) or "label" in kind.name
        assert (abs(after - before) > 0.1) == absolute, kind.name


def test_mistakes_keep_the_order_but_shrink_the_scale_unless_they_are_known(learn):
    """One answer in five turned around: scores of less than half the size.

    So against the same beta the optimum of RLHF stays nearer to the reference, as if
    beta were more than twice as large.
    """
    correlations, scale, _ = learn(careful, crowd.bradley_terry)
    assert correlations.min() > 0.95
    correlations, with_mistakes, _ = learn(mistaken, crowd.bradley_terry)
    assert correlations.min() > 0.92
    assert (with_mistakes < 0.5 * scale).all()
    smoothed = partial(crowd.bradley_terry, smoothing=0.2)
    correlations, smaller, _ = learn(mistaken, smoothed)
    assert correlations.min() > 0.92
    assert (smaller < with_mistakes).all(), "smoothing shrinks it further"
    corrected = partial(crowd.noisy_bradley_terry, flips=0.2)
    correlations, repaired, _ = learn(mistaken, corrected)
    assert correlations.min() > 0.92
    assert_allclose(repaired, scale, rtol=0.25)


def test_a_fifth_of_malicious_annotators_spoil_the_plain_model_and_not_crowd_bt(learn):
    plain, _, _ = learn(sabotaged, crowd.bradley_terry)
    assert plain.max() < 0.7
    repaired, _, people = learn(sabotaged, crowd.crowd_bradley_terry)
    assert repaired.min() > 0.95
    reliability = np.asarray(jax.nn.sigmoid(people.reliability))
    assert reliability[:, :10].max() < 0.1, "each of them is found, and inverted"
    assert reliability[:, 10:].min() > 0.45
    # Half of the honest answers are coins: they mean what they say in three of four.
    assert abs(reliability[:, 10:].mean() - 0.75) < 0.12


def test_where_most_lie_only_questions_with_a_known_answer_can_tell(world, learn):
    """Three in four are malicious: all is upside down, unless it is known who lies."""
    mob = partial(sabotaged, malicious=38)
    fooled, _, _ = learn(mob, crowd.crowd_bradley_terry)
    assert fooled.max() < -0.9

    rng = np.random.default_rng(9)
    people = mob(annotators.hire(rng, world, A))
    words = world.encode("superb awful")  # of which everybody knows which is better
    known = np.zeros((2, 20 * A, world.completion_length), int)
    known[:, :, 0] = words[:, None]
    which = np.zeros(20 * A, int)
    answers = annotators.compare_pairs(rng, world, which, np.stack(known, 1), people)
    right = (answers.chosen == known[0]).all(1)
    measured = crowd.reliability_by_gold(right, answers.annotators, A)
    saved, _, _ = learn(mob, crowd.crowd_bradley_terry, reliability=measured)
    assert saved.min() > 0.9


def test_reliability_by_gold_is_the_rule_of_succession():
    right = np.array([True, True, False, True])
    got = crowd.reliability_by_gold(right, np.array([0, 0, 0, 2]), 3)
    assert_allclose(got, [3 / 5, 1 / 2, 2 / 3])


def test_half_the_scale_is_twice_the_beta(tiny, model):
    """The closed form: pi_ref exp(c r / beta) / Z is the optimum for r at beta / c."""
    rng = np.random.default_rng(0)
    ended = len(trie.ended_completions(tiny))
    problem = exact.Problem(
        reference=trie.policy_log_probs(model, tiny),
        gold=rng.normal(size=(2, ended)),
        learned=rng.normal(size=(2, ended)),
        kl_weight=0.3,
        penalty=0.0,
    )
    shrunk = problem._replace(learned=0.4 * problem.learned)
    dearer = problem._replace(kl_weight=0.3 / 0.4)
    best, of_shrunk, of_dearer = map(exact.optimum, (problem, shrunk, dearer))
    assert_allclose(of_shrunk.ended, of_dearer.ended, rtol=1e-9)
    kl = [exact.policy_value(problem, policy).kl for policy in (best, of_shrunk)]
    assert kl[1] < 0.5 * kl[0]
