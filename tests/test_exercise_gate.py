"""The gate: what every exercise must do to its stub, reference, traps and variants.

Over several seeds: the stub fails, the reference passes, every trap is killed by the
exercise's own tests and named by its own sentence and no other, every variant passes
without a sentence. All candidates of an exercise are judged in one process, which is
quick; the reference and the variants also in the way in which a learner's function is.
"""

import ast
import difflib
import re

import pytest

from tests.exercises import sources
from tests.exercises.check import Worker, judge
from tests.exercises.manifest import FLOORS, ROOT, exercises, tables

NUM_SEEDS = 3
MOST_SECONDS = 300.0  # of patience: the machine may be busy
BOOK = exercises().values()
WORKER = Worker()
WRONG = {"exception", "difference", "mutation", "trap", "failed"}
each_exercise = pytest.mark.parametrize("exercise", BOOK, ids=exercises())


@pytest.mark.gate
@each_exercise
def test_stub_and_traps_fail_reference_and_variants_pass(exercise):
    found = judge(exercise, None, NUM_SEEDS, time_limit=MOST_SECONDS, worker=WORKER)
    assert not went_wrong(found), went_wrong(found)
    complaints = []
    for label in sources.candidates(exercise):
        own = [finding for finding in found if finding["of"] == label]
        complaints += [f"{label}: {text}" for text in verdict(label, own) if text]
    assert not complaints, "\n".join(complaints)


def verdict(label, found):
    """What is wrong with the judgement of a candidate."""
    kinds = {finding["what"] for finding in found}
    named = [finding["number"] for finding in found if finding["what"] == "trap"]
    if label.startswith("traps"):
        number = int(label.split()[1])
        yield "failed" not in kinds and "no unit test of the exercise fails on it"
        yield named != [number] * NUM_SEEDS and f"it is taken for the traps {named}"
    elif label == "stub":
        raised = [f["kind"] for f in found if f["what"] == "exception"]
        yield "failed" not in kinds and "no unit test fails on it"
        yield set(raised) != {"NotImplementedError"} and f"it raises {raised}"
    else:
        yield from (f"{f}" for f in found if f["what"] in WRONG)


def went_wrong(found):
    """What kept the judge from its work."""
    broken = [finding for finding in found if finding["what"] in ("broken", "loop")]
    return "".join(map(str, broken)) or (found[-1]["what"] != "done" and "not done")


@pytest.mark.gate
@each_exercise
def test_reference_and_variants_pass_as_a_learners_function_does(exercise):
    """Compiled, in modules that no other candidate has been in."""
    right = [sources.reference(exercise)]
    right += [sources.edited(exercise, variant) for variant in exercise.variants]
    for candidate in right:
        found = judge(exercise, candidate, 0, "", MOST_SECONDS, WORKER, "fully")
        assert not went_wrong(found)
        assert not [f for f in found if f["what"] in WRONG], candidate.source


MOST_TOLD = 0.5  # the share of a right solution that one hint may show
TOKEN = re.compile(r"\w+|[^\w\s()\[\],.:;`]+")


@each_exercise
def test_no_hint_shows_more_than_half_of_a_right_solution(exercise):
    """Also of a short one: then a hint says in words what is to be done."""
    edits = [sources.edited(exercise, variant) for variant in exercise.variants]
    for right in [sources.reference(exercise), *edits]:
        for number, hint in enumerate(exercise.hints, 1):
            share = told(hint, right)
            assert share <= MOST_TOLD, f"hint {number} shows {share:.0%} of {right}"


def told(hint, right):
    """The share of a function's lines that stands in a hint, whatever the names are.

    What counts are runs of at least three words or signs; brackets do not count.
    """
    tree = ast.parse(right.source)
    function = next(n for n in tree.body if getattr(n, "name", "") == right.name)
    lines = function.body[ast.get_docstring(function) is not None :]
    named = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            named.add(node.id)
    named |= set(re.findall(r"(\w+) = ", hint))
    texts = "\n".join(map(ast.unparse, lines)), hint
    ours, theirs = (
        ["_" if word in named else word for word in TOKEN.findall(text)]
        for text in texts
    )
    runs = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    return sum(x.size for x in runs.get_matching_blocks() if x.size > 2) / len(ours)


def test_a_whole_solution_in_a_hint_is_found():
    """Also with other names, and in other words around it."""
    exercise = exercises()["leave-one-out-baseline"]
    right = sources.reference(exercise)
    hint = (
        "sums = jnp.sum(returns * mask, axis=1), rows = jnp.sum(mask, axis=1), and the "
        "baseline is ((sums.sum() - sums) / (rows.sum() - rows))[:, None]."
    )
    assert told(hint, right) > 0.9
    assert told("Take the mean of the other episodes.", right) == 0


@each_exercise
def test_the_manifest_says_all_that_a_learner_needs(exercise):
    assert len(exercise.hints) == 3
    assert len(exercise.traps) >= 4
    assert len(exercise.variants) >= 1
    assert all(trap.says.endswith((".", ")")) for trap in exercise.traps)
    assert len({trap.says for trap in exercise.traps}) == len(exercise.traps)
    assert re.search(r"\(\d{4}\), .", exercise.source), "who, when, and where in it"
    assert exercise.equation
    assert (ROOT / "notebooks" / f"{exercise.notebook}.ipynb").is_file()
    for test in exercise.tests:
        file, *name = test.split("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"def {name[0]}(" in source, test


def test_ids_are_unique_and_functions_too():
    listed = [len(tables(floor)) for floor in FLOORS]
    assert sum(listed) == len(exercises())
    assert listed[0] >= 17
    assert listed[1] >= 14
    assert listed[2] >= 12
    assert len({exercise.function for exercise in BOOK}) == len(BOOK)
