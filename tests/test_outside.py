"""Exercises from outside this repository, by the example in CONTRIBUTING.md."""

import os
import re
import subprocess
import sys

import pytest

from tests.exercises import commands, workbook
from tests.exercises.manifest import BOOK, ROOT, book, everything, find

HEADING = "## Exercises of your own, outside this repository\n"
MOST_LINES = 40


def example():
    """The files of the example: its blocks, each with its name in the first line."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    blocks = re.findall(r"```\w+\n# (\S+)\n(.*?)```", section, re.DOTALL)
    assert sum(block.count("\n") for _, block in blocks) < MOST_LINES
    return dict(blocks)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The example in a folder, with a workbook beside it."""
    for name, text in example().items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv(BOOK, "")
    monkeypatch.setattr(workbook, "WORKBOOK", tmp_path / "workbook")
    yield tmp_path
    os.environ[BOOK] = ""
    book.cache_clear()
    everything.cache_clear()


def run(folder, *args):
    return commands.main(["--book", str(folder), *args])


def test_the_example_is_listed_after_ours(folder, capsys):
    assert run(folder, "list") == 0
    said = capsys.readouterr().out
    assert "From outside" in said
    assert said.find("moving-average") > said.find("what-is-wrong-3") > 0
    assert run(folder, "hint", "forgets") == 0
    assert "By which share" in capsys.readouterr().out
    assert list(book())[-1] == "moving-average"


@pytest.mark.slow
def test_the_example_passes_the_gate_and_a_broken_trap_does_not(folder, capsys):
    assert run(folder, "gate") == 0
    assert (
        "moving-average (traps: 1, variants: 1): all is well" in capsys.readouterr().out
    )
    manifest = folder / "exercises.toml"
    text = manifest.read_text()
    manifest.write_text(
        text.replace('by = "step_size * reward"', 'by = "step_size * (reward - mean)"')
    )
    assert run(folder, "gate") == 1
    assert "no unit test of the exercise fails on it" in capsys.readouterr().out


@pytest.mark.slow
def test_a_learner_starts_fails_by_a_trap_and_passes(folder, capsys):
    assert run(folder, "start", "moving-average") == 0
    assert f"--book {folder} check" in capsys.readouterr().out
    file = folder / "workbook" / "moving_average.py"
    begun = file.read_text()
    assert "return np.array(means)" not in begun
    exercise = find("moving-average")
    body = (
        "from averages import moving_average as ours\n\n\n" + example()["averages.py"]
    )
    file.write_text(body.replace("(reward - mean)", "reward"))
    assert run(folder, "check") == 1
    assert capsys.readouterr().out.startswith(exercise.traps[0].says[:60])
    other = body.replace("    means, mean = [], 0.0\n", "    return ours([], 0.0)\n")
    file.write_text(other)
    assert run(folder, "check") == 1
    assert capsys.readouterr().out.startswith("No mark: your file uses")
    file.write_text(body)
    assert run(folder, "check", "moving-average") == 0
    assert "Passed: A mean that forgets." in capsys.readouterr().out


@pytest.mark.slow
def test_a_teachers_own_exercise_is_handed_out_without_its_answer(
    folder, capsys, tmp_path_factory
):
    assert run(folder, "handout", str(folder / "out")) == 2
    assert "and is to hold a copy of it" in capsys.readouterr().err
    out = tmp_path_factory.mktemp("class") / "out"
    assert run(folder, "handout", str(out), "--select", "moving-average") == 0
    files = {file.name: file for file in (out / "outside").iterdir()}
    assert files.keys() == {"averages.py", "cases.py", "test_averages.py"}
    assert "mean += " not in files["averages.py"].read_text()
    attempt = out / "workbook" / "moving_average.py"
    assert "python -m tests check moving-average" in attempt.read_text()
    attempt.write_text(example()["averages.py"])
    check = [sys.executable, "-m", "tests", "check"]
    env = os.environ | {BOOK: "", "PYTHONPATH": ""}
    checked = subprocess.run(check, cwd=out, env=env, capture_output=True, text=True)
    assert checked.stdout.startswith("Passed: A mean that forgets."), checked.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "moving-average"', 'id = "td-zero"', "an exercise with this id"),
        ('id = "moving-average"\n', "", "exercise 1: id must be given"),
        ('id = "moving-average"', 'id = "Moving"', "an id has small letters, digits"),
        ("averages:moving_average", "averages.moving", "must be 'module:name'"),
        ("averages:moving_average", "averages:mean", "there is no function mean in"),
        ("averages:moving_average", "random:mean", "random.py is taken"),
        ("cases:rewards", "case:rewards", "case.py"),
        ("test_averages.py::", "test_mean.py::", "test_mean.py"),
        ("minutes = 10", "minute = 10", "minutes must be given"),
        ("minutes = 10", "minutes = 10\nlevel = 1", "there is no field level"),
        ("minutes = 10", "minutes", "exercises.toml: Expected '='"),
        ("[[exercises]]", "[[exercise]]", "there is no [[exercises]]"),
    ],
)
def test_a_mistake_in_a_manifest_costs_one_line(folder, capsys, old, new, message):
    manifest = folder / "exercises.toml"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))
    assert run(folder, "list") == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_folder_without_a_manifest_costs_one_line(tmp_path, folder, capsys):
    assert run(tmp_path / "nowhere", "list") == 2
    assert "nowhere/exercises.toml." in capsys.readouterr().err
    assert commands.main(["--book"]) == 2
    assert "--book: expected one argument" in capsys.readouterr().err
