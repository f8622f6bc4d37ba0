"""The gate: what every exercise must do to stubs, traps, variants and the reference.

Each runs in a fresh process, over five seeds: the stub fails, the reference passes,
every trap is killed by the exercise's own tests and named by its own sentence and no
other, every variant passes with no sentence.
"""

import re
from pathlib import Path

import pytest

from tests.exercises import sources
from tests.exercises.check import judge
from tests.exercises.manifest import FLOORS, ROOT, exercises, tables
from tests.exercises.nursery import nursery

pytestmark = pytest.mark.gate
NUM_SEEDS = 5
BOOK = exercises().values()
each_exercise = pytest.mark.parametrize("exercise", BOOK, ids=exercises())


def each(kind):
    """Every exercise with each of its traps or variants."""
    pairs = [
        pytest.param(exercise, number, id=f"{exercise.id}-{number}")
        for exercise in BOOK
        for number in range(len(getattr(exercise, kind)))
    ]
    return pytest.mark.parametrize(("exercise", "number"), pairs)


def findings(exercise, candidate, *kinds):
    """What the judge finds, of these kinds; the rest must be in order."""
    found = judge(exercise, candidate, NUM_SEEDS, run=nursery("exercise"))
    if any(finding["what"] in ("broken", "loop") for finding in found):
        # A busy machine may have stood still: once more.
        found = judge(exercise, candidate, NUM_SEEDS)
    broken = [f for f in found if f["what"] in ("broken", "loop")]
    assert not broken, broken
    assert found[-1]["what"] == "done"
    return [[f for f in found if f["what"] == kind] for kind in kinds]


@each_exercise
def test_the_stub_fails(exercise):
    raised, failed = findings(exercise, sources.stub(exercise), "exception", "failed")
    assert raised[0]["kind"] == "NotImplementedError"
    assert failed


@each_exercise
def test_the_reference_passes(exercise):
    assert_passes(exercise, sources.reference(exercise))


@each("variants")
def test_a_right_variant_passes_without_a_sentence(exercise, number):
    assert_passes(exercise, sources.edited(exercise, exercise.variants[number]))


@each("traps")
def test_a_trap_is_killed_by_the_tests_and_named_by_its_own_sentence(exercise, number):
    candidate = sources.edited(exercise, exercise.traps[number])
    failed, named = findings(exercise, candidate, "failed", "trap")
    assert failed, "no unit test of the exercise notices"
    numbers = [finding["number"] for finding in named]
    assert numbers == [number] * NUM_SEEDS, "once for every seed, and no other"


def assert_passes(exercise, candidate):
    kinds = ("exception", "difference", "mutation", "trap", "failed")
    assert findings(exercise, candidate, *kinds) == [[]] * len(kinds)


@each_exercise
def test_the_manifest_says_all_that_a_learner_needs(exercise):
    assert len(exercise.hints) == 3
    assert len(exercise.traps) >= 4
    assert len(exercise.variants) >= 1
    assert all(trap.says.endswith((".", ")")) for trap in exercise.traps)
    assert len({trap.says for trap in exercise.traps}) == len(exercise.traps)
    assert re.search(r"\(\d{4}\), .", exercise.source), "who, when, and where in it"
    assert exercise.equation
    assert exercise.notebook[:2].isdigit()
    for test in exercise.tests:
        file, *name = test.split("::")
        source = (ROOT / Path(file)).read_text()
        assert not name or f"def {name[0]}(" in source, test


def test_ids_are_unique_and_functions_too():
    listed = [len(tables(floor)) for floor in FLOORS]
    assert sum(listed) == len(exercises())
    assert listed[0] >= 17
    assert listed[1] >= 14
    assert listed[2] >= 12
    assert len({exercise.function for exercise in BOOK}) == len(BOOK)
