"""Words and their ratings, and the language made of them."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lm_bandit import world as text


def test_many_words_are_rated_and_people_err_and_disagree():
    people = text.read_word_ratings()
    assert len(people) >= 150
    assert sorted(people["awful"])[-2:] == [-2, 4]  # one of ten liked it
    divided = [w for w, r in people.items() if r.min() <= -2 and r.max() >= 2]
    assert {"audacious", "laughable", "tragic"} <= set(divided)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "good,1,2,3",
            r"line 3: expected a word and 10 whole numbers .* got 'good,1,2,3'",
        ),
        ("good,1,2,3,4,5,-1,0,0,0,0", "line 3: expected .* from -4 to 4, got"),
        ("good,1,1,1,1,1,1,1,1,1,x", "line 3: expected .*, got"),
        ("", "line 3: expected .*, got ''"),
        (
            "fine,1,1,1,1,1,1,1,1,1,1",
            "line 3: expected each word once, got 'fine' again",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, complaint):
    file = tmp_path / "mine.csv"
    file.write_text(f"word,ratings\nfine,1,1,1,1,1,1,1,1,1,1\n{line}\n")
    with pytest.raises(ValueError, match="mine.csv, " + complaint):
        text.read_word_ratings(file)


OWN = "word,me,you,she\nsalty,1,2,-1\nsweet,3,2,4\nsour,-1,-2,0\nbitter,-3,-4,-2\n"


def test_a_file_of_other_words_makes_a_world_of_these(tmp_path):
    """Three raters; the words come from common to rare, in the order of the file."""
    file = tmp_path / "mine.csv"
    file.write_text(OWN)
    for world in (text.pocket_world(file), text.wide_world(file)):
        assert [world.vocabulary[i] for i in world.rated] == [
            *("salty", "sweet", "sour", "bitter")
        ]
        assert_array_equal(world.ratings[world.rated[1]], [3, 2, 4])
        assert world.ratings.shape == (1 + len(text.GLUE) + 4, 3)
        assert_array_equal(world.signs, text.pocket_world().signs)
        assert_allclose(text.language(world)[world.encode("was"), world.rated].sum(), 1)


def test_a_file_that_rates_the_pockets_words_keeps_them_in_their_order(tmp_path):
    file = tmp_path / "mine.csv"
    lines = text.WORD_RATINGS.read_text("utf-8").splitlines()
    file.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    for world in (text.pocket_world, text.wide_world):
        own = world(file).vocabulary
        assert own[: len(own) - 246 * (world is text.wide_world)] == (
            text.pocket_world().vocabulary
        )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("good,1,1", "mine.csv: expected at least 2 words, got 1"),
        ("good,1,1\nand,1,1", r"expected no ratings of \['and'\], got some"),
        ("fair,1,1\nodd,0,0", r"other than 0 of each word, got none of \['odd'\]"),
        ("fair,1,1\nodd,1", "line 3: expected a word and 2 whole numbers from -4"),
        ("fair\nodd,1", "line 2: expected a word and whole numbers from -4 to 4, got"),
        ("fair,1\nodd,1,2", "line 3: expected a word and 1 whole number from -4 to 4"),
        ("\n".join(f"w{i},1" for i in range(21)), "at most 20 words of your own, from"),
    ],
)
def test_words_that_make_no_world_are_refused(tmp_path, words, complaint):
    file = tmp_path / "mine.csv"
    file.write_text(f"word,a,b\n{words}\n")
    with pytest.raises(ValueError, match=complaint):
        text.pocket_world(file)


def test_texts_survive_encoding():
    world = text.pocket_world()
    words = "complaint: the date was dull and awful"
    assert world.decode(world.encode(words)) == words + " ..."
    assert world.decode(np.append(world.encode(words), text.END)) == words


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("the movie was good", "text has unknown words ['movie']: 'the movie"),
        ("The flim was good", "words ['The', 'flim'], nearest known ['the', 'film']: "),
    ],
)
def test_unknown_words_are_named_with_the_nearest_known_ones(said, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        text.pocket_world().encode(said)


def test_half_of_the_prompts_ask_for_praise_and_half_for_complaint():
    world = text.pocket_world()
    assert world.num_prompts >= 8
    for prompt, sign in zip(world.prompts, world.signs, strict=True):
        asked = world.vocabulary[prompt[0]]
        assert asked == {1: "praise:", -1: "complaint:"}[sign]
    assert world.signs.sum() == 0


def test_the_babble_is_drawn_from_the_chain():
    """chi-squared of 200,000 words against the transitions that drew them."""
    world = text.pocket_world()
    chain = text.language(world)
    assert_allclose(chain[chain.any(1)].sum(1), 1.0)
    texts = text.babble(np.random.default_rng(0), world, 40_000, 8)
    before = np.hstack([np.zeros((len(texts), 1), int), texts[:, :-1]])
    real = np.ones(texts.shape, bool)
    real[:, 1:] = np.cumprod(texts[:, :-1] != text.END, axis=1) > 0
    counts = np.zeros_like(chain)
    np.add.at(counts, (before[real], texts[real]), 1)
    expected = chain * counts.sum(1, keepdims=True)
    possible = expected > 0
    assert_array_equal(counts[~possible], 0)
    degrees = possible.sum() - possible.any(1).sum()
    chi_squared = np.sum((counts - expected)[possible] ** 2 / expected[possible])
    assert abs(chi_squared - degrees) < 4 * np.sqrt(2 * degrees)

    # The entropy of the chain is the mean surprise of what it wrote.
    surprise = -np.log(chain[before[real], texts[real]])
    error = surprise.std() / np.sqrt(surprise.size)
    assert abs(surprise.mean() - text.babble_entropy(world, 8)) < 5 * error


def test_babble_does_not_depend_on_the_prompt():
    """The mean rating after either prompt is that of the language at large."""
    world = text.pocket_world()
    texts = text.babble(np.random.default_rng(0), world, 20_000, 8)
    ratings = np.isin(texts, world.rated) * world.ratings.mean(-1)[texts]
    usual = text.word_frequencies(world) @ world.ratings[world.rated].mean(-1)
    for wish in world.encode("praise: complaint:"):
        first = ratings[texts[:, 0] == wish][:, 4]
        assert abs(first.mean() - usual) < 4 * first.std() / np.sqrt(len(first))
