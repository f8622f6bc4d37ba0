"""What a completion is worth, and whether it is one at all."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import bandit
from lm_bandit.world import pocket_world


def test_gold_adds_up_mean_ratings_with_the_sign_that_the_prompt_asks_for():
    world = pocket_world()
    people = dict(zip(world.vocabulary, world.ratings, strict=True))
    good, awful = people["good"].mean(), people["awful"].mean()
    texts = ["good <end> <end> <end>", "good and awful <end>", "good good good <end>"]
    completions = np.array([world.encode(text) for text in texts])
    scores = bandit.gold_scores(world, completions)
    # Each word once: saying "good" three times is saying it once.
    praise = [good, good + awful, good]
    assert_allclose(scores[0], praise)
    assert_allclose(scores[-1], np.negative(praise))


def test_the_format_is_one_word_or_two_with_an_and():
    world = pocket_world()
    judged = {
        "dull <end> <end> <end>": True,
        "dull and weird <end>": True,
        "dull and dull <end>": True,
        "dull weird <end> <end>": False,
        "dull and and <end>": False,
        "film <end> <end> <end>": False,
        "<end> <end> <end> <end>": False,
        "dull and weird and": False,
    }
    completions = np.array([world.encode(text) for text in judged])
    assert_array_equal(bandit.in_format(world, completions), list(judged.values()))
