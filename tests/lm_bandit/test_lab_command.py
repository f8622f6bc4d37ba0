"""`python -m lm_bandit lab`: the list, an experiment's files, and what it refuses."""

import csv
import json

import pytest

from lm_bandit import __main__ as command_line
from lm_bandit.lab.command import EXPERIMENTS


def lab(*flags):
    return command_line.main(["lab", *map(str, flags)])


def test_without_a_name_every_experiment_has_a_line(capsys):
    assert lab() == 0
    told = capsys.readouterr().out
    assert all(f"\n {name} " in told for name in EXPERIMENTS)


def test_table_csv_and_json_have_the_same_numbers(tmp_path, capsys):
    assert lab("flaw", "--seeds", 2, "--out", tmp_path / "new") == 0
    told = capsys.readouterr().out
    files = {path.name: path for path in (tmp_path / "new").iterdir()}
    assert set(files) == {"flaw.csv", "flaw.json", "flaw.png"}
    assert files["flaw.png"].read_bytes().startswith(b"\x89PNG")
    found = json.loads(files["flaw.json"].read_text())["found"]
    assert found["seeds"] == [0, 1]
    with files["flaw.csv"].open() as file:
        rows = list(csv.DictReader(file))
    gold = found["flaws"]["length"]["gold"]
    assert len(rows) == 2 * 2 * len(found["bonuses"])
    assert [float(row["gold"]) for row in rows[: len(gold[0])]] == gold[0]
    assert f"{(gold[0][-1] + gold[1][-1]) / 2:.2f}" in told


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
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert line in told
