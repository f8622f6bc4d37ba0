"""A run that is killed again and again ends with the report of one that was not."""

import json
import random
import subprocess
import sys
import time

import pytest

from mdp.interface.runs import UNFINISHED

COMMAND = [sys.executable, "-m", "tests.lm_bandit.small_run", "--out"]


def finish(folder):
    done = subprocess.run(
        [*COMMAND, folder], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def kill(folder, pieces, wait):
    """Kill a run a moment after it has kept so many pieces."""
    deadline = time.monotonic() + 300
    with subprocess.Popen([*COMMAND, folder], stdout=subprocess.DEVNULL) as process:
        while len([*(folder / UNFINISHED).glob("*.safetensors")]) < pieces:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(wait)
        process.kill()


@pytest.mark.slow
def test_a_killed_run_ends_where_one_that_was_not_ends(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(whole)
    kill(killed, pieces=random.Random(0).randint(1, 6), wait=0.2)  # a run keeps 7
    assert {path.name for path in killed.iterdir()} <= {UNFINISHED}
    finish(killed)
    files, found = ({x.name: x for x in y.iterdir()} for y in (whole, killed))
    assert set(found) == set(files), "and nothing else is left"
    for name in set(files) - {"report.json"}:
        assert found[name].read_bytes() == files[name].read_bytes(), name
    reports = [json.loads(x["report.json"].read_text()) for x in (files, found)]
    seconds = [report.pop("seconds") for report in reports]
    compiling = [report.pop("compiling_seconds") for report in reports]
    assert reports[0] == reports[1]
    assert set(compiling[0]) == set(compiling[1])
    assert set(seconds[0]) == set(seconds[1])
