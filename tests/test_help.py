"""Help, and the line about a mistake, wait for no library that is needed later."""

import subprocess
import sys

import pytest

COMMANDS = (
    *("mdp", "mdp solve", "mdp learn", "policy_gradient", "policy_gradient compare"),
    *("lm_bandit", "lm_bandit ask", "lm_bandit compare", "lm_bandit lab"),
    *("lm_bandit label", "lm_bandit --data movie-reviews"),
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


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_a_mistake_do_not_wait_for_slow_imports(command):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(SLOW), *command.split()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("error: ")
