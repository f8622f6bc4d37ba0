"""Strange inputs: valid ones with something in them replaced, and how they are tried.

A reader may do two things with its input: return something valid, or raise a
ValueError of one line that says what is wrong and where. Nothing else is allowed: no
other exception, no wait without an end, no nonsense that is taken for a value.
"""

import copy
import signal
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

LONGEST = 60  # seconds that one case may take
LONGEST_MESSAGE = 1000  # characters

# Each property is tried on some cases in every run, and on ten times as many in the
# slow suite.
each_count = pytest.mark.parametrize(
    "cases", [20, pytest.param(200, marks=pytest.mark.slow)]
)

# Values that are almost numbers, or numbers that are hardly values.
STRANGE = (
    *(None, True, False, "False", "0.5", "", b"1", 0, 1, 2, -1, 0.5, 1.5, -0.0),
    *(float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, 1j, Fraction(1, 2)),
    *(2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 2**100, 10**400, object(), int),
    *([], [1], (), {}, {0: 5}, {"a": 1}, {1, 2}, range(3), iter([1, 2]), Ellipsis),
    *(np.float32(0.5), np.float64("nan"), np.int8(1), np.bool_(True), np.uint64(2**63)),
    *(np.zeros(0), np.ones((2, 2)), np.array(1.0), np.array([0.5, None], object)),
    *(np.ma.masked, np.ma.masked_array([0.5, 0.5], [True, False]), np.array(["1"])),
    *(np.datetime64("2000-01-01"), np.zeros(1, [("a", float)]), "\ud800", "[red]\x1b"),
)
# The same, of the types of JSON.
STRANGE_JSON = (
    *(None, True, False, "False", "0.5", "", 0, 1, 2, -1, 0.5, -0.0, [], {}, [1]),
    *(float("nan"), float("inf"), 1e308, 2**31, 2**63, 2**100, 10**400, {"a": 1}),
    *([[]], [None], "\ud800", "\x00", "[red]\x1b[31m", "a" * 2000, "ab\ncd"),
)


def values(of=STRANGE):
    """One strange value, a new one each time."""
    return st.sampled_from(range(len(of))).map(lambda i: copy.deepcopy(of[i]))


def tried(cases, check, *strategies):
    """Try `check` on so many cases, the same in every run."""
    quiet = settings(
        max_examples=cases,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
    )
    quiet(given(*strategies)(check))()


@contextmanager
def no_hang(seconds=LONGEST):
    """Fail where the block takes longer than a person would wait."""

    def late(*_):
        raise TimeoutError(f"still busy after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def taken(call, *places):
    """Return what the call returns; None where it refuses its input in plain words.

    The refusal is a ValueError of one line, which holds one of the places, if given.
    """
    try:
        with no_hang(), np.errstate(all="ignore"):
            return call()
    except ValueError as raised:
        message = str(raised)
    assert message.strip(), "a refusal says something"
    assert "\n" not in message, message
    assert len(message) <= LONGEST_MESSAGE, message
    assert not places or any(place in message for place in places), message
    # Words of the machine, which say neither what nor where.
    for word in ("unhashable", "object is not", "positional argument"):
        assert word not in message, message
    return None


@st.composite
def changed(draw, tree, of=STRANGE):
    """A tree of lists, tuples and dicts with some of its nodes made strange."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        tree = _change(draw, tree, of)
    return tree


def _change(draw, tree, of):
    """Go down at random, and replace, remove or repeat what is found there."""
    deeper = isinstance(tree, list | tuple | dict) and len(tree) > 0
    if not deeper or draw(st.integers(0, 4)) == 0:
        return draw(values(of))
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = draw(st.sampled_from(keys))
    entries = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    action = draw(st.sampled_from(["go", "go", "go", "go", "remove", "repeat", "name"]))
    if action == "remove":
        del entries[key]
    elif action == "go":
        entries[key] = _change(draw, entries[key], of)
    elif action == "repeat" or not isinstance(tree, dict):
        entries[len(entries) if not isinstance(tree, dict) else key] = entries[key]
    else:
        name = draw(values(of))
        try:
            entries[name] = entries.pop(key)
        except TypeError:  # no key
            entries[str(key)] = name
    if isinstance(tree, dict):
        return entries
    return type(tree)(entries.values())


PIECES = (
    *(b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b",", b"{"),
    *(
        b"\n\n",
        b"[" * 20_000,
        b"a" * 200_000,
        b"\xc3",
        b"\xed\xa0\x80",
        b"1e999",
        b"\t",
    ),
    *(b"NaN", b"-", b"9" * 5000, b"\x1b[31m", "é€𝄞".encode(), b"null", b"\\", b" "),
)


@st.composite
def damaged(draw, data):
    """Bytes of which a part is cut out, repeated, moved, or replaced by a piece."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 1, 4, 40, 10**9])))
        piece = draw(st.sampled_from([*PIECES, b"", data[start:end] * 2, data[:40]]))
        data = data[:start] + piece + data[end:]
    return data
