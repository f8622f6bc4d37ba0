"""Judge all candidates of an exercise, for the gate: they take turns in its module.

The packages are imported once, and the answers to the cases are computed once, although
every trap is compared with every other.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.exercises.judge import Judge, Listener, our_modules
from tests.exercises.sources import Candidate, candidates, reference


def judge_all(judge: Judge, seeds: Sequence[int]) -> None:
    """Judge stub, reference, traps and variants.

    The tests of the reference run last: they fail if a trap has left anything behind.
    """
    listed = candidates(judge.exercise)
    with _cautious_jit(judge):
        judge.settle()
        for label, candidate in listed.items():
            judge.put(candidate, label)
            _try_cases(judge, seeds)
        listed["reference"] = listed.pop("reference")
        judge.run_tests(_Rounds(judge, listed), "--assert=plain")
    judge.label = ""
    judge.find("done")


def _try_cases(judge: Judge, seeds: Sequence[int]) -> None:
    """Compare a candidate with the others; a trap is compared in full on one seed only.

    On the other seeds it need only differ from the reference and from the other traps.
    """
    own, first = judge.splice.candidate, seeds[:1]
    is_trap = judge.label.startswith("traps")
    for seed in first if is_trap or judge.label == "stub" else seeds:
        judge.try_cases(seed)
    for seed in seeds[1:] if is_trap else ():
        cases = judge.cases(seed)
        if not judge.agrees(own, reference(judge.exercise), cases, lambda all_: all_):
            judge.find_traps(seed)


class _Rounds(Listener):
    """Runs the tests on each candidate in turn, until one test fails on it."""

    def __init__(self, judge: Judge, listed: dict[str, Candidate]):
        super().__init__(judge)
        self.listed = listed

    def pytest_runtestloop(self, session: Any) -> bool:
        following = dict(zip(session.items, session.items[1:], strict=False))
        for label, candidate in self.listed.items():
            self.judge.put(candidate, label)
            for item in session.items:
                nextitem = following.get(item)
                item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
                if "failed" in self.judge.found:
                    break
            # Fixtures and caches may hold this candidate's answers.
            session._setupstate.teardown_exact(None)
            for name in our_modules():
                for value in vars(sys.modules[name]).values():
                    if isinstance(value, functools._lru_cache_wrapper):
                        value.cache_clear()
        return True


@contextlib.contextmanager
def _cautious_jit(judge: Judge) -> Iterator[None]:
    """Let `jax.jit` compile nothing that calls the exercised function.

    A compiled program would still hold the candidate before. So a program that was
    seen to call the function runs step by step from then on.
    """
    if judge.exercise.floor == "mdp":
        yield
        return
    import jax

    jit = jax.jit

    def cautious(function: Callable | None = None, **options: Any) -> Callable:
        if function is None:
            return functools.partial(cautious, **options)
        compiled = jit(function, **options)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if call.calls_the_candidate:
                return function(*args, **kwargs)
            place = judge.splice.watched
            before = place.calls if place else 0
            try:
                return compiled(*args, **kwargs)
            finally:
                call.calls_the_candidate = bool(place) and place.calls > before

        call.calls_the_candidate = False
        return call

    jax.jit = cautious
    try:
        yield
    finally:
        jax.jit = jit
