"""`python -m lm_bandit lab`: the list, an experiment's files, and what it refuses."""

import csv
import json

import pytest

from lm_bandit import __main__ as command_line
from lm_bandit.lab.command import EXPERIMENTS, find_experiment
from tests.stopping import stop_after_first_piece


def lab(*flags):
    return command_line.main(["lab", *map(str, flags)])


def test_without_a_name_every_experiment_has_a_line(capsys):
    assert lab() == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in EXPERIMENTS)


# "annotators" trains long: test_bad_annotators.py tells its result. One of the others
# is for every day.
each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != "flaw"))
        for name in EXPERIMENTS
        if name != "annotators"
    ],
)


@each
def test_every_experiment_writes_its_table_its_result_and_its_picture(
    name, tmp_path, capsys
):
    assert lab(name, "--seeds", 2, "--out", tmp_path / "new") == 0
    shown = capsys.readouterr().out
    experiment = find_experiment(name)
    assert all(f"\n{head} " in shown for head, x in experiment.columns.items() if x)
    files = {path.name: path for path in (tmp_path / "new").iterdir()}
    assert set(files) == {f"{name}.csv", f"{name}.json", f"{name}.png"}
    assert files[f"{name}.png"].read_bytes().startswith(b"\x89PNG")
    result = json.loads(files[f"{name}.json"].read_text())["found"]
    assert result["seeds"] == [0, 1]
    header, *rows = csv.reader(files[f"{name}.csv"].read_text().splitlines())
    assert header == ["measure", "case", "seed", "point", "number"]
    assert {row[2] for row in rows} == {"", "0", "1"}
    if name == "flaw":
        gold = result["flaws"]["length"]["gold"]
        assert [row[2:] for row in rows if row[:2] == ["flaws", "length, gold"]] == [
            [str(i), str(j), str(x)] for i in (0, 1) for j, x in enumerate(gold[i])
        ]
        # The comparisons, the bonuses, and of each flaw E[f], the use, gold and KL.
        assert len(rows) == 1 + 13 + 2 * (1 + 3 * 2 * 13)
        assert f"{(gold[0][-1] + gold[1][-1]) / 2:.2f}" in shown


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path):
    """A column of a table that is summed has other digits than its copy."""
    assert lab("flaw", "--seeds", 3, "--out", tmp_path / "one") == 0
    assert lab("flaw", "--seeds", 3, "--out", tmp_path / "two", "--workers", 2) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["flaws"], "name must be one of overoptimisation, flaw, annotators"),
        (["flaw", "--seeds", "1"], "seeds must be at least 2, got 1"),
        (["flaw", "--seeds", "many"], "many"),
    ],
)
def test_a_mistake_costs_one_line(flags, line, capsys):
    assert lab(*flags) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert line in message


@pytest.mark.slow
@each
def test_an_experiment_that_is_stopped_goes_on_with_the_next_seed(
    name, tmp_path, monkeypatch, capsys
):
    """The first seed is read from its file, and every byte is the same."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert lab(name, "--seeds", 2, "--out", whole) == 0
    kept = stop_after_first_piece(monkeypatch)
    with pytest.raises(SystemExit):
        lab(name, "--seeds", 2, "--out", stopped)
    assert "same command goes on from" in " ".join(capsys.readouterr().out.split())
    assert lab(name, "--seeds", 3, "--out", stopped) == 2
    assert "has seeds = 2, got 3" in capsys.readouterr().err
    assert lab(name, "--seeds", 2, "--out", stopped) == 0
    assert kept == ["seed 0.json", "seed 1.json"]
    for path in whole.iterdir():
        assert path.read_bytes() == (stopped / path.name).read_bytes()
    assert len([*stopped.iterdir()]) == 3
