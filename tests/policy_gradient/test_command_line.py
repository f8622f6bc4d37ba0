"""`python -m policy_gradient` as a user meets it: what it shows, leaves and refuses."""

import csv
import itertools

import pytest

from policy_gradient.__main__ import main
from policy_gradient.comparison.contenders import BUILT_IN

MINE = """
import mdp
import numpy as np

def coin():
    toss = [(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]
    return mdp.from_outcomes([[toss, [(1.0, 0, 1.5, True)]]], discount=0.9)

def stops(seed, world, checkpoints):
    return np.tile([0.0, 1.0], (len(checkpoints), 1, 1))

def tosses(seed, world, checkpoints):
    return np.tile([1.0, 0.0], (len(checkpoints), 1, 1))
"""
COMPARE = (
    "compare --worlds mine.py:coin --algorithms mine.py:tosses mine.py:stops "
    "--seeds 3 --steps 100 --checkpoints 2 --out out"
).split()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a user's file in it."""
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_comparison_shows_the_best_first_and_leaves_its_files(folder, capsys):
    assert main(COMPARE) == 0
    _, shown = capsys.readouterr().out.split("coin: optimum 1.5, ")
    assert 0 < shown.index("value_iteration") < shown.index("stops")
    assert shown.index("stops") < shown.index("tosses")
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {"runs.csv", "comparison.json", "comparison.png"}
    with (folder / "out" / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # Tossing for ever is worth v = (1 + 0.9 v) / 2.
    found = {row["algorithm"]: float(row["sampling"]) for row in rows}
    assert found["stops"] == pytest.approx(1.5)
    assert found["tosses"] == pytest.approx(0.5 / 0.55)
    before = (folder / "out" / "runs.csv").read_bytes()
    assert main(COMPARE) == 2, "the folder exists"
    assert "--overwrite" in capsys.readouterr().err
    assert main([*COMPARE, "--overwrite"]) == 0
    assert (folder / "out" / "runs.csv").read_bytes() == before


def test_the_list_names_every_algorithm_and_its_numbers(capsys):
    assert main(["algorithms"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    names = [*BUILT_IN, "value_iteration"]
    for name, following in itertools.pairwise(names):
        row = shown[shown.index(f" {name} ") : shown.index(f" {following} ")]
        assert f"step_size={BUILT_IN[name].config.step_size:g}" in row


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["compare", "--algorithms", "ppa"], "did you mean ppo"),
        (["compare", "--worlds", "mine.py:nothing"], "nothing"),
        (["compare", "--sweep", "clip=a,b"], "clip"),
    ],
)
def test_a_mistake_costs_one_line(flags, told, folder, capsys):
    assert main(flags) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert told in message
    assert message.count("\n") == 1
