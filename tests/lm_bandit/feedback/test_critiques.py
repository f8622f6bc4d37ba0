"""Critiques: a label, an edit, and the edits that were not asked for."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from lm_bandit.feedback.critiques import FINE, OBJECTIONS, parse_critiques
from lm_bandit.feedback.kinds import Critiques


def critiques_of(world, text, *sentences):
    tokens = world.encode(text)
    row = np.pad(tokens, (0, world.completion_length - len(tokens)))
    n = len(sentences)
    return Critiques(world.prompts[np.zeros(n, int)], np.tile(row, (n, 1)), sentences)


def test_every_objection_removes_its_word_and_the_and_that_joined_it(world):
    objections = [phrase.format(word="awful") for phrase in OBJECTIONS]
    for text, edited in (
        ("dull and awful", "dull"),
        ("awful and good", "good"),
        ("awful", ""),
    ):
        parsed = parse_critiques(world, critiques_of(world, text, *objections))
        assert {world.decode(row) for row in parsed.edited} == {edited}
        assert not parsed.okay.any()


def test_no_objection_changes_nothing_and_is_okay(world):
    critiques = critiques_of(world, "dull and awful", FINE)
    parsed = parse_critiques(world, critiques)
    assert_array_equal(parsed.okay, [True])
    assert_array_equal(parsed.edited, critiques.completions)


def test_the_edits_passed_over_remove_each_of_the_other_words(world):
    critiques = critiques_of(world, "dull and awful", FINE, "'awful' should go.")
    parsed = parse_critiques(world, critiques)
    for row, expected in enumerate(({"dull", "awful"}, {"awful"})):
        edits = parsed.passed_over[row][parsed.possible[row]]
        assert {world.decode(edit) for edit in edits} == expected


def test_a_critique_must_quote_one_word_of_its_completion(world):
    for sentence in ("'good' and 'bad'", "hm, 'awful'?", "no"):
        critiques = critiques_of(world, "good and bad", FINE, sentence)
        with pytest.raises(ValueError, match=r"critiques\[1\] must quote one word of"):
            parse_critiques(world, critiques)
