"""Help and messages about mistakes do not wait for libraries that are needed later."""

import importlib
import re
import subprocess
import sys

import pytest

from lm_bandit.__main__ import (
    CompareCommand,
    LabelCommand,
    MainCommand,
    RealTextCommand,
)
from lm_bandit.alternatives.config import METHODS
from lm_bandit.lab.command import EXPERIMENTS
from mdp.__main__ import Learn
from mdp.worlds import WORLDS
from policy_gradient.config import ALGORITHMS, REFERENCE

COMMANDS = (
    *("mdp", "mdp solve", "mdp learn", "policy_gradient", "policy_gradient compare"),
    *("lm_bandit", "lm_bandit ask", "lm_bandit compare", "lm_bandit lab"),
    *("lm_bandit label", "lm_bandit doctor", "lm_bandit sums"),
    "lm_bandit --data movie-reviews",
)
SLOW = ("jax", "optax", "scipy.stats", "matplotlib", "tokenizers")

PROGRAM = """
import contextlib, importlib, io, sys
slow, package, *args = sys.argv[1:]
main = importlib.import_module(f"{package}.__main__").main
with contextlib.redirect_stdout(io.StringIO()) as shown:
    try:
        assert main([*args, "--no-such-flag", "3"]) == 2
        main([*args, "--help"])
    except SystemExit as stop:
        assert not stop.code
assert "usage:" in shown.getvalue()
found = [name for name in slow.split(',') if name in sys.modules]
assert not found, found
"""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=[pytest.mark.slow] * (" " in command))
        for command in COMMANDS
    ],
)
def test_help_and_a_mistake_do_not_wait_for_slow_imports(command):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(SLOW), *command.split()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("error: ")


def help_of(command, capsys, monkeypatch, width=80):
    """Return the help of a command."""
    monkeypatch.setenv("COLUMNS", str(width))
    package, *args = command.split()
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(f"{package}.__main__").main([*args, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


def flags_in(shown):
    """Return the text of each flag, in order."""
    found = {}
    for line in shown.splitlines():
        if entry := re.match(r"  (-\S+|\[?[A-Z]+\]?)(?: |$)", line):
            name = entry[1].rstrip(",")
            assert name not in found, "a flag is shown once"
            found[name] = line.partition("  ")[2].partition("  ")[2]
        elif found and line.startswith("      "):
            found[name] += f" {line.strip()}"
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_explained_in_80_columns(command, capsys, monkeypatch):
    shown = help_of(command, capsys, monkeypatch)
    assert max(map(len, shown.splitlines())) <= 80
    assert "None" not in shown
    flags = flags_in(shown)
    for name, text in flags.items():
        about = re.sub(r"\{.*?\} *(\.\.\.)?|\(default: .*?\)", "", text)
        assert len(about.split()) >= 2, f"{command}: {name} needs a comment"
    if "--out" in flags:
        assert flags["--out"].strip().startswith("Folder for")
        assert "--out FOLDER" in shown


def test_the_help_is_the_same_at_any_width(capsys, monkeypatch):
    """Only the breaks of lines differ: nothing is cut, nothing is split."""
    for command in ("lm_bandit --data movie-reviews", "mdp learn"):
        words = [
            "".join(help_of(command, capsys, monkeypatch, width).split())
            for width in (60, 80, 200)
        ]
        assert words[0] == words[1] == words[2]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("lm_bandit", MainCommand),
        ("lm_bandit compare", CompareCommand),
        ("lm_bandit label", LabelCommand),
        ("lm_bandit --data movie-reviews", RealTextCommand),
        ("mdp learn", Learn),
    ],
)
def test_the_ten_common_flags_come_first(line, command, capsys, monkeypatch):
    shown = help_of(line, capsys, monkeypatch)
    flags = [name for name in flags_in(shown) if name.startswith("--")]
    assert tuple(flags[:10]) == command.common
    assert len(flags) > 10


def test_names_are_listed_where_a_flag_takes_them(capsys, monkeypatch):
    compare = flags_in(help_of("policy_gradient compare", capsys, monkeypatch))
    algorithms = (*ALGORITHMS, REFERENCE)
    numbers = {
        name
        for config in ALGORITHMS.values()
        for name, x in vars(config).items()
        if type(x) is float
    }
    lab = flags_in(help_of("lm_bandit lab", capsys, monkeypatch))
    assert "core-and-prepped" in "".join(lab["[NAME]"].split())
    methods = flags_in(help_of("lm_bandit compare", capsys, monkeypatch))["--methods"]
    for text, names in (
        (methods, [name.replace(" ", "_") for name in METHODS]),
        (compare["--worlds"], WORLDS),
        (compare["--algorithms"], algorithms),
        (compare["--sweep"], numbers),
        (lab["[NAME]"], EXPERIMENTS),
        *(
            (flags_in(help_of(f"mdp {x}", capsys, monkeypatch))["WORLD"], WORLDS)
            for x in ("solve", "learn")
        ),
    ):
        listed = text.rpartition("Names:")[2].strip().rstrip(".")
        assert set("".join(listed.split()).split(",")) == set(names)
