"""The world of words that people rated."""

import pytest

from lm_bandit.world import pocket_world


@pytest.fixture(scope="session")
def world():
    return pocket_world()
