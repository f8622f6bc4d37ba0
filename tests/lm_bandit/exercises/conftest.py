"""Every test of an exercise runs on several random inputs."""

import numpy as np
import pytest


@pytest.fixture(params=range(3), ids="seed{}".format)
def rng(request):
    """Random numbers that differ from run to run of a test, and not from day to day."""
    return np.random.default_rng(request.param)
