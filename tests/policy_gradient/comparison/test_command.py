"""`python -m policy_gradient compare --out`: what it keeps, and what it refuses."""

import pytest

from mdp.interface.runs import Run
from policy_gradient.__main__ import main
from tests.stopping import stop_after_first_piece

MINE = """
import mdp
import numpy as np


def coin():
    stop, toss = [(1.0, 0, 1.5, True)], [(0.5, 0, 1.0, False), (0.5, 0, 0.0, True)]
    return mdp.from_outcomes([[toss, stop]], discount=0.9)


def fading(seed, world, checkpoints):
    p = 0.5 * np.exp(-np.arange(len(checkpoints)) / (1 + seed))
    return np.stack([p, 1 - p], -1)[:, None, :]


def broken(seed, world, checkpoints):
    return np.where(np.arange(3)[:, None, None] > seed, np.nan, np.full((3, 1, 2), 0.5))
"""
COMMAND = (
    "compare --worlds mine.py:coin --algorithms mine.py:fading mine.py:broken "
    "--seeds 3 --steps 30 --checkpoints 3 --out"
).split()


@pytest.mark.slow
def test_a_comparison_that_is_stopped_goes_on_with_the_next_algorithm(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    assert main([*COMMAND, "whole"]) == 0
    kept = stop_after_first_piece(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        main([*COMMAND, "stopped"])
    assert stop.value.code == 130
    capsys.readouterr()
    assert main([*COMMAND, "stopped", "--first-seed", "1"]) == 2
    assert "has first_seed = 0, got 1: try another --out" in capsys.readouterr().err
    assert main([*COMMAND, "stopped"]) == 0
    assert kept == [
        f"coin, {name}, from seed {seed}.json"
        for name in ("fading", "broken")
        for seed in range(3)
    ]
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "stopped" / path.name).read_bytes()
    assert len([*(tmp_path / "stopped").iterdir()]) == 3
    capsys.readouterr()
    assert main([*COMMAND, "stopped"]) == 2
    assert "--out must be a new folder, got stopped" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path, monkeypatch):
    """The file of one's own goes with its runs, and a sweep is several jobs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    command = [*COMMAND[:-1], "--out"]
    command[command.index("mine.py:broken")] = "sarsa"
    command[1:1] = ["--sweep", "step_size=0.1,0.2,0.3"]
    assert main([*command, "one"]) == 0
    assert main([*command, "two", "--workers", "2"]) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_another_algorithm_of_the_same_name_is_another_comparison(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")

    def interrupt(run, file, content):
        keep(run, file, content)
        raise KeyboardInterrupt

    keep = Run.keep
    monkeypatch.setattr(Run, "keep", interrupt)
    with pytest.raises(SystemExit):
        main([*COMMAND, "out"])
    (tmp_path / "mine.py").write_text(MINE.replace("0.5 * np.exp", "0.4 * np.exp"))
    capsys.readouterr()
    assert main([*COMMAND, "out"]) == 2
    assert "has files.mine.py = " in capsys.readouterr().err
