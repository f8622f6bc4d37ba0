"""Training on several devices and in several processes: the numbers of one device."""

import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from numpy.testing import assert_allclose

COMMAND = [sys.executable, "-m", "tests.lm_bandit.on_devices"]
IN_PARTS = "--parameters", "sharded"


def train(folder, *flags):
    """Train in new processes, and return the parameters at the end."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [*COMMAND, str(folder), *flags], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "ended.npz")


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory):
    return train(tmp_path_factory.mktemp("one"))


@pytest.mark.slow
def test_parameters_in_parts_on_two_devices_give_the_numbers_of_one(
    on_one_device, tmp_path
):
    found = train(tmp_path, "--devices", "2", *IN_PARTS)
    require_equal(found, on_one_device)


@pytest.mark.slow
def test_a_killed_process_costs_one_line_and_others_go_on(on_one_device, tmp_path):
    """Its parameters are in parts; afterwards they are whole on each device."""
    told = kill_the_second(tmp_path, "--processes", "2", *IN_PARTS)
    (line,) = [x for x in told.splitlines() if x.startswith("error: ")]
    assert "process" in line
    assert [*tmp_path.rglob("*.safetensors")], "what was finished is kept"
    found = train(tmp_path, "--processes", "2")
    require_equal(found, on_one_device)


def kill_the_second(folder, *flags):
    """Kill the process that does not lead, once a piece is kept; return what is told.

    The first one must end by itself, with status 2, within 30 seconds.
    """
    deadline = time.monotonic() + 300
    command = [*COMMAND, str(folder), *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as lead:
        while not [*folder.rglob("*.safetensors")]:
            assert lead.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (second,) = [
            process
            for process in psutil.Process(lead.pid).children()
            if "spawn_main" in " ".join(process.cmdline())
        ]
        second.kill()
        _, told = lead.communicate(timeout=30)
    assert lead.returncode == 2
    return told


def require_equal(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)
