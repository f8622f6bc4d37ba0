"""The exercise book on the command line and in a cell, from start to solution."""

import json

import jax
import jax.numpy as jnp
import pytest

from mdp import exercises as bridge
from tests.exercises import commands, sources, workbook
from tests.exercises.manifest import find
from tests.test_exercises import RIGHT

RETURNS = find("discounted-returns")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A workbook of its own."""
    monkeypatch.setattr(workbook, "WORKBOOK", tmp_path / "workbook")
    return tmp_path / "workbook"


def run(*args):
    return commands.main(list(args))


def write(desk, body):
    """Fill in the file that `start` wrote."""
    file = desk / "discounted_returns.py"
    stub = file.read_text()
    file.write_text(stub.replace(f"    {sources.TODO}\n", body.lstrip("\n")))


def test_from_start_to_the_solution(desk, capsys):
    assert run("start", "discounted-returns") == 0
    assert run("check") == 1
    assert "no lines of yours yet" in capsys.readouterr().out
    assert run("solution", "discounted-returns") == 2
    assert "still open" in capsys.readouterr().err
    assert run("solution", "discounted-returns", "--reveal") == 0
    assert "def discounted_returns(" in capsys.readouterr().out
    write(desk, RIGHT)
    assert run("check", "discounted-returns") == 0
    assert "Next: `python -m tests start transitions-from-outcomes`" in " ".join(
        capsys.readouterr().out.split()
    )
    assert run("solution", "discounted-returns") == 0
    assert run() == 0
    assert "1 of" in capsys.readouterr().out


def test_a_file_is_never_overwritten_and_a_reset_keeps_it(desk, capsys):
    run("start", "discounted-returns")
    write(desk, RIGHT)
    assert run("start", "discounted-returns") == 2
    assert "was not changed" in capsys.readouterr().err
    for n in (1, 2):
        assert run("reset", "discounted-returns") == 0
        assert (desk / f"discounted_returns.{n}.bak").exists()
    assert "following = rewards" in (desk / "discounted_returns.1.bak").read_text()
    assert sources.TODO in (desk / "discounted_returns.py").read_text()


def test_progress_is_a_plain_file_that_outlives_the_exercises(desk):
    """Also what is noted of an exercise that the book no longer has."""
    desk.mkdir()
    (desk / "progress.json").write_text(json.dumps({"of-old": {"passed": True}}))
    workbook.note(RETURNS, passed=True)
    progress = json.loads((desk / "progress.json").read_text())
    assert progress == {"of-old": {"passed": True}, RETURNS.id: {"passed": True}}
    assert workbook.next_open().id == "transitions-from-outcomes"
    (desk / "progress.json").write_text("{")
    assert run() == 2


def test_each_hint_says_more(desk, capsys):
    for number in (1, 2, 3, 3):
        assert run("hint", "discounted-returns") == 0
        out = capsys.readouterr().out
        assert out.count("Hint ") == number


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["chek"], "There is no command 'chek': did you mean check?"),
        (["check", "td-zer"], "no exercise 'td-zer': did you mean td-zero?"),
        (["check", "xyzzy"], "There is no exercise 'xyzzy'"),
        (["check", "td-zero"], "td-zero`."),
        (["start", "--quickly"], "unrecognized arguments: --quickly"),
    ],
)
def test_what_cannot_be_done_costs_one_line(desk, capsys, args, message):
    assert run(*args) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


GAMMA_ONE = 1.0


def scaled(reward):
    return reward * GAMMA_ONE


def my_returns(rewards, discounts):
    total, following = rewards * 0.0, 0.0
    for t in reversed(range(len(rewards))):
        following = scaled(rewards[t]) + discounts[t] * following
        total[t] = following
    return total


def unfilled(rewards, discounts): ...


def own_lines(mdp, epsilon=1e-9, max_sweeps=100_000):
    return mdp.value_iteration(mdp)


@jax.jit
def my_errors(trajectory):
    following = trajectory.discounts * trajectory.next_values
    return jnp.subtract(trajectory.rewards + following, trajectory.values)


@pytest.mark.parametrize(
    ("function", "exercise", "state", "text"),
    [
        (my_returns, "discounted-returns", "passed", "Passed"),
        pytest.param(
            *(my_errors, "td-errors", "passed", "Passed"), marks=pytest.mark.slow
        ),
        (unfilled, "discounted_returns", "open", "Still open"),
        (unfilled, "discounted-retuns", "failed", "did you mean discounted-returns?"),
        (3, "discounted-returns", "failed", "your function itself"),
        # Its lines have no numbers that a reader of the cell could see.
        (own_lines, "value-iteration", "failed", "the line:  return mdp.value_it"),
    ],
)
def test_a_cell_gets_the_same_answer(
    function, exercise, state, text, monkeypatch, tmp_path, capsys
):
    """With helpers, numbers and a name of one's own; nothing is ever raised."""
    monkeypatch.setenv("EXERCISE_WORKBOOK", str(tmp_path))
    answer = bridge.check(function, exercise)
    assert (answer.state, bool(answer)) == (state, state == "passed")
    said = capsys.readouterr().out
    assert text in said
    assert (function is own_lines) == ("hides the package `mdp`" in said)
    if state == "passed":
        progress = json.loads((tmp_path / "progress.json").read_text())
        assert progress[exercise]["passed"]


def test_without_the_checkout_a_cell_is_told_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bridge, "CHECKOUT", tmp_path)
    assert not bridge.check(my_returns, "discounted-returns")
    assert "clone the repository" in " ".join(capsys.readouterr().out.split())
