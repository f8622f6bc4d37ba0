"""`python -m lm_bandit` as a user meets it: what it leaves, and what it refuses."""

import io
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from lm_bandit import __main__ as command_line
from lm_bandit import ask, commands, pipeline
from lm_bandit import world as text
from lm_bandit.checkpoints import load_checkpoint
from lm_bandit.diagnostics import BrokenRun, History
from lm_bandit.doctor.examine import read_history
from mdp.interface.files import write_files
from policy_gradient.diagnostics import Diagnostics
from tests.lm_bandit.small_run import few_words

EMPTY = Diagnostics(*[np.zeros(1)] * len(Diagnostics._fields))
README = Path(__file__).parents[2] / "README.md"

SHORT = (
    "--num-babble 256 --num-demonstrations 128 --num-comparisons 512 --ppo.pulls 4 "
    "--pretraining.num-updates 4 --sft.num-updates 4 --reward.num-updates 4 "
    "--ppo.num-updates 5 --model.num-layers 1 --model.d-model 16"
).split()


def run(*flags):
    return command_line.main([str(flag) for flag in flags])


@pytest.fixture(scope="module")
def run_on_four_words():
    """The command on a pocket world of 4 rated words, 13 words in all."""

    def run_on_few(*flags):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(commands, "named_world", lambda name, ratings: few_words())
            patch.setattr(pipeline, "SAMPLES", 64)
            return run(*SHORT, *flags)

    return run_on_few


@pytest.fixture(scope="module")
def short_run(run_on_four_words, tmp_path_factory):
    """A run of a few updates, and its report."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "folder"
    assert run_on_four_words("--out", folder, "--seed", "3") == 0
    return folder, json.loads((folder / "report.json").read_text())


def test_a_run_leaves_a_report_and_a_picture(short_run):
    folder, report = short_run
    models = ("base", "policy", "reference", "reward_model")
    assert {file.name for file in folder.iterdir()} == {
        "report.json",
        "history.csv",
        "reward_kl.png",
        *(f"{name}.safetensors" for name in models),
    }
    policy, about = load_checkpoint(folder / "policy.safetensors")
    assert about["vocabulary"][policy.wte.shape[0] - 1] == "boring"
    assert (folder / "reward_kl.png").read_bytes().startswith(b"\x89PNG")
    assert report["seed"] == 3
    for name in ("base", "reference", "ppo", "optimum"):
        assert set(report[name]) == {"gold", "learned", "kl", "objective"}
    assert report["reference"]["kl"] == 0
    assert report["optimum"]["objective"] > report["ppo"]["objective"]
    assert report["ended"] == 8 * (1 + 13 + 13**2 + 13**3)
    assert report["cut_off"] == 8 * 13**4
    assert report["completions"] == report["ended"] + report["cut_off"]
    stages = {"pretraining", "SFT", "reward model", "PPO", "exact oracle"}
    assert set(report["seconds"]) == stages
    assert all(seconds > 0 for seconds in report["seconds"].values())
    assert "jax" in report["versions"]


def test_a_run_leaves_a_history_that_the_doctor_reads(short_run, capsys):
    folder, report = short_run
    curves = read_history(folder / "history.csv")
    assert {len(curve) for curve in curves.values()} == {5}
    beta = report["config"]["ppo"]["kl_weight"]
    objective = curves["score"] - beta * curves["kl"]
    np.testing.assert_allclose(curves["objective"], objective, atol=1e-5)
    np.testing.assert_allclose(curves["reward"], objective, atol=1e-5)
    assert run("doctor", folder) == 0
    assert "of 5 updates looks healthy" in capsys.readouterr().out


def test_the_share_is_what_it_says(short_run):
    _, report = short_run
    start, end, best = (
        report[name]["objective"] for name in ("reference", "ppo", "optimum")
    )
    assert report["share_to_optimum"] == pytest.approx((end - start) / (best - start))
    kl_weight = report["config"]["ppo"]["kl_weight"]
    for name in ("reference", "ppo", "optimum"):
        value = report[name]
        j = value["learned"] - kl_weight * value["kl"]
        assert value["objective"] == pytest.approx(j)


@pytest.mark.slow
def test_a_wide_run_names_its_estimates_and_bounds_the_optimum(
    short_run, run_on_four_words, tmp_path, capsys
):
    """The same seed gives the same models, so the exact values are the oracle."""
    _, exact = short_run
    assert run_on_four_words("--world", "wide", "--out", tmp_path, "--seed", "3") == 0
    message = capsys.readouterr().out
    assert "Estimates from 512 sampled completions each" in message
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["world"] == "wide"
    for name in ("pretraining_loss", "reward_model_accuracy", "samples", "versions"):
        assert report[name] == exact[name]
    assert not {"optimum", "frontier", "share_to_optimum", "ppo"} & report.keys()
    found = report["estimates"]
    names = {"gold": "gold", "learned": "learned", "kl": "kl_k1", "objective": None}
    for policy in ("base", "reference", "ppo"):
        for name, estimate in names.items():
            mean, error = found[policy][estimate or name].values()
            assert abs(mean - exact[policy][name]) <= 4 * error + 1e-6
    assert [row["update"] for row in found["path"]] == [0, 4, 5]
    assert "PPO has gone at least" in " ".join(message.split())
    within = found["optimum"]
    error = within["optimum"]["standard_error"]
    assert within["low"] - 2 * error < exact["optimum"]["objective"]
    assert exact["optimum"]["objective"] < within["high"] + 2 * error
    assert (tmp_path / "reward_kl.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_question_of_the_readme_is_answered(
    short_run, tmp_path, monkeypatch, capsys
):
    (command,) = re.findall(r"-m lm_bandit (ask [^`]*)`", README.read_text("utf-8"))
    shutil.copytree(short_run[0], tmp_path / "runs" / "pocket-0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ask, "named_world", lambda name, ratings: few_words())
    assert run(*shlex.split(command)) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.strip() == "praise: the film was"
    words = {word for row in rows for word in row.split()}
    assert words & {"good", "bad", "nice", "boring"}


def test_what_a_person_answered_is_learned(tmp_path, monkeypatch, capsys):
    """Eight answers give a crowd of one taste, and the main job learns from it."""
    calls = []
    monkeypatch.setattr(commands, "rlhf", lambda *given: calls.append(given))
    monkeypatch.setattr(sys, "stdin", io.StringIO("a\n" * 8))
    folder = tmp_path / "mine"
    assert run("label", "--out", folder, "--seed", "3") == 0
    assert "8 answers in" in capsys.readouterr().out
    ((config, name, out, _, people, feedback, answers),) = calls
    assert (config.seed, name, out) == (3, "pocket", folder)
    assert feedback == "8 answers in answers.jsonl"
    assert answers == folder / "answers.jsonl"
    assert len(answers.read_text().splitlines()) == 8
    assert people.tastes.shape == (100, len(text.pocket_world().vocabulary))


def test_a_file_is_no_folder_for_answers(tmp_path, capsys):
    for name, hint in (("old.jsonl", "as answers.jsonl"), ("old", "got the file")):
        (tmp_path / name).write_text("kept")
        assert run("label", "--out", tmp_path / name) == 2
        message = capsys.readouterr().err
        assert message.startswith("error: --out must be a folder, got ")
        assert hint in message
        assert message.count("\n") == 1
        assert (tmp_path / name).read_text() == "kept"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--sead", "1"], "--sead"),
        (["--seed", "one"], "--seed: invalid literal for int() with base 10: 'one'"),
        (["--ppo.kl-weight", "0"], "kl_weight must be positive, got 0"),
        (["--ppo.minibatches", "7"], "minibatches must divide pulls = 64, got 7"),
        (["--num-babble", "-1"], "num_babble must be positive, got -1"),
        (["--ratings", "no.csv"], "cannot read no.csv: No such file or directory"),
        (["--out", "{file}/runs"], "Not a directory"),
        (["--ratings", "{file}"], "mine.csv, line 2: expected a word and whole num"),
    ],
)
def test_a_mistake_costs_one_line_and_exit_status_2(flags, complaint, tmp_path, capsys):
    file = tmp_path / "mine.csv"
    file.write_text("word\ngood,1,x\n")
    assert run(*(flag.format(file=file) for flag in flags)) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1, message
    assert complaint in message


def test_an_interrupted_run_says_so_and_writes_nothing(monkeypatch, tmp_path, capsys):
    def interrupt(world, config, progress, people):
        with progress.stage("reward model", 1):
            raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "prepare", interrupt)
    with pytest.raises(SystemExit) as stop:
        run("--out", tmp_path)
    assert stop.value.code == 130
    message = capsys.readouterr().out
    assert "Stopped during reward model on comparisons; nothing was written." in message
    assert not any(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_behind(short_run, tmp_path, model):
    _, report = short_run
    (tmp_path / "report.json").mkdir()  # cannot be replaced by a file
    world, models = text.pocket_world(), pipeline.TrainedModels(*[model] * 3, model)
    nothing = History(*[np.zeros(1)] * (len(History._fields) - 1), improvement=EMPTY)
    learned = pipeline.Learned(models, model, nothing, 0.0, 0.0)
    run_files = commands.report.run_files(report, Figure(), learned, world)
    with pytest.raises(OSError, match=r"report\.json"):
        write_files(tmp_path, run_files)
    # Each file is whole, and nothing else is left.
    left = {file.name for file in tmp_path.iterdir()}
    assert not any(name.startswith(".") for name in left)
    assert "report.json" in {file.name for file in tmp_path.iterdir() if file.is_dir()}
    load_checkpoint(tmp_path / "policy.safetensors")


def test_the_ratings_can_be_the_users_own(tmp_path):
    lines = text.WORD_RATINGS.read_text().splitlines()
    changed = [line.replace("good,2,1,1", "good,-4,-4,-4") for line in lines]
    assert changed != lines
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(changed))
    world = text.pocket_world(file)
    assert list(world.ratings[world.encode("good")[0]][:3]) == [-4, -4, -4]


def test_a_run_that_diverges_is_stopped_and_leaves_its_last_good_policy(
    model, tmp_path, monkeypatch, capsys
):
    def diverge(world, config, progress, people, reward=None):
        raise BrokenRun(1, "expected finite numbers, got nan or inf", model)

    monkeypatch.setattr(pipeline, "prepare", diverge)
    assert run("--out", tmp_path) == 2
    message = capsys.readouterr().err
    assert "PPO, update 1: expected finite numbers, got nan or inf" in message
    assert [file.name for file in tmp_path.iterdir()] == ["last_good.safetensors"]
    policy, description = load_checkpoint(tmp_path / "last_good.safetensors")
    assert description["world"] == "pocket"
    assert np.array_equal(policy.wte, model.wte)


def test_another_run_in_the_folder_is_refused_before_any_work(
    short_run, run_on_four_words, monkeypatch, capsys
):
    folder, report = short_run
    monkeypatch.setattr(pipeline, "prepare", pytest.fail)
    assert run_on_four_words("--out", folder, "--seed", "4") == 2
    message = capsys.readouterr().err
    assert "has seed = 3, got 4: try another --out, or --overwrite" in message
    assert message.count("\n") == 1
    assert run_on_four_words("--out", folder, "--seed", "3") == 0
    assert "This run is finished" in capsys.readouterr().out
    assert json.loads((folder / "report.json").read_text()) == report


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "flag"),
    [
        ("pretraining", "--pretraining.step-size"),
        ("SFT", "--sft.step-size"),
        ("reward model", "--reward.step-size"),
        ("PPO", "--ppo.step-size"),
    ],
)
def test_training_that_diverges_is_named_by_its_stage_and_leaves_its_last_good_model(
    stage, flag, tmp_path, run_on_four_words, capsys
):
    assert run_on_four_words("--out", tmp_path, flag, "1e38") == 2
    message = capsys.readouterr().err
    assert f"{stage}, update " in message
    assert "expected finite numbers, got nan or inf" in message
    assert message.count("error: ") == 1
    assert message.splitlines()[-1].startswith("error: "), "the rest is progress"
    load_checkpoint(tmp_path / "last_good.safetensors")
