"""Jobs in any executor: the same bytes, what is kept, and what is refused in a line."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mdp.__main__ import main
from mdp.interface import jobs, workers
from mdp.interface.jobs import Job, Runner, Shared, Tell
from mdp.interface.progress import Progress
from mdp.interface.runs import open_run
from mdp.interface.workers import LocalWorkers, WorkersConfig

LEARN = (
    "learn cliff_walking --algorithms monte_carlo sarsa --seeds 8 --num-episodes 20"
).split()
ROOT = Path(__file__).parents[2]
SECONDS = 120  # after which a command that hangs fails the test


def wait_and_square(n, tell=None):
    time.sleep(0.1 * (3 - n))
    if tell:
        tell(0.5)
    return n * n


def stop_process(folder, n):
    """End this process the first n times."""
    (folder / str(time.time_ns())).touch()
    if len([*folder.iterdir()]) <= n:
        os._exit(1)
    return "survived"


def squares(tell=False):
    return [
        Job(str(n), "all", 1, partial(wait_and_square, n, Tell(str(n)) if tell else 0))
        for n in range(4)
    ]


def test_results_stand_in_the_order_of_the_jobs_and_are_kept_as_they_end(tmp_path):
    with open_run(tmp_path, {}, ("end.png",), overwrite=False) as run:
        kept = []
        run.store = lambda name, value, seconds: kept.append(name)
        with ThreadPoolExecutor(4) as pool:
            runner = Runner(pool, Progress(run))
            assert runner.run_all(squares()) == [0, 1, 4, 9]
        assert kept == ["3", "2", "1", "0"]


def test_what_is_kept_is_not_run_again_and_its_seconds_count(tmp_path):
    with open_run(tmp_path, {}, ("end.png",), overwrite=False) as run:
        for n in (0, 2):
            run.store(str(n), -n, 100.0)
        progress = Progress(run)
        assert Runner(None, progress).run_all(squares()) == [0, 1, -2, 9]
        assert 200.3 - 0.15 < progress.seconds["all"] < 202


def test_the_steps_of_all_jobs_are_one_bar():
    told = []
    progress = Progress()
    progress._begin = lambda name, steps: lambda done: told.append((name, steps, done))
    Runner(None, progress).run_all(squares(tell=True)[:2])
    parts = [0, 0.5, 1, 1, 1.5, 2]
    assert told == [("all", 2, part) for part in parts]


def test_a_job_in_this_process_gets_its_arrays_as_another_process_would():
    column = np.ones((4, 3))[:, 1]
    (contiguous,) = Runner().run_all([Job("sum", "s", 1, partial(is_packed, column))])
    assert contiguous
    assert not is_packed(column)


def is_packed(x):
    return x.flags.c_contiguous


def test_a_shared_value_is_made_once_in_a_process():
    made = Shared(Counted)
    found = Runner().run_all(
        [Job(str(i), "s", 1, partial(number_of, made)) for i in range(3)]
    )
    assert found == [1, 1, 1]


class Counted:
    made = 0

    def __init__(self):
        Counted.made += 1


def number_of(shared):
    assert isinstance(shared.value, Counted)
    return Counted.made


@pytest.mark.slow
def test_a_process_that_ends_is_replaced_once(tmp_path):
    killed, twice = tmp_path / "once", tmp_path / "twice"
    killed.mkdir()
    twice.mkdir()
    with WorkersConfig(workers=2).executor() as executor:
        first = Job("first", "s", 1, partial(stop_process, killed, 1))
        assert Runner(executor).run_all([first, *squares()])[0] == "survived"
        second = Job("second", "s", 1, partial(stop_process, twice, 9))
        with pytest.raises(ValueError, match="second ended its process twice"):
            Runner(executor).run_all([second])
        assert len([*twice.iterdir()]) == 2


def test_what_cannot_be_sent_is_refused_before_it_runs():
    with LocalWorkers(1) as pool, pytest.raises(ValueError, match="define them in a f"):
        Runner(pool).run_all([Job("mine", "s", 1, lambda: 1)])


def test_other_sources_or_settings_of_jax_are_refused(monkeypatch):
    monkeypatch.setenv("NPROC", "2")
    given = jobs.settings()
    jobs.adopt(given)
    other = {**given, "versions": {**given["versions"], "sources": "0123"}}
    with pytest.raises(ValueError, match="must have sources 0123, got "):
        jobs.adopt(other)
    monkeypatch.setenv("NPROC", "3")
    monkeypatch.setitem(sys.modules, "jax", sys)
    with pytest.raises(ValueError, match="NPROC=2, got 3: restart it"):
        jobs.adopt(given)
    monkeypatch.delitem(sys.modules, "jax")
    jobs.adopt(given)
    assert os.environ["NPROC"] == "2"


def test_a_worker_with_another_version_costs_one_line(monkeypatch, capsys):
    found = jobs.versions_and_sources() | {"bellman-to-rlhf": "9.9"}
    monkeypatch.setattr(jobs, "versions_and_sources", lambda: found)
    assert main([*LEARN, "--workers", "1"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: the worker ")
    assert "must have bellman-to-rlhf 9.9, got " in last


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ("--workers 0", "workers must be at least 1, got 0"),
        ("--workers 2 --cluster tcp://a:1", "workers or cluster, got both 2 and tcp:"),
        ("--cluster tcp://127.0.0.1:1", "got no answer from tcp://127.0.0.1:1 ("),
        ("--cluster nonsense://x", "got no answer from nonsense://x ("),
    ],
)
def test_a_mistake_costs_one_line(flags, line, capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "ANSWER_SECONDS", 1.0)
    assert main([*LEARN, *flags.split()]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1, message
    assert line in message


def learn(folder, *flags):
    """Start the command in a process of its own."""
    return start("mdp", *LEARN, "--out", folder, *flags)


def start(*args):
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, args)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition):
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def pieces(folder):
    return [*(folder / ".unfinished").glob("*[0-9].json")]


def bytes_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The files of the command in one process."""
    folder = tmp_path_factory.mktemp("alone")
    learn(folder).communicate(timeout=SECONDS)
    return bytes_in(folder)


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_though_one_is_killed(alone, tmp_path):
    psutil = pytest.importorskip("psutil")
    command = learn(tmp_path, "--workers", "2")
    wait_for(lambda: pieces(tmp_path))
    spawned = [
        child
        for child in psutil.Process(command.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]
    assert len(spawned) == 2
    spawned[0].kill()
    shown = command.communicate(timeout=SECONDS)[0]
    assert command.returncode == 0, shown
    assert bytes_in(tmp_path) == alone


@pytest.fixture
def cluster(tmp_path):
    """The address of a Dask scheduler, its process, and two workers."""
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    options = ("--scheduler-file", file, "--no-dashboard")
    scheduler = start(
        "distributed.cli.dask_scheduler", *options, "--host", "127.0.0.1", "--port", "0"
    )
    wait_for(file.exists)
    each = ("distributed.cli.dask_worker", *options, "--nthreads", "1", "--no-nanny")
    running = [scheduler, start(*each), start(*each)]
    yield json.loads(file.read_text())["address"], running
    for process in reversed(running):
        process.kill()
        process.communicate(timeout=SECONDS)


@pytest.mark.slow
def test_a_cluster_writes_the_same_bytes_though_a_worker_is_killed(
    alone, cluster, tmp_path
):
    address, (_, first, _) = cluster
    out = tmp_path / "out"
    command = learn(out, "--cluster", address)
    wait_for(lambda: pieces(out))
    first.kill()
    shown = command.communicate(timeout=SECONDS)[0]
    assert command.returncode == 0, shown
    assert bytes_in(out) == alone


@pytest.mark.slow
def test_a_cluster_that_is_gone_costs_one_line_and_keeps_what_is_finished(
    alone, cluster, tmp_path
):
    address, (scheduler, *_) = cluster
    out = tmp_path / "out"
    command = learn(out, "--cluster", address)
    wait_for(lambda: pieces(out))
    scheduler.kill()
    shown = command.communicate(timeout=40)[0].splitlines()
    assert command.returncode == 2, shown
    assert shown[-1].startswith("error: ")
    assert sum("rror" in line for line in shown) == 1, shown
    assert pieces(out)
    command = learn(out)
    assert command.communicate(timeout=SECONDS)
    assert bytes_in(out) == alone
