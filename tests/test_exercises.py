"""The exercise book as a learner meets it: each mistake costs one clear message."""

import subprocess
import sys
import textwrap

import pytest

from tests.exercises import check, oracle, sources
from tests.exercises.manifest import ROOT, find
from tests.exercises.worker import Worker

RETURNS = find("discounted-returns")
WORKER = Worker()

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
    return check.check(exercise, candidate, exercise.name, WORKER)


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
    assert "tests/exercises" not in verdict.text


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
    verdict = check.check(RETURNS, candidate, worker=WORKER)
    assert "takes (rewards), and should take (rewards, discounts)" in verdict.text


@pytest.mark.parametrize("body", ["...", "pass", "raise NotImplementedError"])
def test_an_empty_function_is_open_and_not_wrong(body):
    assert said_of(body).state == "open"


def test_the_splice_is_seen_by_every_import_and_needs_no_jax():
    """By re-exports and by `from module import name`. A numpy answer is fast."""
    program = """
import sys
from tests.exercises import sources, splice
from tests.exercises.manifest import find

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
