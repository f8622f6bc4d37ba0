"""`python -m lm_bandit ask`: the answers of a checkpoint, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from lm_bandit import __main__ as command_line
from lm_bandit import ask, bandit, report, reward_model
from lm_bandit.checkpoints import save_checkpoint
from lm_bandit.oracle import trie
from lm_bandit.world import END

LEARNED = ask.SCORERS["reward_model"]


def run(*flags):
    return command_line.main(["ask", *map(str, flags)])


@pytest.fixture
def folder(tiny, fixed, policy, monkeypatch, tmp_path):
    """The files of a run on the tiny world, under the name of the pocket world."""
    monkeypatch.setattr(ask, "named_world", lambda name, ratings: tiny)
    description = report.checkpoint_description(tiny, "pocket", 0)
    scorer = tmp_path / "reward_model.safetensors"
    save_checkpoint(scorer, fixed.reward_model, description)
    words = ["<end>", "say:", "fine", "dire", "odd", "and"]
    for name, about in {
        "policy": description,
        "bare": {},
        "wordless": {"world": "pocket"},
        "others": description | {"vocabulary": words},
        "fewer": description | {"vocabulary": words[:5]},
    }.items():
        save_checkpoint(tmp_path / f"{name}.safetensors", policy, about)
    whole = (tmp_path / "policy.safetensors").read_bytes()
    (tmp_path / "damaged.safetensors").write_bytes(whole[:-100])
    llama = whole.replace(b'\\"gpt2\\"', b'\\"gpt9\\"')
    assert llama != whole
    (tmp_path / "other.safetensors").write_bytes(llama)
    (tmp_path / "text.safetensors").write_text("praise: the film")
    return tmp_path


def test_answers_have_the_exact_log_probability_and_the_scores_of_the_oracle(
    tiny, fixed, policy
):
    """400 samples of the second prompt, against the enumeration of everything."""
    prompt = tiny.prompts[1]
    speaker = ask.Speaker(policy, tiny, {LEARNED: fixed.reward_model})
    answers = ask.sampled_answers(speaker, prompt, 400, 0.8, 0)
    assert sum(answer.times for answer in answers) == 400
    assert len({answer.text for answer in answers}) == len(answers) > 20
    completions = trie.ended_completions(tiny)
    truth = trie.policy_log_probs(policy, tiny, 0.8).ended[1]
    gold = bandit.gold_scores(tiny, completions)[1]
    learned = trie.learned_scores(fixed.reward_model, tiny)[1]
    texts = [tiny.decode(completion) for completion in completions]
    whole = [answer for answer in answers if not answer.cut_off]
    assert whole
    for answer in whole:
        i = texts.index(answer.text)
        assert_allclose(answer.log_prob, truth[i], atol=1e-4)
        assert_allclose(answer.scores[ask.GOLD], gold[i], atol=1e-6)
        assert_allclose(answer.scores[LEARNED], learned[i], atol=1e-4)
    cut_off = [answer for answer in answers if answer not in whole]
    assert all(answer.text.endswith("...") for answer in cut_off)
    assert all(set(answer.scores.values()) == {None} for answer in cut_off)
    expected = 400 * np.exp([answer.log_prob for answer in answers])
    counts = np.array([answer.times for answer in answers])
    assert np.all(np.abs(counts - expected) < 4 * np.sqrt(expected) + 1)
    assert list(counts) == sorted(counts, reverse=True)


@pytest.mark.slow
def test_a_prompt_that_no_rater_saw_has_no_gold_rating(tiny, fixed, policy):
    prompt = tiny.encode("fine")
    speaker = ask.Speaker(policy, tiny, {LEARNED: fixed.reward_model})
    answers = ask.sampled_answers(speaker, prompt, 50, 1.0, 0)
    whole = [answer for answer in answers if not answer.cut_off]
    (empty,) = [answer for answer in whole if answer.text == ""]
    texts = jnp.array([prompt]), jnp.full((1, 3), END)
    score = reward_model.score(fixed.reward_model, *texts)
    assert_allclose(empty.scores[LEARNED], score[0], atol=1e-5)
    assert all(answer.scores[ask.GOLD] is None for answer in answers)


@pytest.mark.slow
def test_a_folder_and_its_file_give_the_same_answers(folder, capsys):
    assert run(folder, "say: and") == 0
    of_folder = capsys.readouterr().out
    assert of_folder.splitlines()[0].strip() == "say: and", "the prompt is whole"
    assert '"..." marks a completion that did not end within 3 tokens' in of_folder
    assert "gold rating" in of_folder
    assert "learned score" in of_folder
    assert run(folder / "policy.safetensors", "say: and") == 0
    assert capsys.readouterr().out == of_folder
    (folder / "reward_model.safetensors").unlink()
    assert run(folder, "say: and") == 0
    assert "learned score" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "prompt", "complaint"),
    [
        ("none", "say: and", "none: expected a checkpoint, got no such file"),
        ("text.safetensors", "say: and", "expected a safetensors file, got"),
        ("damaged.safetensors", "say: and", "expected a safetensors file, got"),
        ("other.safetensors", "say: and", "model_type must be gpt2, got gpt9"),
        (
            "bare.safetensors",
            "say: and",
            "a model that this program trained",
        ),
        (
            "wordless.safetensors",
            "say: and",
            "a vocabulary in the description",
        ),
        ("others.safetensors", "say: and", "'poor' as token 3, got 'dire'"),
        ("fewer.safetensors", "say: and", "must be the world's 6 words, got 5 words"),
        ("reward_model.safetensors", "say: and", "expected a Transformer, got a Rewar"),
        ("", "say: feeble", "unknown words ['feeble']"),
        ("", "", "prompt must have at least one word, got none"),
        ("", "say: <end>", "prompt must not hold <end>"),
        ("", "say: and and", "completion of 3 tokens in the model's context of 5: at "),
    ],
)
def test_a_question_that_cannot_be_asked_costs_one_line_and_exit_status_2(
    folder, file, prompt, complaint, capsys
):
    assert run(folder / file, prompt) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1, message
    assert complaint in message


@pytest.mark.parametrize("flags", [["--count", "0"], ["--temperature", "0"]])
def test_dials_are_checked_before_anything_is_read(flags, capsys):
    assert run("none", "say: and", *flags) == 2
    assert f"{flags[0][2:]} must be positive, got 0" in capsys.readouterr().err


def test_a_checkpoint_of_no_known_world_is_refused(tiny, policy, tmp_path, capsys):
    file = tmp_path / "policy.safetensors"
    save_checkpoint(file, policy, report.checkpoint_description(tiny, "lunar", 0))
    assert run(tmp_path, "say: and") == 2
    assert "world must be pocket or wide, got lunar" in capsys.readouterr().err
