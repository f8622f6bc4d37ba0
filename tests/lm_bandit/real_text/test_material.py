"""What a run learns from and what is held out, of ratings and of own files."""

from collections import Counter

import numpy as np

from lm_bandit.real_text import config, material, own_files
from tests.lm_bandit.real_text.inputs import toy_preferences, toy_reviews, toy_texts

TOY = config.RealTextConfig(
    vocabulary_size=300,
    text_length=24,
    prompt_length=2,
    completion_length=20,
    num_prompts=4,
    held_out=0.2,
)


def test_nothing_held_out_is_learned_from_and_no_answer_is_shared():
    given = material.material_from_ratings(toy_reviews(), TOY)
    T = TOY.text_length

    def texts(*sides):
        return {tuple(row[:T]) for row in np.concatenate(sides, axis=1).tolist()}

    held_out = texts(*given.held_out)
    assert len(held_out) > 10
    one, other = given.answers
    for learned in (
        texts(given.texts),
        texts(one.prompts, one.completions),
        texts(other.prompts, other.completions),
    ):
        assert not held_out & learned
    asked = set(map(tuple, np.concatenate([given.prompts, given.new_prompts]).tolist()))
    assert len(asked) == 8
    assert asked <= set(map(tuple, given.held_out.prompts.tolist()))
    # Nine ratings a text: four to the one half, five to the other, none to both.
    assert len(other.scores) * 4 == len(one.scores) * 5
    times = np.unique(one.completions, axis=0, return_counts=True)[1]
    assert (times == 4).all()


def test_each_annotator_teaches_one_half_and_bad_lines_are_counted(tmp_path):
    file = tmp_path / "torn.jsonl"
    file.write_text('{"prompt": "it is", "chosen"\n' + toy_preferences())
    given = material.material_from_texts(toy_texts(), TOY)
    skipped = Counter()
    found = own_files.with_preferences(given, file, TOY, skipped)
    assert skipped == {"not JSON": 1}
    learned = sum(len(half.prompts) for half in found.answers)
    assert learned + len(found.questions.prompts) == 150
    people = [set(half.annotators.tolist()) for half in found.answers]
    assert people[0] | people[1] == {0, 1, 2, 3}
    assert not people[0] & people[1]
