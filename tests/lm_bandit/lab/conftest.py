"""The lab's bench, which all tests of the lab share."""

import pytest

from lm_bandit.lab import tabular


@pytest.fixture(scope="session")
def bench():
    return tabular.make_bench()
