"""Command lines out of config dataclasses, with errors of one line.

`tyro` reads the fields, their types, defaults and comments, so that no flag is written
twice. Its error boxes are folded into one line: what, where, expected, got.
"""

import contextlib
import io
import sys
from typing import TypeVar

import tyro

Config = TypeVar("Config")


def parse(config: type[Config], program: str, description: str) -> Config:
    """The config that the command line asks for; on a bad flag, one line and exit 2."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(config, prog=program, description=description)
    except SystemExit as stop:
        if stop.code:
            refuse(_one_line(errors.getvalue()))
        raise


def refuse(message: str) -> None:
    """Say what is wrong in one line, and end with exit code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _one_line(box: str) -> str:
    lines = [line.strip("│╭╰╮╯─ ") for line in box.splitlines()[1:]]
    told = [line for line in lines if line and not line.startswith("For full helptext")]
    return " ".join(told) + " (--help lists the flags)"
