"""Every exercise of the book passes the gate; see tests/exercises/gate.py."""

import re

import pytest

from tests.exercises import gate, sources
from tests.exercises.check import Worker
from tests.exercises.manifest import FLOORS, ROOT, exercises, tables

BOOK = exercises().values()
WORKER = Worker()
each_exercise = pytest.mark.parametrize("exercise", BOOK, ids=exercises())


@pytest.mark.gate
@each_exercise
def test_stub_and_traps_fail_reference_and_variants_pass(exercise):
    complaints = [*gate.of_candidates(exercise, WORKER)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.gate
@each_exercise
def test_reference_and_variants_pass_as_a_learners_function_does(exercise):
    complaints = [*gate.of_right_ones(exercise, WORKER)]
    assert not complaints, "\n".join(complaints)


@each_exercise
def test_no_hint_shows_more_than_half_of_a_right_solution(exercise):
    """Short solutions are no exception: their hints say in words what to do."""
    assert not [*gate.of_hints(exercise)]


def test_a_whole_solution_in_a_hint_is_found():
    """Other names, and other words around it, do not hide it."""
    exercise = exercises()["leave-one-out-baseline"]
    right = sources.reference(exercise)
    hint = (
        "sums = jnp.sum(returns * mask, axis=1), rows = jnp.sum(mask, axis=1), and the "
        "baseline is ((sums.sum() - sums) / (rows.sum() - rows))[:, None]."
    )
    assert gate.told(hint, right) > 0.9
    assert gate.told("Take the mean of the other episodes.", right) == 0


@each_exercise
def test_the_manifest_says_all_that_a_learner_needs(exercise):
    assert len(exercise.hints) == 3
    assert exercise.hints[0].endswith("?"), "the first hint leads, and does not tell"
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
