"""The exercise book as a learner meets it: each mistake costs one clear message."""

import json
import subprocess
import sys
import textwrap

import pytest

from mdp import exercises as bridge
from tests.book import check, commands, oracle, sources, workbook
from tests.book.manifest import ROOT, find

RETURNS = find("discounted-returns")

RIGHT = """
    total = rewards * 0.0
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        total[t] = following
    return total
"""


def said_of(body, exercise=RETURNS, above="import numpy as np", name=None):
    """The verdict on a body, in the place of the reference's."""
    arguments = ", ".join(a.arg for a in sources.reference_arguments(exercise).args)
    name = name or exercise.name
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    source = f"{above}\n\ndef {name}({arguments}):\n{body}\n"
    candidate = sources.Candidate(source, exercise.name, "workbook/mine.py")
    return check.check(exercise, candidate, exercise.name)


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


def test_a_right_answer_passes_with_helpers_and_imports_of_its_own():
    helper = """
import numpy as np
from mdp.bellman import TIE_TOLERANCE, discounted_returns
from mdp import state_values


def add(reward, discount, following):
    return reward + discount * following
"""
    body = RIGHT.replace(
        "rewards[t] + discounts[t] * following",
        "add(rewards[t], discounts[t], following) + 0 * TIE_TOLERANCE",
    )
    verdict = said_of(body, above=helper)
    assert verdict.state == "passed", verdict.text


def test_a_trap_is_named_before_the_equation_and_the_smallest_case():
    body = RIGHT.replace("discounts[t] * following", "following")
    verdict = said_of(body)
    order = [
        "ignore the discounts",
        "G_t  =",
        "rewards = [ 1., -4.]",
        "Expected",
        "Got",
    ]
    places = [verdict.text.find(piece) for piece in order]
    assert places == sorted(places)
    assert places[0] == verdict.text.index("ignore the discounts") < 50


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return [float(r) for r in rewards]",
            "returns a list, and should return a num",
        ),
        ("rewards + discounts", "It returns nothing. Is the `return` missing?"),
        ("return rewards[:, None]", "has shape (1, 1), and should have (1,)"),
        ("return rewards.astype(int)", "holds integers, and should hold real numbers"),
        ("return rewards / 0 * 0", "not a number (nan)"),
        ("return rewards + 17.5", "The numbers in its result are not right."),
        ("return rewards.sum() / 0 + undefined", "raises NameError: name 'undefined'"),
        ("rewards[:] = 0.0\n" + textwrap.dedent(RIGHT), "are not right"),
    ],
)
def test_a_wrong_result_costs_one_clear_message(body, message):
    verdict = said_of(body)
    assert verdict.state == "failed"
    assert message in verdict.text
    assert "Traceback" not in verdict.text
    assert "tests/book" not in verdict.text


def test_a_changed_argument_is_named():
    body = RIGHT.replace("    return", "    rewards[0] = 9.0\n    return")
    verdict = said_of(body)
    assert "changes its argument `rewards`" in verdict.text


def test_an_exception_shows_the_learners_own_lines():
    verdict = said_of("first = rewards[0]\nreturn first[17]")
    assert "raises IndexError" in verdict.text
    assert "line 5:  return first[17]" in verdict.text
    assert "rewards = [3.]" in verdict.text
    assert "judge" not in verdict.text


def test_an_endless_loop_is_ended_and_its_line_is_shown():
    exercise = RETURNS._replace(time_limit=2.0)
    verdict = said_of("while True:\n    rewards = rewards + 1", exercise)
    assert verdict.text.startswith("Your function does not return in time.")
    assert "last seen in line" in verdict.text
    assert "rewards = [3.]" in verdict.text


def test_what_cannot_be_read_is_shown_with_its_line():
    verdict = said_of("return (rewards")
    assert "Python cannot read workbook/mine.py, line 4" in verdict.text
    assert "return (rewards" in verdict.text


def test_a_wrong_name_and_a_wrong_signature():
    verdict = said_of("return rewards", name="discounted_return")
    assert "no function discounted_returns in workbook/mine.py" in verdict.text
    assert "there is discounted_return" in verdict.text
    source = "def discounted_returns(rewards):\n    return rewards\n"
    candidate = sources.Candidate(source, "discounted_returns", "workbook/mine.py")
    verdict = check.check(RETURNS, candidate)
    assert "takes (rewards), and should take (rewards, discounts)" in verdict.text


@pytest.mark.parametrize("body", ["...", "pass", "raise NotImplementedError"])
def test_an_empty_function_is_open_and_not_wrong(body):
    assert said_of(body).state == "open"


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


def test_without_the_checkout_a_cell_is_told_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bridge, "CHECKOUT", tmp_path)
    assert not bridge.check(my_returns, "discounted-returns")
    assert "clone the repository" in " ".join(capsys.readouterr().out.split())


def test_the_splice_is_seen_by_every_import_and_needs_no_jax():
    """By re-exports and by `from module import name`. A numpy answer is fast."""
    program = """
import sys
from tests.book import sources, splice
from tests.book.manifest import find

exercise = find("epsilon-greedy")
spliced = splice.Splice(exercise, sources.reference(exercise))
spliced.install()
import mdp

for module in (mdp, mdp.sampling, mdp.control, mdp.bandits):
    function = module.epsilon_greedy.__wrapped__
    assert function is spliced.function, module
assert spliced.function.__code__.co_filename == "<epsilon-greedy: reference>"
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_an_oracle_may_not_ask_the_candidate():
    @oracle.oracle
    def circular():
        return answer()

    answer = oracle.watched(lambda: 42)
    assert answer() == 42
    with pytest.raises(RuntimeError, match="an oracle asked"):
        circular()
