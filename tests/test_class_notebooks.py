"""Functions are graded in students' notebooks, of which nothing else is run."""

import json
import os

import pytest

from tests.classroom import notebooks, report, submissions
from tests.classroom.grade import Mark, grade
from tests.exercises import sources
from tests.exercises.chapters import NOTEBOOKS
from tests.exercises.manifest import exercises
from tests.test_exercises import RETURNS

OWN = """
def my_returns(rewards, discounts):
    "A docstring."
    total, following = np.zeros(len(rewards)), START
    for t in reversed(range(len(rewards))):
        following = book_of(rewards[t], discounts[t] * following)
        total[t] = following
    return total
"""
CHECK = 'check(my_returns, "discounted-returns")'
HELPERS = """import numpy as np, os
START, OTHER = 0.0, 1
book = np.add

def book_of(one: Real, other) -> Real:
    return book(one, other)
"""
MINE = [HELPERS, OWN, CHECK]
RIGHT = {
    "lines of IPython": [
        "%matplotlib inline\n!ls\nfiles = !ls\nnp?\n" + HELPERS,
        "%%time\n" + OWN,
        "%%bash\nfor x in *; do\n",
        "x = (7\n     % 3)\n%time OTHER\n" + CHECK,
    ],
    "nothing else is run": ["import os\nos._exit(1)", *MINE, "raise SystemExit"],
    "the id is a variable": [
        *MINE[:2],
        "exercise = 'discounted-returns'\nanswers[exercise] = check(my_returns, "
        "exercise)\nexercise = 'td-errors'",
    ],
    "a test cell": [
        *MINE[:2],
        "assert_passes(my_returns, exercise='discounted-returns')",
    ],
    "names of the book": [
        "import mdp\nfrom mdp import bellman as plans\nworld, tie = mdp, "
        "2 * plans.TIE_TOLERANCE",
        HELPERS,
        OWN.replace('"A docstring."', "world.MDP, tie + 1"),
        CHECK,
    ],
    "the last definition above": [
        "import numpy as np\nSTART = 1.0",
        *[HELPERS, OWN.replace("total[t]", "total[0]"), OWN, CHECK],
        "START = 2.0\ndef my_returns(rewards, discounts): ...",
    ],
    "a helper below": [OWN, CHECK, HELPERS],
    "an array with an argument's name": [
        HELPERS + "rewards = np.ones(3)\nfor total in range(3):\n    pass",
        *MINE[1:],
    ],
    "the book's own name": [HELPERS, OWN.replace("my_", "discounted_") + "print(3)"],
    "import *": [
        "from numpy import *",
        "START = 0\nbook_of = add",
        OWN.replace("np.", ""),
        CHECK,
    ],
    "other words before": ["x = = 1", *MINE, {"cell_type": "markdown", "source": 3}],
}
WRONG = {
    "a trap": (
        [HELPERS, OWN.replace("discounts[t] * ", ""), CHECK],
        RETURNS.traps[0].says[:40],
    ),
    "an exception": (
        [*MINE[:1], OWN.replace("(len(rewards))", "(nothing)"), CHECK],
        "Your function raises NameError: name 'nothing' is not defined",
    ),
    "an array": (
        [HELPERS, "START = np.zeros(1)", OWN, CHECK],
        "mine.ipynb, cell 3: my_returns uses `START` of cell 2. Only imports, func",
    ),
    "a loop's variable": (
        [HELPERS, "for START in range(1): pass", OWN, CHECK],
        "my_returns uses `START` of cell 2.",
    ),
    "no syntax": (
        [HELPERS, OWN + "x = = 1\n" + CHECK],
        "Python cannot read mine.ipynb, cell 2: invalid syntax.",
    ),
    "no function": (
        ["import mdp\ncheck(mdp.discounted_returns, 'discounted-returns')", "def"],
        "cell 1: `check` must get the name of a function that this notebook "
        "defines with `def`, outside of all blocks. Python cannot read cell 2.",
    ),
}


def text_of(*cells):
    """A notebook's text; a cell is the text of its code, or the cell itself."""
    whole = [
        x if isinstance(x, dict) else {"cell_type": "code", "source": x} for x in cells
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": whole})


def hand_in(folder, text, student="ada", name="mine.ipynb"):
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """The marks of a class in which each student has one notebook of the above."""
    folder = tmp_path_factory.mktemp("class")
    for student, cells in RIGHT.items():
        hand_in(folder, text_of(*cells), student)
    for student, (cells, _) in WRONG.items():
        hand_in(folder, text_of(*cells), student)
    return {mark.student: mark for mark in grade(submissions.collect(folder))}


@pytest.mark.parametrize("student", RIGHT)
def test_a_right_function_passes_with_what_it_uses(student, marks):
    assert marks[student].state == "passed", marks[student].message


@pytest.mark.parametrize("student", WRONG)
def test_a_message_says_what_is_wrong(student, marks):
    assert marks[student].state == "failed"
    assert WRONG[student][1] in marks[student].message


def test_an_untouched_chapter_leaves_its_exercises_open():
    """Also where a chapter has another function with the name of the book's own."""
    found, broken = notebooks.answers_of(NOTEBOOKS)
    assert not broken
    assert found.keys() == exercises().keys()
    assert all(answer.is_open and not answer.source for answer in found.values())


def test_open_cells_ask_nobody_for_the_exercise_and_cost_no_time(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.classroom.grade.judge", pytest.fail)
    hand_in(tmp_path, text_of("def my_returns(rewards, discounts):\n    ...", CHECK))
    with pytest.raises(ValueError, match="no notebook has a function for one"):
        submissions.collect(tmp_path)
    hand_in(tmp_path, sources.new_file(RETURNS), "bob", "discounted_returns.py")
    ada, bob = grade(submissions.collect(tmp_path))
    assert (ada.state, ada.message) == ("open", "mine.ipynb, cell 1 is still empty.")
    assert bob.state == "open"


def test_a_file_takes_precedence_unless_it_is_empty(tmp_path):
    file = "discounted_returns.py"
    for student, text in (("ada", sources.new_file(RETURNS)), ("bob", "x = 1")):
        hand_in(tmp_path, text, student, file)
        hand_in(tmp_path, text_of(*MINE), student)
    hand_in(tmp_path, text_of("def my_returns(r, d): ...", CHECK), "cy")
    hand_in(tmp_path, text_of(*MINE), "cy", "more/mine.ipynb")
    hand_in(tmp_path, text_of("x = 1", CHECK), "cy", ".ipynb_checkpoints/x.ipynb")
    ada, bob, cy = submissions.collect(tmp_path)
    assert ada.source == cy.source
    assert (ada.name, ada.place) == ("my_returns", "mine.ipynb, cell 2")
    assert (bob.source, bob.place) == ("x = 1", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 10**5, "is nested too deeply to be read."),
        ("hello", "is no notebook: it is not JSON in UTF-8."),
        (b"\0\0\0", "is no notebook: it is not JSON in UTF-8."),
        (text_of("x = '\xe9'").encode().replace(b"\\u00e9", b"\xe9"), "is no notebook"),
        ("[]", "is no notebook of format 4: open it in Jupyter, and save it again."),
        ('{"nbformat": 3, "worksheets": []}', "is no notebook of format 4"),
        (text_of("", {}), "is damaged: its cell 2 cannot be read."),
        (text_of(["x = 1", 2]), "is damaged: its cell 1 cannot be read."),
        (text_of({"source": "x = 1"}), "is damaged: its cell 1 cannot be read."),
        (text_of("x = 1\n" * 50_000), "has 300,000 letters of code; at most 262,144"),
        (b" " * (2**25 + 1), "has 33,554,433 bytes; at most 33,554,432 are read."),
        ("[[]" + ",[]" * 10**6 + "]", "has more than 1,000,000 lists and objects."),
        (None, "is no ordinary file (a link, perhaps)."),
    ],
)
def test_a_broken_notebook_costs_one_sentence_and_nobody_else_a_mark(
    text, says, tmp_path
):
    hand_in(tmp_path, b"\xef\xbb\xbf" + text_of(*MINE).encode())
    hand_in(tmp_path, text or "", "bob")
    if text is None:
        (tmp_path / "bob" / "mine.ipynb").unlink()
        os.mkfifo(tmp_path / "bob" / "mine.ipynb")
    ada, bob = submissions.collect(tmp_path)
    assert ada.source
    assert bob.state == "missing"
    assert bob.trouble.startswith(f"There is no file. mine.ipynb {says}")
    row = Mark("<bob>", RETURNS.id, bob.state, message=bob.trouble)
    assert "<b>&lt;bob&gt;</b>: There is no file. mine" in report.page(
        [row], [], [], ""
    )
    (tmp_path / "ada" / "mine.ipynb").unlink()
    with pytest.raises(ValueError, match="no notebook has a function"):
        submissions.collect(tmp_path)


def test_a_deep_expression_stops_no_comparison_of_lines():
    lines = "    x = 1\n" * 7 + f"    return {'-' * 1500}1\n"
    source = f"def discounted_returns(rewards, discounts):\n{lines}"
    assert not submissions.remarks([submissions.Submission("ada", RETURNS, source)])
