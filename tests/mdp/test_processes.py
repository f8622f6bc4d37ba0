"""Processes that train together: what is asked of them is checked first."""

import re

import pytest

from mdp.interface.processes import ProcessesConfig


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"processes": 0}, "processes must be in [1, 32768], got 0"),
        ({"devices": 0}, "devices must be in [1, 32768], got 0"),
        ({"process_id": 1}, "process_id must be in [0, 0], got 1"),
        ({"processes": 2, "process_id": 1}, "process_id needs the address"),
        ({"coordinator": "10.0.0.1"}, "coordinator must be HOST:PORT, got 10.0.0.1"),
        ({"coordinator": "a:b"}, "coordinator must be HOST:PORT, got a:b"),
        ({"coordinator": "a:65536"}, "coordinator must be HOST:PORT, got a:65536"),
    ],
    ids=str,
)
def test_a_mistake_is_refused(fields, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        ProcessesConfig(**fields)
