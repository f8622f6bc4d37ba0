"""The command line: output, files, and one line for every mistake."""

import csv
import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from mdp.__main__ import main
from mdp.worlds import WORLDS


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.slow
def test_all_worlds_are_listed_and_each_has_a_page(capsys):
    assert main(["worlds"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in WORLDS)
    assert main(["worlds", "gambler"]) == 0
    assert "v*(50) = 0.4" in capsys.readouterr().out


@pytest.mark.slow
def test_solve_prints_the_grid_and_writes_table_pictures_and_animation(
    capsys, tmp_path
):
    out = tmp_path / "new" / "directory"
    assert main(["solve", "short_corridor", "--out", str(out)]) == 0
    assert "-3  -2  -1  G" in capsys.readouterr().out
    names = {
        "short_corridor.csv",
        "short_corridor.png",
        "short_corridor_residuals.png",
        "short_corridor_sweeps.html",
    }
    assert {path.name for path in out.iterdir()} == names, "and nothing else"
    assert rows_of(out / "short_corridor.csv") == [
        ["state", "value", "best actions"],
        *(["0", "-3", "→"], ["1", "-2", "←"], ["2", "-1", "→"]),
    ]
    for name in names:
        head = (out / name).read_bytes()[:8]
        assert head.startswith(b"\x89PNG") == name.endswith(".png")


@pytest.mark.parametrize(
    "method",
    ["value_iteration_in_place", "policy_iteration", "modified_policy_iteration"],
)
def test_every_method_finds_the_same_values(method, capsys):
    assert main(["solve", "student", "--method", method]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[-1] for line in printed.splitlines()[2:6]] == [
        *("quit", "study", "study", "study")
    ]
    assert "value of the start 6" in printed


def test_a_discount_changes_the_answer(capsys):
    assert main(["solve", "short_corridor", "--discount", "0.5"]) == 0
    assert "value of the start -1.75" in capsys.readouterr().out


def test_learn_writes_every_return_and_the_curves(capsys, tmp_path):
    command = "learn short_corridor --algorithms monte_carlo --seeds 3"
    settings = f"--num-episodes 30 --window 5 --max-steps 50 --out {tmp_path}"
    assert main([*command.split(), *settings.split()]) == 0
    printed = capsys.readouterr().out
    assert "monte_carlo" in printed
    assert "-3" in printed, "the exact optimum stands beside"
    table = rows_of(tmp_path / "short_corridor_learning.csv")
    assert table[0] == ["algorithm", "learner", "episode", "return"]
    assert len(table) == 1 + 3 * 30
    returns = np.array([float(row[3]) for row in table[1:]])
    assert returns.max() <= -3
    assert (tmp_path / "short_corridor_learning.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("solve frozen_lak", "got 'frozen_lak' (did you mean frozen_lake"),
        ("learn mase", "got 'mase' (did you mean maze"),
        ("worlds gamblr", "got 'gamblr' (did you mean gambler"),
        (
            "solve maze --method magic",
            "'magic' for argument '--method'. Expected one of",
        ),
        ("learn maze --algorithms sarsa q_lerning", "invalid choice 'q_lerning'"),
        ("learn maze --seeds many", "--seeds: invalid literal for int()"),
        ("learn maze --seeds 0", "--seeds must be at least 1, got 0"),
        ("learn maze --max-steps 0", "error: max_steps must be at least 1, got 0"),
        ("learn maze --window 501", "--window must be in 1..500, got 501"),
        ("solve maze --discount 2", "discount must be in [0, 1], got 2"),
        ("solve maze --colour red", "Unrecognized options: --colour"),
        ("solve five_by_five --discount 1 --method policy_iteration", "gamma is 1"),
        ("slove maze", "Unrecognized options: slove"),
        ("solve", "Missing from python -m mdp solve"),
        ("", "Expected one of {worlds, solve, learn}"),
    ],
)
def test_a_mistake_costs_one_clear_line(command, told, capsys):
    assert main(command.split()) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ")
    assert told in complaint
    assert complaint.count("\n") == 1


def test_values_without_a_limit_are_reported(capsys, monkeypatch):
    from mdp import __main__ as cli

    def impatient(model):
        return cli.mdp.value_iteration(model, max_sweeps=3)

    monkeypatch.setitem(cli.METHODS, "value_iteration", impatient)
    assert main(["solve", "five_by_five"]) == 2
    assert "still change after 3 sweeps" in capsys.readouterr().err


def test_out_must_be_a_folder(capsys, tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    assert main(["solve", "student", "--out", str(file)]) == 2
    assert "--out must be a folder, got the file" in capsys.readouterr().err
    assert main(["solve", "student", "--out", str(file / "below")]) == 2
    assert "error: cannot write" in capsys.readouterr().err
    assert file.read_text() == "kept"


def test_help_is_no_mistake(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["solve", "--help"])
    assert stop.value.code == 0
    assert "--method" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "other", "names"),
    [
        ("solve student", "--discount 0.5", ["student.csv", "student.png"]),
        (
            "learn student --algorithms sarsa --seeds 2 --num-episodes 20",
            "--seeds 3",
            ["student_learning.csv", "student_learning.png"],
        ),
    ],
)
def test_other_results_in_the_folder_are_kept_unless_they_may_be_replaced(
    command, other, names, capsys, tmp_path
):
    command = [*command.split(), "--out", str(tmp_path)]
    assert main(command) == 0
    before = {name: (tmp_path / name).read_bytes() for name in names}
    assert main(command) == 0, "the same results may be written again"
    capsys.readouterr()
    assert main([*command, *other.split()]) == 2
    complaint = capsys.readouterr().err
    assert "try another --out, or --overwrite" in complaint
    assert complaint.count("\n") == 1
    assert before == {name: (tmp_path / name).read_bytes() for name in names}
    assert main([*command, *other.split(), "--overwrite"]) == 0
    assert (tmp_path / names[0]).read_bytes() != before[names[0]]


def test_learning_goes_on_after_the_last_finished_algorithm(
    capsys, tmp_path, monkeypatch
):
    from mdp import __main__ as cli
    from mdp.fast import control

    command = "learn short_corridor --algorithms sarsa q_learning --seeds 2 --out"
    learn_many = control.learn_many
    assert main([*command.split(), str(tmp_path / "whole")]) == 0

    def stop_at(stopped):
        def learn(rng, model, config, algorithm, seeds):
            if algorithm is stopped:
                raise KeyboardInterrupt
            return learn_many(rng, model, config, algorithm, seeds)

        monkeypatch.setattr(control, "learn_many", learn)

    stop_at(cli.mdp.q_learning)
    with pytest.raises(SystemExit):
        main([*command.split(), str(tmp_path / "stopped")])
    assert "the same command goes on from there" in " ".join(
        capsys.readouterr().out.split()
    )
    stop_at(cli.mdp.sarsa)
    assert main([*command.split(), str(tmp_path / "stopped")]) == 0
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "stopped" / path.name).read_bytes()
    assert len([*(tmp_path / "stopped").iterdir()]) == 2


def test_files_are_written_before_anything_is_shown(capsys, tmp_path, monkeypatch):
    from mdp import __main__ as cli

    def fail(*args, **kwargs):
        raise RuntimeError("no such style")

    monkeypatch.setattr(cli.console, "print", fail)
    for command in ("solve student", "learn student --seeds 2 --num-episodes 20"):
        out = tmp_path / command.split()[0]
        with pytest.raises(RuntimeError):
            main([*command.split(), "--out", str(out)])
        assert [*out.glob("*.csv")]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_some_signs_shows_others(encoding, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stdout", shown)
    assert main("learn student --seeds 2 --num-episodes 20".split()) == 0
    shown.flush()
    text = shown.buffer.getvalue().decode(encoding)
    assert ("±" if encoding != "ascii" else "?") in text


@pytest.mark.slow
def test_a_reader_who_leaves_loses_no_file(tmp_path):
    command = f"{sys.executable} -m mdp solve student --out {tmp_path / 'out'} | true"
    subprocess.run(command, shell=True, check=True, timeout=60)
    assert (tmp_path / "out" / "student.csv").exists()
