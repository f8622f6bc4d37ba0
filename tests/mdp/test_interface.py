"""Files, configs, progress and command lines, as all three packages use them."""

import os
import platform
import subprocess
import sys
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from rich.table import Table

from mdp.interface import command_line, compilation, configs, files, stopping
from mdp.interface import progress as progress_module
from mdp.interface.command_line import Terminal
from mdp.interface.progress import BarProgress, Progress


class Point(NamedTuple):
    x: float
    y: tuple[float, ...]


@configs.sweepable
@dataclass(frozen=True)
class Config:
    step_size: float = 0.1
    num_updates: int = 5

    def __post_init__(self):
        configs.require_positive(self, "step_size", "num_updates")


def test_files_appear_together_or_not_at_all(tmp_path):
    (tmp_path / "first").write_text("old")

    def fail(path):
        path.write_text("half")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        files.write_files(tmp_path, {"first": "new", "second": fail})
    assert [path.name for path in tmp_path.iterdir()] == ["first"]
    assert (tmp_path / "first").read_text() == "old"


def test_a_file_is_text_or_bytes_or_what_a_function_writes(tmp_path):
    contents = {"a": "ä\n", "b": b"\x00", "c": lambda path: path.write_text("c")}
    written = files.write_files(tmp_path / "new" / "folder", contents)
    assert [path.name for path in written] == ["a", "b", "c"]
    assert [path.read_bytes() for path in written] == ["ä\n".encode(), b"\x00", b"c"]


def test_a_table_has_quotes_where_it_needs_them():
    rows = [("name", "value"), ("a, b", 0.1)]
    assert files.csv_text(rows) == 'name,value\r\n"a, b",0.1\r\n'


def test_json_holds_tuples_configs_arrays_and_paths_and_no_infinity(tmp_path):
    value = {
        "point": Point(float("nan"), (1.5, -np.inf)),
        3: Config(),
        "array": np.array([[1, 2]]),
        "number": np.float32(0.5),
        "path": Path("a/b"),
        "nothing": None,
    }
    files.write_json(tmp_path / "value.json", value)
    assert files.read_json(tmp_path / "value.json") == {
        "point": {"x": None, "y": [1.5, None]},
        "3": {"step_size": 0.1, "num_updates": 5},
        "array": [[1, 2]],
        "number": 0.5,
        "path": "a/b",
        "nothing": None,
    }
    assert files.json_text({"a": 1}) == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "must be JSON, got Expecting property name"),
        (b"[1]", r"must be a JSON object, got \[1\]"),
        (b"\xff", "must be JSON, got .*utf-8.* codec can't decode"),
        (b"[" * 100_000, "must be JSON, got maximum recursion"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_a_bad_json_file_is_refused_in_one_line_with_its_name(
    content, message, tmp_path
):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        files.read_json(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_versions_name_python_and_every_package():
    assert set(files.versions()) == {"python", *files.PACKAGES}
    assert files.versions()["numpy"] == np.__version__


def test_the_machine_names_its_platform_its_cores_and_the_threads_of_jax(monkeypatch):
    monkeypatch.setenv("NPROC", "3")
    found = files.machine()
    assert found["platform"] == platform.platform()
    assert 1 <= found["cores"] <= os.cpu_count()
    assert found["threads"] == "3"


THREADS = """
import os, sys
from mdp.interface.compilation import fix_threads
if "core" in sys.argv:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
fix_threads()
import jax, numpy, hashlib
x = jax.random.normal(jax.random.key(0), (4096, 256))
y = jax.jit(lambda x: (x.T @ x, (x**3).sum(0), jax.nn.softmax(x).sum()))(x)
print(hashlib.sha256(b"".join(numpy.asarray(z).tobytes() for z in y)).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_one_core_adds_up_in_the_same_order_as_all_of_them():
    """Without the fixed number of threads the sums differ in their last digits."""
    found = {
        subprocess.run(
            [sys.executable, "-c", THREADS, *more],
            env={k: v for k, v in os.environ.items() if k != "NPROC"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ([], ["core"])
    }
    assert len(found) == 1
    assert len(found.pop()) == 65


def test_a_card_gets_no_flags_of_the_cpu_and_multiplies_in_float32(monkeypatch):
    """Without a plugin of jax, or with the CPU chosen, it is the other way round."""
    names = ("XLA_FLAGS", "JAX_DEFAULT_MATMUL_PRECISION")
    for plugins, platforms, for_card in (
        (["xla_cuda13"], "", True),
        (["xla_cuda13"], "cpu", False),
        ([], "", False),
    ):
        environment = {"JAX_PLATFORMS": platforms}
        monkeypatch.setattr(os, "environ", environment)
        monkeypatch.setattr(
            compilation, "entry_points", lambda group, found=plugins: found
        )
        compilation.compile_quickly()
        compilation.prepare_card()
        assert [name in environment for name in names] == [not for_card, for_card]


def test_equal_pictures_have_equal_bytes_without_the_name_of_the_program():
    from matplotlib.figure import Figure

    figure = Figure((1, 1))
    picture = files.png_bytes(figure, dpi=20)
    assert picture.startswith(b"\x89PNG")
    assert b"matplotlib" not in picture.lower()
    assert picture == files.png_bytes(figure, dpi=20)
    assert picture != files.png_bytes(figure, dpi=30)


def test_jax_varies_the_floats_of_a_config_and_nothing_else():
    leaves, structure = jax.tree.flatten(Config())
    assert leaves == [0.1]
    assert structure.unflatten([np.array([1.0, 2.0])]).num_updates == 5
    assert structure != jax.tree.structure(Config(num_updates=6))
    # What jax puts in place of a float is not checked again.
    assert structure.unflatten([-1.0]).step_size == -1.0


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (configs.require_positive, 0.1, 0, "rate must be positive, got 0"),
        (configs.require_not_negative, 0, -1, "rate must not be negative, got -1"),
        (configs.require_in_unit_interval, 0, -0.1, "rate must be in .*, got -0.1"),
        (configs.require_in_unit_interval, 1, 1.1, "rate must be in .*, got 1.1"),
        (configs.require_positive, 1, float("nan"), "must be positive, got nan"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(check, good, bad, message):
    class Rates:
        other, rate = good, bad

    check(Rates, "other")
    with pytest.raises(ValueError, match=message):
        check(Rates, "other", "rate")


def test_a_part_must_divide_the_whole():
    configs.require_divisor("num_heads", 2, "d_model", 8)
    with pytest.raises(ValueError, match="num_heads must divide d_model = 8, got 3"):
        configs.require_divisor("num_heads", 3, "d_model", 8)
    for part in (0, -2):  # neither divides, whatever Python's % says
        with pytest.raises(ValueError, match="num_heads must be at least 1, got"):
            configs.require_divisor("num_heads", part, "d_model", 8)


def test_progress_keeps_the_seconds_of_each_stage_and_shows_nothing(capsys):
    progress = Progress()
    with progress.stage("PPO", 2) as report:
        report(1)
        report(2, {"reward": 1.0})
    assert progress.seconds["PPO"] >= 0
    assert capsys.readouterr().out == ""


HOSTILE = "[red]a[/quote] \x1b[2J\x07\t\u202e \udc80 \x9b :smile: é\n"
HARMLESS = r"[red]a[/quote] \x1b[2J\x07\t\u202e \udc80 \x9b :smile: é"


def test_a_text_is_shown_as_it_is_and_never_obeyed(capsys):
    """In a message, a cell, a title, an error, and the title of a stage."""
    assert stopping.printable(HOSTILE) == HARMLESS + "\n"
    terminal = Terminal(width=300)
    terminal.print(HOSTILE)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    terminal.print(table)
    progress = BarProgress(terminal, {"PPO": HOSTILE})
    with progress.shown(), progress.stage("PPO", 1) as report:
        report(1)
    command_line._refuse(HOSTILE)
    shown = capsys.readouterr()
    assert shown.out.count(HARMLESS) == 4
    error = "error: " + HARMLESS.replace(r"\t", " ") + "\n"
    assert shown.err == f"{HARMLESS}\n: 1 of 1, 0 s\n{error}"
    controls = {c for c in shown.out + shown.err if unicodedata.category(c)[0] == "C"}
    assert controls == {"\n"}


def test_the_line_of_a_stopped_program_is_escaped_too(capfd):
    stopping.tell(lambda: HOSTILE)
    stopping._say()
    expected = HARMLESS.replace(r"\t", " ") + "\n"
    assert capfd.readouterr().err == expected


@pytest.mark.parametrize(("in_terminal", "counted"), [(True, "3/7"), (False, "3 of 7")])
def test_progress_shows_the_stage_its_steps_and_what_is_compiled(
    in_terminal, counted, capsys, monkeypatch
):
    """Bars in a terminal; in a pipe a line now and then, and at the end of a stage."""
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.05)
    if in_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    progress = BarProgress(Terminal(), {"PPO": "improving the policy"})
    with progress.shown(), progress.stage("PPO", 7) as report:
        with compilation.Compiling.waited_for():
            time.sleep(0.3)
        report(3)
    assert 0.3 < progress.compiling["PPO"] < progress.seconds["PPO"]
    shown = capsys.readouterr()
    assert shown.out == ""
    for text in ("improving the policy", "compiling", counted):
        assert text in shown.err


def test_ctrl_c_costs_one_line_that_says_what_was_kept(capsys):
    progress = BarProgress(Terminal(width=100))
    stopped, shown = pytest.raises(SystemExit), progress.shown("all is lost")
    with stopped as stop, shown, progress.stage("PPO", 7):
        raise KeyboardInterrupt
    assert stop.value.code == 130
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Stopped during PPO; all is lost."


def test_every_file_that_was_written_is_named(tmp_path, capsys):
    paths = files.write_files(tmp_path, {"a.json": "{}"})
    command_line.name_files(Terminal(width=300), paths)
    assert capsys.readouterr().out == f"wrote {tmp_path / 'a.json'}\n"
    assert [*tmp_path.iterdir()] == paths


def test_a_file_that_a_killed_program_left_is_in_nobodys_way(tmp_path):
    (tmp_path / ".a.json.part").write_text("torn")
    files.write_files(tmp_path, {"a.json": lambda path: path.open("x").close()})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    "message",
    [
        "╭─ Value error ───╮\n│ what, and where │\n│ it was          │\n"
        "│ ─────────────── │\n│ For help, read  │\n╰─────────────────╯\n",
        " Value error     \n ------------- \n  what, and where \n  it was   \n"
        "  --------------- \n  For help, read  \n",
    ],
)
def test_the_message_in_a_box_of_tyro_becomes_one_line(message):
    """The boxes of tyro come with or without lines, as the terminal can."""
    assert command_line._first_paragraph(message) == "what, and where it was"


def test_without_a_home_only_what_needs_the_cache_complains(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(compilation.Path, "home", homeless)
    compilation.keep_compiled_programs()
    with pytest.raises(ValueError, match="set XDG_CACHE_HOME"):
        compilation.cache_folder()


@dataclass(frozen=True)
class Failing:
    """A command that fails."""

    number: int = 0

    def run(self):
        raise FAILURES[self.number]


FAILURES = (
    OSError(28, "No space left on device"),
    PermissionError(13, "Permission denied", "results"),
    MemoryError("Unable to allocate 9 PiB"),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "cannot write: No space left on device"),
        (["--number", "1"], "cannot write results: Permission denied"),
        (["--number", "2"], "too little memory for these numbers: Unable to allocate"),
        (["--number", "3"], "too little memory for these numbers: RESOURCE_EXHAUSTED"),
        (["--nmber", "1"], "Unrecognized options: --nmber, 1 (did you mean --number?)"),
        (["--nmber", "9" * 4000], " ... "),
    ],
)
def test_a_failure_is_one_short_line_without_the_word_none(args, message, capsys):
    assert command_line.run(Failing, args, "it", "It fails.") == 2
    line = capsys.readouterr().err
    assert message in line
    assert "None" not in line
    assert line.count("\n") == 1
    assert len(line) < 1000


def test_in_a_pipe_each_stage_ends_with_its_own_line(capsys):
    progress = BarProgress(Terminal(), {"b": "second"})
    with progress.shown(), progress.stage("a", 1) as one, progress.stage("b", 2) as two:
        one(1)
        two(2)
    assert capsys.readouterr().err == "second: 2 of 2, 0 s\na: 1 of 1, 0 s\n"
