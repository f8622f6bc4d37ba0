"""Oracles, to compare with: one that asks the candidate would agree with its bug."""

import contextlib
import functools
from collections.abc import Callable, Iterator

_running = 0


def oracle(function: Callable) -> Callable:
    """Mark a function as one that must not call, even indirectly, what is exercised."""

    @functools.wraps(function)
    def without_the_candidate(*args, **kwargs):
        with no_candidate():
            return function(*args, **kwargs)

    return without_the_candidate


@contextlib.contextmanager
def no_candidate() -> Iterator[None]:
    """While this lasts, a call of the exercised function is an error."""
    global _running
    _running += 1
    try:
        yield
    finally:
        _running -= 1


def watched(function: Callable) -> Callable:
    """The exercised function, which counts its calls and refuses an oracle."""

    @functools.wraps(function)
    def not_for_oracles(*args, **kwargs):
        if _running:
            raise RuntimeError(f"an oracle asked {function.__name__}, which is tested")
        not_for_oracles.calls += 1
        return function(*args, **kwargs)

    not_for_oracles.calls = 0
    return not_for_oracles
