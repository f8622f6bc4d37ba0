"""The exercise book on the command line and in a cell, from start to solution."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mdp
from mdp import exercises as bridge
from mdp.control import DEFAULT
from tests.exercises import commands, sealed, sources, workbook
from tests.exercises.manifest import book, find
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
    said = capsys.readouterr().out
    assert said.endswith("next: python -m tests start transitions-from-outcomes\n")
    assert run("solution", "discounted-returns") == 0
    assert run() == 0
    *_, progress, following = capsys.readouterr().out.splitlines()
    assert progress.startswith("1 of ")
    assert following == "next: python -m tests start transitions-from-outcomes"


def test_a_pass_in_a_notebook_is_to_be_copied_where_the_file_is_handed_in(
    desk, monkeypatch
):
    monkeypatch.setattr(sealed, "assigned", lambda: (RETURNS.id,))
    source = f"import numpy as np\ndef mine(rewards, discounts):{RIGHT}"
    own = sources.Candidate(source, "mine", "your cell", is_file=False)
    assert run("start", "discounted-returns") == 0
    assert "Hand in this notebook, or copy" in commands.judged(RETURNS, own).text
    write(desk, RIGHT)
    assert commands.judged(RETURNS, own).text == f"Passed: {RETURNS.title}."


@pytest.mark.parametrize("width", [80, 60, 40])
def test_every_exercise_has_one_line_that_fits(width, desk, capsys, monkeypatch):
    """In a pipe there is no colour; each floor has a heading with its progress."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    workbook.note(RETURNS, passed=True)
    workbook.start(find("sft-loss"))
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[:-3]  # below it: sick runs without end, the legend, the next step
    rows = {x[2:].split()[0]: x for x in table if x[:2] in ("  ", "x ", "- ")}
    assert rows.keys() == book().keys()
    assert max(map(len, table)) <= width
    assert rows[RETURNS.id].startswith("x ")
    assert rows["sft-loss"].startswith("- ")
    for name, row in rows.items():
        exercise = book()[name]
        assert row.split()[-2:] == [str(exercise.difficulty), str(exercise.minutes)]
        whole = exercise.title in row
        assert whole or width < 80 or "..." in row
    headings = [line for line in lines if line.startswith("Floor ")]
    assert len(headings) == 3
    num_first = sum(exercise.floor == "mdp" for exercise in book().values())
    assert headings[0].endswith(f"1 of {num_first} passed")
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("gae", "generalized-advantages"),  # a word of its title
        ("Luce", "plackett-luce"),
        ("td zero", "td-zero"),
        ("zero td", "td-zero"),
        ("workbook_is_no_part.py", None),
        ("discounted_returns.py", "discounted-returns"),
        ("entropy", "entropy"),  # although other titles may have the word
        ("ppo", "ppo-update"),
        ("policy", None),  # several
        ("", None),
    ],
)
def test_an_exercise_is_found_by_a_part_of_its_name(wanted, name):
    if name:
        assert find(wanted).id == name
    else:
        with pytest.raises(ValueError, match=r"There is no exercise|fits \d"):
            find(wanted)


def test_watch_goes_on_to_the_next_exercise_after_a_pass(desk, capsys, monkeypatch):
    """Saving is simulated while it waits; the first file was not there before."""
    found = []

    def save_one_after_another(_seconds):
        number = len(found)
        found.append(capsys.readouterr().out)
        if number == 0:
            (desk / "discounted_returns.py").write_bytes(b"\xff\xfe")
        elif number == 1:
            (desk / "discounted_returns.py").unlink()
        elif number == 2:
            workbook.file_of(RETURNS).write_text(sources.new_file(RETURNS))
            write(desk, RIGHT)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(commands.time, "sleep", save_one_after_another)
    assert run("watch", "discounted-returns") == 130
    new, unreadable, gone, passed = found
    assert "the new file" in new
    assert "not a text file" in unreadable
    assert gone == "", "an editor may move the file away and write a new one"
    assert "Passed: The discounted return" in passed
    assert "From a list of outcomes to a matrix: write your lines in" in passed
    assert (desk / "transitions_from_outcomes.py").exists()


@pytest.mark.parametrize("command", ["", *commands.COMMANDS])
def test_the_help_of_every_command_fits_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        run(*command.split(), "--help")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert f"usage: python -m tests {command}".strip() in shown


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
    """It keeps the notes on an exercise that the book no longer has."""
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
        (["frobnicate"], "no command 'frobnicate': the commands are list, map, start"),
        (["gae"], "no command 'gae': did you mean `python -m tests start gae`?"),
        (["check", "td-zreo"], "no exercise 'td-zreo': did you mean td-zero"),
        (["hint", "greedy"], " exercises: greedy-policy, epsilon-greedy"),
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


GAMMA_ONE, MOST = np.float64(1.0), float("inf")
rewards = [[1.0]]  # a function whose argument has this name does not use it


def scaled(reward):
    return min(reward * GAMMA_ONE, MOST)


# A chapter has results of these names; a function may use the names for its own.
discounts = total = [1.0]


def my_returns(rewards, discounts):
    total, following = rewards * 0.0, 0.0
    for t in reversed(range(len(rewards))):
        following = scaled(rewards[t]) + discounts[t] * following
        total[t] = following
    return total


def unfilled(rewards, discounts): ...


def with_default(rng, mdp, config=DEFAULT): ...


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
        (with_default, "q-learning", "open", "Still open"),
        (unfilled, "discounted-retuns", "failed", "did you mean discounted-returns?"),
        (3, "discounted-returns", "failed", "your function itself"),
        # Its lines have no numbers that a reader of the cell could see.
        (own_lines, "value-iteration", "failed", "the line:  return mdp.value_it"),
    ],
)
def test_a_cell_gets_the_same_answer(
    function, exercise, state, text, monkeypatch, tmp_path, capsys
):
    """A cell may have helpers, numbers and its own name; nothing is ever raised."""
    monkeypatch.setenv("EXERCISE_WORKBOOK", str(tmp_path))
    answer = bridge.check(function, exercise)
    assert (answer.state, bool(answer)) == (state, state == "passed")
    said = capsys.readouterr().out
    assert text in said
    assert (function is own_lines) == ("hides the package `mdp`" in said)
    if state == "passed":
        progress = json.loads((tmp_path / "progress.json").read_text())
        assert progress[exercise]["passed"]


def test_a_test_cell_raises_what_is_wrong_and_prints_nothing(
    monkeypatch, tmp_path, capsys
):
    """As nbgrader and Otter need it."""
    monkeypatch.setenv("EXERCISE_WORKBOOK", str(tmp_path))
    assert bridge.assert_passes(my_returns, "discounted-returns") is None
    with pytest.raises(AssertionError, match="Still open"):
        bridge.assert_passes(unfilled, "discounted-returns")
    with pytest.raises(AssertionError, match="There is no exercise"):
        bridge.assert_passes(my_returns, "discounted-retuns")
    assert capsys.readouterr().out == ""


TABLE = [1.0, 2.0]


class Own:
    """A class of the notebook."""


half = lambda x: x / 2  # noqa: E731


def uses_a_list(rewards, discounts):
    return TABLE


def uses_a_class(rewards, discounts):
    return Own()


def uses_a_lambda(rewards, discounts):
    return half(rewards)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (mdp.discounted_returns, "is the book's own function"),
        (lambda rewards, discounts: rewards, "A lambda cannot be sent"),
        (uses_a_lambda, "A lambda cannot be sent"),
        (uses_a_list, "uses_a_list uses `TABLE` of your notebook (list)"),
        (uses_a_class, "uses_a_class uses `Own` of your notebook (a class)"),
    ],
)
def test_what_a_cell_cannot_send_costs_one_line(function, says, capsys):
    assert not bridge.check(function, "discounted-returns")
    said = capsys.readouterr().out
    assert says in said
    assert said.count("\n") == 1


def test_without_the_checkout_a_cell_is_told_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bridge, "CHECKOUT", tmp_path)
    assert not bridge.check(my_returns, "discounted-returns")
    assert "clone the repository" in " ".join(capsys.readouterr().out.split())
