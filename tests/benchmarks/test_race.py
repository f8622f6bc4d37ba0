"""Races: what is compared is the rounds, one by one."""

import pytest

from benchmarks.race import Contestant, FirstRun, Race, compare


def idle(*_):
    """Do nothing: a contestant whose times are given."""


def race(**requirements):
    names = ("ours", "slow", "fast", "wrong")
    ours, *peers = (Contestant(name, idle, idle) for name in names)
    return Race("a task", ours, tuple(peers), **requirements)


def firsts():
    """The answers are errors: the last peer's is too large."""
    return [FirstRun(answer, 1.0, added_gb=0.5) for answer in (0.0, 0.0, 0.0, 9.0)]


TIMES = [[1.0, 2.0, 8.0], [9.0, 9.0, 90.0], [3.0, 8.0, 8.0], [0.1, 0.1, 0.1]]


@pytest.mark.parametrize(("bar", "verdict"), [(3.0, "holds"), (3.1, "MISSED")])
def test_a_race_is_decided_by_the_median_of_the_ratios_of_its_rounds(bar, verdict):
    """The rounds' ratios are 3, 4 and 1; the ratio of the medians would be 4.

    The bar is that of the fastest peer whose answer is right.
    """
    ours, _, fast, _ = compare(race(bar=bar, error=float), firsts(), TIMES)
    assert fast.ratios == [3.0, 4.0, 1.0]
    assert ours.verdict == f"3.00x (1.00 to 4.00) of {bar:g}x: {verdict}"


def test_memory_is_a_requirement_too():
    ours, *_ = compare(race(memory=0.4), firsts(), TIMES)
    assert ours.verdict == "0.50 GB of 0.4 GB: MISSED"
