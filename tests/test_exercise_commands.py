"""The exercise book on the command line and in a cell, from start to solution."""

import json

import pytest

from mdp import exercises as bridge
from tests.exercises import commands, sources, workbook
from tests.exercises.manifest import find

RETURNS = find("discounted-returns")

RIGHT = """
    total = rewards * 0.0
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        total[t] = following
    return total
"""


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
    assert "as it was when you began" in capsys.readouterr().out
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
    assert "stays as it is" in capsys.readouterr().err
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


def undiscounted(rewards, discounts):
    return rewards[::-1].cumsum()[::-1]


def sweeps_with_the_package(mdp, epsilon=1e-9, max_sweeps=100_000):
    return mdp.value_iteration(mdp)


def test_a_cell_gets_the_same_answer(monkeypatch, tmp_path, capsys):
    """With helpers, numbers and a name of one's own; nothing is ever raised."""
    monkeypatch.setenv("EXERCISE_WORKBOOK", str(tmp_path))
    assert bridge.check(my_returns, "discounted-returns")
    assert "Passed" in capsys.readouterr().out
    assert not bridge.check(undiscounted, "discounted_returns")
    assert "ignore the discounts" in capsys.readouterr().out
    answer = bridge.check(unfilled, "discounted-returns")
    assert (bool(answer), answer.state) == (False, "open")
    assert "Still open" in capsys.readouterr().out
    assert not bridge.check(unfilled, "discounted-retuns")
    assert "did you mean discounted-returns?" in capsys.readouterr().out
    assert not bridge.check(3, "discounted-returns")
    assert "your function itself" in capsys.readouterr().out
    assert json.loads((tmp_path / "progress.json").read_text())[RETURNS.id]["passed"]


def test_a_cell_is_shown_its_own_lines_without_numbers(monkeypatch, tmp_path, capsys):
    """The source that is judged has other numbers; and what hides `mdp` is named."""
    monkeypatch.setenv("EXERCISE_WORKBOOK", str(tmp_path))
    assert not bridge.check(sweeps_with_the_package, "value-iteration")
    said = capsys.readouterr().out
    assert "the line:  return mdp.value_iteration(mdp)" in said
    assert "hides the package" in said


def test_without_the_checkout_a_cell_is_told_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bridge, "CHECKOUT", tmp_path)
    assert not bridge.check(my_returns, "discounted-returns")
    assert "clone the repository" in " ".join(capsys.readouterr().out.split())
