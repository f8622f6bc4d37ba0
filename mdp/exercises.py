"""Exercises: write a function of this book yourself, and ask whether it is right.

    from mdp.exercises import check
    check(my_function, "discounted-returns")

Here, in a notebook, as on the command line with `python -m tests`: the function takes
the place of the book's own, in a fresh process, and the book's unit tests are run on
it. This file only carries the question there. It needs the checkout, in which the tests
lie beside the packages; an installed package alone has none.

What the function uses goes with it: imports, other functions of the notebook, numbers
and words. Nothing else is known where it is judged.
"""

import ast
import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

CHECKOUT = Path(__file__).parent.parent

# What can be written down as it stands.
PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Answer:
    """Whether the exercise is passed: true or false, where a truth is asked for."""

    def __init__(self, state: str, text: str, picture: str = ""):
        self.state = state  # "passed", "failed" or "open"
        self.text = text
        self.picture = picture  # a file, of what the text speaks of

    def __bool__(self) -> bool:
        """True if passed."""
        return self.state == "passed"

    def __repr__(self) -> str:
        """One word: the text has been printed already."""
        return self.state

    def _ipython_display_(self) -> None:
        """The picture, if any: the text has been printed already."""
        if self.picture:
            from IPython.display import Image, display

            display(Image(filename=self.picture))


def check(function: Any, exercise: str, fault: str = "") -> Answer:
    """Say whether the function solves the exercise; if not, what it does instead.

    Of a sick run, "what-is-wrong-1" say, the function is the test that catches its
    `fault`; until then its curves are shown.

    The answer is printed. It is true if the exercise is passed, and never an exception:
    a function that is still empty is an exercise still open.
    """
    try:
        answer = _ask(function, exercise, fault)
    except (ValueError, OSError) as error:
        answer = Answer("failed", str(error))
    print(answer.text)
    return answer


def _ask(function: Any, exercise: str, fault: str) -> Answer:
    """Hand the source of the function to the judge, in a process of its own."""
    if not (CHECKOUT / "tests" / "exercises").exists():
        raise ValueError(
            "The exercises lie in the checkout, beside the packages: clone the "
            f"repository and `pip install -e '.[test]'` there. (Found none in "
            f"{CHECKOUT}.)"
        )
    function = inspect.unwrap(function)  # of `@jax.jit` and the like
    if not isinstance(function, FunctionType):
        raise ValueError(
            f"check takes your function itself, as in check(my_function, "
            f'"{exercise}"), got {type(function).__name__} {function!r:.60}'
        )
    source = source_of(function)
    if fault:
        source += f"fault = {fault!r}\n"
    question = {"exercise": exercise, "name": function.__name__, "source": source}
    finished = subprocess.run(
        [sys.executable, "-m", "tests.exercises.cell"],
        input=json.dumps(question),
        capture_output=True,
        encoding="utf-8",
        cwd=CHECKOUT,
    )
    if finished.returncode:
        last = finished.stderr.strip().splitlines()[-1:] or ["no answer"]
        raise ValueError(f"The exercise could not be checked: {last[0]}")
    return Answer(**json.loads(finished.stdout))


def source_of(function: FunctionType) -> str:
    """The function and what it uses, as a file: imports, values, functions, itself."""
    imports, values, functions = [], [], []
    _collect(function, imports, values, functions, seen=set())
    return "\n".join([*imports, *values, *functions]) + "\n"


def _collect(function, imports, values, functions, seen) -> None:
    """What the function uses of its notebook, and what that uses; it comes last."""
    seen.add(function)
    source = _source(function)
    names = {node.id for node in ast.walk(ast.parse(source)) if type(node) is ast.Name}
    known = function.__globals__ | inspect.getclosurevars(function).nonlocals
    for name in sorted(names & known.keys()):
        value = known[name]
        own = getattr(value, "__module__", None) == function.__module__
        if isinstance(value, ModuleType):
            imports.append(f"import {value.__name__} as {name}")
        elif isinstance(value, FunctionType) and own:
            if value not in seen:
                _collect(value, imports, values, functions, seen)
        elif _is_importable(value):
            module = value.__module__
            imports.append(f"from {module} import {value.__name__} as {name}")
        elif isinstance(value, PLAIN):
            # A number of numpy's is written as Python's own.
            number = value.item() if hasattr(value, "item") else value
            values.append(f"{name} = {number!r}")
    functions.append(source)


def _is_importable(value: Any) -> bool:
    """Is it a function or class that its module knows by its name?"""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    name = getattr(value, "__name__", "")
    return module is not None and getattr(module, name, None) is value


def _source(function: FunctionType) -> str:
    """The lines of the function."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        raise ValueError(
            f"The source of {function.__name__} cannot be read: define it with `def`, "
            "in a cell or a file, and run that."
        ) from None
    return source
