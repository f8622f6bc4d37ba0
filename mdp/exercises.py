"""Exercises in a notebook: write a function of this book, and check it.

    from mdp.exercises import check
    check(my_function, "discounted-returns")

As with `python -m tests` on the command line, your function takes the place of the
book's own in another process, and the book's unit tests run on it. This file only
sends it there. It needs the checkout, where the tests stand beside the packages; an
installed package has no tests.

The function is sent with what it uses: imports, other functions of the notebook,
numbers and strings.
"""

import inspect
import json
import subprocess
import symtable
import sys
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

CHECKOUT = Path(__file__).parent.parent
PACKAGES = ("mdp", "policy_gradient", "lm_bandit")

# Values of these types are sent as text.
PLAIN = (bool, int, float, complex, str, bytes, type(None))


class Answer:
    """The answer to a check; it is true if the exercise is passed."""

    def __init__(self, state: str, text: str, picture: str = "") -> None:
        self.state = state  # "passed", "failed" or "open"
        self.text = text
        self.picture = picture  # the file of a picture, if there is one

    def __bool__(self) -> bool:
        """Whether the exercise is passed."""
        return self.state == "passed"

    def __repr__(self) -> str:
        """One word, because the text has been printed already."""
        return self.state

    def _ipython_display_(self) -> None:
        """Show the picture, if any; the text has been printed already."""
        if self.picture:
            from IPython.display import Image, display

            display(Image(filename=self.picture))


def check(function: Any, exercise: str, fault: str = "") -> Answer:
    """Check whether a function solves an exercise, and print what is wrong with it.

    In an exercise with a sick run, such as "what-is-wrong-1", the function is the test
    that catches the `fault`; the curves are shown until it does.

    The result is true if the exercise is passed. A wrong function raises no exception,
    and an empty one leaves the exercise open.
    """
    answer = _answer_to(function, exercise, fault)
    print(answer.text)
    return answer


def assert_passes(function: Any, exercise: str, fault: str = "") -> None:
    """Raise an AssertionError that says what is wrong, unless a function passes.

    It prints nothing. So it fits the test cells of nbgrader and Otter, which grade by
    exceptions, or by what is printed.
    """
    answer = _answer_to(function, exercise, fault)
    if not answer:
        raise AssertionError(answer.text)


def _answer_to(function: Any, exercise: str, fault: str) -> Answer:
    """Send the function to the judge; what cannot be sent has failed."""
    try:
        return _ask(function, exercise, fault)
    except (ValueError, OSError) as error:
        return Answer("failed", str(error))


def _ask(function: Any, exercise: str, fault: str) -> Answer:
    """Send the source of the function to the judge in another process."""
    if not (CHECKOUT / "tests" / "exercises").exists():
        raise ValueError(
            "The exercises are in the checkout, not in the installed package: clone "
            "the repository and run `pip install -e '.[test]'` there. (There are none "
            f"in {CHECKOUT}.)"
        )
    function = inspect.unwrap(function)  # without `@jax.jit` and the like
    if not isinstance(function, FunctionType):
        raise ValueError(
            f"check takes your function itself, as in check(my_function, "
            f'"{exercise}"), got {type(function).__name__} {function!r:.60}'
        )
    if _is_the_books(function):
        raise ValueError(
            f"No mark: {function.__module__}.{function.__qualname__} is the book's own "
            "function. Write one yourself, in a cell, and check that."
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
    """The text of a file with the function, and before it, everything that it uses."""
    return "\n".join(_sources(function, seen=set())) + "\n"


def _sources(function: FunctionType, seen: set[FunctionType]) -> list[str]:
    """Return what the function uses from its notebook, and then the function."""
    seen.add(function)
    source, used = _source(function), []
    names = names_used(source)
    known = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    for name in sorted(names & known.keys()):
        value = inspect.unwrap(known[name]) if callable(known[name]) else known[name]
        own = getattr(value, "__module__", None) == function.__module__
        if isinstance(value, ModuleType):
            used.append(f"import {value.__name__} as {name}")
        elif isinstance(value, FunctionType) and own:
            used += _sources(value, seen) if value not in seen else []
        elif _is_importable(value) and value.__module__ != function.__module__:
            module = value.__module__
            used.append(f"from {module} import {value.__name__} as {name}")
        elif isinstance(value, PLAIN):
            used.append(f"{name} = {_written(value)}")
        elif home := _home(name, value):
            used.append(f"from {home} import {name}")
        else:
            kind = "a class" if isinstance(value, type) else type(value).__name__
            raise ValueError(
                f"{function.__name__} uses `{name}` of your notebook ({kind}), which "
                "cannot be sent to the check: make it inside the function."
            )
    return [*used, source]


def _written(value: Any) -> str:
    """Write a number or a string as Python's own; `inf` has no literal."""
    item = getattr(value, "item", None)  # of numpy's numbers
    plain = item() if item else value
    return f"float({str(plain)!r})" if isinstance(plain, float) else repr(plain)


def names_used(source: str) -> set[str]:
    """Return the global names that functions use; annotations are for the reader.

    An argument or a local variable is no global name, whatever else is called so.
    """
    text = f"from __future__ import annotations\n{source}"
    waiting, names = [symtable.symtable(text, "cell", "exec")], set()
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and symbol.is_global():
                names.add(symbol.get_name())
    return names


def _is_the_books(function: FunctionType) -> bool:
    """Whether a function is defined in a package of this project."""
    file = Path(function.__code__.co_filename)
    packages = [CHECKOUT / name for name in PACKAGES]
    return any(map(file.is_relative_to, packages))


def _is_importable(value: Any) -> bool:
    """Whether a value is a function or class that its module has under its name."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    name = getattr(value, "__name__", "")
    return module is not None and getattr(module, name, None) is value


def _home(name: str, value: Any) -> str:
    """Return the module of this project that has the value under this name, or ""."""
    for home, module in [*sys.modules.items()]:
        if home.partition(".")[0] in PACKAGES and vars(module).get(name) is value:
            return home
    return ""


def _source(function: FunctionType) -> str:
    """The source of the function."""
    if function.__name__ == "<lambda>":
        raise ValueError(
            "A lambda cannot be sent to the check: write it as a function, with `def`."
        )
    try:
        source = textwrap.dedent(inspect.getsource(function))
        names_used(source)
    except (OSError, TypeError, SyntaxError):
        raise ValueError(
            f"The source of {function.__name__} cannot be read: define it with `def` "
            "in a cell or a file, and run that."
        ) from None
    return source
