"""No function changes its arguments: on the inputs of all exercises of this floor."""

import copy
import importlib
from functools import reduce

import numpy as np
import pytest

from tests.exercises.judge import named
from tests.exercises.manifest import exercises

EXERCISES = {id_: one for id_, one in exercises().items() if one.floor == "mdp"}


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_the_arguments_stay_as_they_are(exercise):
    module = importlib.import_module(exercise.module)
    function = reduce(getattr, exercise.qualname.split("."), module)
    function = getattr(function, "fget", function)  # of a property
    for case in named(exercise.cases)(seed=0):
        inputs = case[0] if isinstance(case, tuple) else case
        before = copy.deepcopy(inputs)
        if exercise.compared:  # the inputs are those of a view
            named(exercise.compared)(function, inputs)
        else:
            function(*inputs.values())
        np.testing.assert_equal(inputs, before)
