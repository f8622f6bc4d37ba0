"""The folder of a run: what goes on, what is refused, and how a program is stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdp.interface import keeping, runs
from mdp.interface.files import png_bytes, write_files
from mdp.interface.progress import Progress, next_checkpoint
from mdp.interface.runs import FollowedRun, Run, in_turn, open_run, settings_of
from policy_gradient import training

NAMES = ("found.json", "found.png")


class Pair(NamedTuple):
    first: float
    second: object


@dataclass(frozen=True)
class Command:
    size: int = 1
    source: Path | None = None
    out: Path | None = None
    overwrite: bool = False


def picture():
    from matplotlib.figure import Figure

    return png_bytes(Figure((1, 1)), dpi=20)


def opened(folder, size=1, overwrite=False):
    return open_run(folder, settings_of(Command(size)), NAMES, overwrite)


def finish(folder, size=1, overwrite=False):
    with opened(folder, size, overwrite) as run:
        run.write({"found.png": picture(), "found.json": f"{size}"})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_value_is_made_once_and_read_with_its_types(tmp_path):
    numbers = np.array([[0.1, np.nan], [1e300, -0.0]])
    value = {
        "": [(1, True, None, "]["), Pair(np.float32(0.1), numbers)],
        "whole": np.arange(3),
        "jax": jnp.ones(2),
    }
    with opened(tmp_path / "new") as run:
        assert run.kept("a/b", lambda: value, Pair)[0] is value
    with opened(tmp_path / "new") as run:
        read, _ = run.kept("a/b", pytest.fail, Pair)
    (plain, pair) = read[""]
    assert plain == (1, True, None, "][")
    assert type(pair) is Pair
    assert pair.first == np.float32(0.1)
    np.testing.assert_array_equal(pair.second, numbers)
    assert read["whole"].dtype == int
    assert read["jax"].dtype == np.float32


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"value": [1], "seconds": 1}'])
def test_a_kept_value_that_somebody_changed_is_refused_by_name(text, tmp_path):
    with opened(tmp_path) as run:
        run.kept("part", lambda: 1)
        file = tmp_path / runs.UNFINISHED / "part.json"
        file.write_text(text)
        with pytest.raises(ValueError, match=r"part\.json.* cannot be read \("):
            run.kept("part", pytest.fail)


def test_a_loop_that_is_stopped_after_any_chunk_ends_as_if_it_was_not(
    tmp_path, monkeypatch
):
    """The state holds noise, a count, and data that never change."""
    monkeypatch.setattr(keeping, "SECONDS", 0.0)
    start = (jnp.zeros(3), jnp.zeros((), int), jnp.arange(1000))

    def update(state, key):
        noise, count, data = state
        noise = noise * 0.9 + jax.random.normal(key, (3,)) + data[count]
        return (noise, count + 1, data), {"noise": noise, "count": count}

    def loop(folder, stop_at=None):
        def tell(done, metrics):
            report(done)
            if done == stop_at:
                raise InterruptedError

        with opened(folder) as run, Progress(run).stage("noise", 50) as report:
            checkpoint = next_checkpoint(report)
            key = jax.random.key(0)
            return training.loop(key, start, update, 50, tell, checkpoint=checkpoint)

    expected = loop(tmp_path / "whole")
    for stop_at in (20, 40, 50):  # what is told is not saved yet
        with pytest.raises(InterruptedError):
            loop(tmp_path / "stopped", stop_at)
    kept = [*(tmp_path / "stopped" / runs.UNFINISHED).glob("*.safetensors")]
    assert len(kept) == 2
    assert max(path.stat().st_size for path in kept) < 1500, "the data are not kept"
    found = loop(tmp_path / "stopped")
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    monkeypatch.setattr(jax, "block_until_ready", pytest.fail)  # nothing is left to do
    found = loop(tmp_path / "stopped")
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    kept[0].unlink()
    with pytest.raises(ValueError, match=r"the file before it is gone.*: try --overwr"):
        loop(tmp_path / "stopped")
    kept[1].write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"safetensors: cannot be read \("):
        loop(tmp_path / "stopped")


def test_other_settings_are_refused_while_unfinished_and_when_finished(tmp_path):
    with opened(tmp_path, 1) as run:
        run.kept("part", lambda: 1)
    message = re.escape("has size = 1, got 2: try another --out, or --overwrite")
    with pytest.raises(ValueError, match=message), opened(tmp_path, 2):
        pass
    finish(tmp_path, 1)
    assert names(tmp_path) == [*NAMES], "nothing else is left"
    with pytest.raises(ValueError, match=message), opened(tmp_path, 2):
        pass
    with opened(tmp_path, 1) as run:
        assert run.finished
    finish(tmp_path, 2, overwrite=True)
    assert (tmp_path / "found.json").read_text() == "2"
    with opened(tmp_path, 2, overwrite=True) as run:
        assert not run.finished


def test_a_process_that_follows_reads_what_is_kept_and_keeps_nothing(tmp_path):
    Run(tmp_path).store("by the first", 1, 0.0)
    followed = FollowedRun(tmp_path)
    followed.store("by another", 2, 0.0)
    assert followed.found("by the first", ()) == (1, 0.0)
    assert len(followed.pieces("*")) == 1


def test_results_of_unknown_settings_are_refused_and_other_files_are_not(tmp_path):
    (tmp_path / "mine.txt").touch()
    with opened(tmp_path):
        pass
    (tmp_path / "found.json").write_text("{}")
    with pytest.raises(ValueError, match=r"found.json exists already: try"):
        finish(tmp_path)
    assert (tmp_path / "found.json").read_text() == "{}"
    finish(tmp_path, overwrite=True)
    assert names(tmp_path) == [*NAMES, "mine.txt"]


def test_what_was_killed_in_the_middle_of_overwriting_goes_on(tmp_path):
    finish(tmp_path, 1)
    with opened(tmp_path, 2, overwrite=True) as run:
        run.kept("part", lambda: 2)
    (tmp_path / ".found.json.part").touch()
    for overwrite in (False, True):
        with opened(tmp_path, 2, overwrite) as run:
            assert run.kept("part", pytest.fail)[0] == 2
    assert not (tmp_path / ".found.json.part").exists()


def test_a_new_folder_may_be_demanded_and_one_to_go_on_in_counts_as_new(tmp_path):
    def opened_new(overwrite=False):
        settings = settings_of(Command())
        return open_run(tmp_path / "new", settings, NAMES, overwrite, only_new=True)

    with opened_new() as run:
        run.kept("part", lambda: 1)
    with opened_new() as run:
        assert run.kept("part", pytest.fail)[0] == 1
        run.write({"found.json": "1"})
    with pytest.raises(ValueError, match="--out must be a new folder, got"):
        opened_new().__enter__()
    with opened_new(overwrite=True) as run:
        run.write({"found.json": "2"})


def test_the_settings_are_the_fields_with_files_by_their_content(tmp_path):
    file = tmp_path / "words.csv"
    file.write_text("good")
    first = settings_of(Command(source=file, out=tmp_path, overwrite=True))
    assert first == settings_of(Command(source=file))
    assert first["versions"]["numpy"] == np.__version__
    file.write_text("bad")
    assert first != settings_of(Command(source=file))


def test_one_of_two_commands_in_a_folder_is_refused(tmp_path):
    refused = pytest.raises(ValueError, match="another command is at work in")
    with opened(tmp_path), refused, opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


def test_nothing_is_left_of_a_run_that_kept_nothing(tmp_path):
    with opened(tmp_path / "new") as run:
        assert str(run) == "nothing was written"
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), opened(tmp_path / "file" / "new"):
        pass
    with open_run(None, {}, NAMES, False) as run:
        assert run.kept("part", lambda: 1) == (1, 0.0)
        assert run.write({"found.json": "1"}) == []


def test_the_seconds_before_the_stop_count(tmp_path):
    for _ in range(2):
        with opened(tmp_path) as run:
            progress = Progress(run)
            with progress.stage("sleep", 1):
                progress.kept("sleep", lambda: time.sleep(0.05))
    assert progress.seconds["sleep"] >= 0.05


def test_a_picture_holds_its_settings_and_stays_a_picture(tmp_path):
    from matplotlib.image import imread

    finish(tmp_path)
    write_files(tmp_path, {"plain.png": picture()})
    shown, plain = (imread(tmp_path / name) for name in ("found.png", "plain.png"))
    np.testing.assert_array_equal(shown, plain)
    assert Run(tmp_path).pieces("*") == []


PROGRAM = """
from mdp.interface import stopping
stopping.watch()
stopping.tell(lambda: "Stopped; all is\\nkept.")
print("ready", flush=True)
import time
try:
    time.sleep(60)
except BaseException:
    pass  # as an import may swallow it
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_costs_one_line_and_its_own_exit_status(name):
    program = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        _, line = process.communicate(timeout=30)
    assert line == "Stopped; all is kept.\n"
    assert process.returncode == 128 + getattr(signal, name)


def test_a_program_waits_until_another_has_left_a_folder(tmp_path):
    pytest.importorskip("fcntl")
    told = []

    def follow():
        with in_turn(tmp_path):
            told.append("second")

    with ThreadPoolExecutor(1) as pool:
        with in_turn(tmp_path):
            waiting = pool.submit(follow)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
            told.append("first")
        waiting.result(timeout=30)
    assert told == ["first", "second"]
