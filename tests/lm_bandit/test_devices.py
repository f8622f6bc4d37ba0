"""Training on several devices and in several processes: the numbers of one device."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

COMMAND = [sys.executable, "-m", "tests.lm_bandit.on_devices"]
IN_PARTS = "--devices", "2", "--parameters", "sharded"


def train(folder, *flags):
    """Train in new processes; return the parameters at the end, if it was reached."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [*COMMAND, str(folder), *flags], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "ended.npz") if "--stop" not in flags else {}


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    return train(tmp_path_factory.mktemp("one"))


@pytest.mark.slow
def test_parameters_in_parts_on_two_devices_give_the_numbers_of_one(
    on_one_device, tmp_path
):
    require_equal(train(tmp_path, *IN_PARTS), on_one_device)


@pytest.mark.slow
def test_two_processes_go_on_where_two_devices_stopped(on_one_device, tmp_path):
    train(tmp_path, "--stop", "20", *IN_PARTS)
    kept = [file.name for file in tmp_path.rglob("*.safetensors")]
    assert len(kept) == 4, "the updates of each training before the stop"
    require_equal(train(tmp_path, "--processes", "2"), on_one_device)


def require_equal(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)
