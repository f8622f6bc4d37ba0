"""Oracles compute what tests compare with, and must not call the tested function.

An oracle that calls the learner's function would agree with its mistake.
"""

import functools
from collections.abc import Callable
from typing import Any

_running = 0  # oracles at work


def oracle(function: Callable) -> Callable:
    """Mark a function that must not call the exercised one, not even indirectly."""

    @functools.wraps(function)
    def without_the_candidate(*args: Any, **kwargs: Any) -> Any:
        global _running
        _running += 1
        try:
            return function(*args, **kwargs)
        finally:
            _running -= 1

    return without_the_candidate


def watched(function: Callable) -> Callable:
    """Return a stand-in for `.function` that counts `.calls` and refuses oracles."""

    @functools.wraps(function)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if _running:
            raise RuntimeError(f"an oracle called {function.__name__}, which is tested")
        stand_in.calls += 1
        try:
            return stand_in.function(*args, **kwargs)
        except Exception:
            raise
        except BaseException as error:  # would end the tests, or skip them
            raise RuntimeError(f"{type(error).__name__}: {error}") from error

    stand_in.function = function
    stand_in.calls = 0
    return stand_in
