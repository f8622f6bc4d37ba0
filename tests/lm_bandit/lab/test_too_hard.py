"""Answers that are noisier for longer completions, on ten seeds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit.lab import tabular, too_hard


@pytest.mark.slow
def test_hard_cases_are_known_only_where_easy_ones_carry_over():
    result = too_hard.vary_hardness(seeds=range(10))
    one, three = result.accuracy["tired"][:, 0], result.accuracy["tired"][:, -1]
    assert (one > 0.75).all()
    assert (three < 0.65).all()
    assert (result.accuracy["careful"][:, -1] > 0.7).all()
    known = result.rank_correlation
    shared, separate = known["tired, shared"], known["tired, separate"]
    assert (shared > 0.88).all()
    assert (separate[:, -1] < shared[:, -1] - 0.03).all()
    assert (known["careful, separate"][:, -1] > 0.95).all()
    gold = {name: x[:, -1] for name, x in result.gold.items()}
    assert (gold["tired, separate"] < gold["tired, shared"] - 0.5).all()
    assert_allclose(gold["tired, shared"], gold["careful, shared"], rtol=0.06)


def test_annotators_who_do_not_tire_answer_alike_at_every_length(bench):
    """Without hardness, the only noise is the people's disagreement."""
    answers = too_hard.ask_tired_annotators(3, bench, 20_000, hardness=0.0)
    expected = tabular.ask_annotators(np.random.default_rng(4), bench, 20_000)
    right = [too_hard.answer_accuracy(bench, each) for each in (answers, expected)]
    assert_allclose(right[0], right[1], atol=0.03)
