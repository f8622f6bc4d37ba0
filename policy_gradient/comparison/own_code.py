"""Code of your own in a comparison: `mine.py:name` is the object `name` in mine.py.

Whatever goes wrong in it costs one line, which names the place in your file.
"""

import difflib
import inspect
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mdp.interface.files import open_file


class OwnFile(NamedTuple):
    """A Python file of the user's; it travels to other processes as its content."""

    path: str
    place: str  # its absolute path
    content: bytes

    def load(self) -> ModuleType:
        """Run the file once in each process, and return it as a module."""
        return _load(*self)


@dataclass(frozen=True)
class OwnFunction:
    """A function in a file of the user's."""

    file: OwnFile
    name: str

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The function itself, for `inspect`."""
        return getattr(self.file.load(), self.name)

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self.__wrapped__(*args)


def own_function(
    kind: str, given: str | Callable[..., Any]
) -> tuple[str, Callable[..., Any]]:
    """Return the name of a function and itself; raise ValueError if it is none."""
    name, function = own_object(given)
    if not callable(function):
        raise ValueError(
            f"{kind} {name} must be a function, got {type(function).__name__}"
        )
    if isinstance(given, str):
        function = OwnFunction(_own_file(given), name)
    return name, function


def own_object(given: str | Callable[..., Any]) -> tuple[str, Any]:
    """Return a function's name and itself, or the object that `file.py:name` names."""
    if not isinstance(given, str):
        return getattr(given, "__name__", type(given).__name__), given
    path, _, name = given.rpartition(":")
    module = _own_file(given).load()
    if not hasattr(module, name):
        known = [known for known in vars(module) if not known.startswith("_")]
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
        raise ValueError(
            f"{path} must define {name!r}, got a file with {', '.join(nearest)}"
        )
    return name, getattr(module, name)


def _own_file(given: str) -> OwnFile:
    path = given.rpartition(":")[0]
    with open_file(Path(path)) as file:
        return OwnFile(path, os.path.abspath(path), file.read())


@cache
def _load(path: str, place: str, content: bytes) -> ModuleType:
    if not path.endswith(".py"):
        raise ValueError(f"{path!r} must be a Python file, for example mine.py")
    module = ModuleType("of_the_user")
    module.__file__ = place
    code = call_own(path, compile, content, place, "exec")
    call_own(path, exec, code, vars(module))
    return module


def call_own(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call the user's code; any error in it becomes a ValueError of one line.

    The line names the place in the user's file. The error itself is the cause of what
    is raised. A program that is asked to exit would end without a word, so that is an
    error too.
    """
    try:
        return function(*args)
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:300]
        place = _place(error, _files(name, function))
        message = f"{name} failed: {type(error).__name__}: {said}{place}"
        raise ValueError(message) from error


def _files(name: str, function: Callable[..., Any]) -> set[str]:
    """Return the files that are the user's own: the named one, and the function's."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return {os.path.abspath(name), code.co_filename if code else name}


def _place(error: BaseException, own: set[str]) -> str:
    """Return the last line of the user's own files that an error came through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in own and not frame.filename.startswith("<frozen"):
            return f" ({frame.filename}, line {frame.lineno}, in {frame.name})"
    return ""
