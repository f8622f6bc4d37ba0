"""Command lines out of dataclasses; a mistake costs one line.

    def main(args=None):
        return run(Solve | Learn, args, "python -m mdp", "Finite MDPs.")

The flags are the fields of a dataclass, and its method `run` is the command.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console


def run(commands: Any, args: Sequence[str] | None, prog: str, description: str) -> int:
    """Parse a command and run it; return 0, or 2 after one line about a mistake.

    A terminal that cannot show a sign shows a question mark. A reader who closes the
    pipe, such as `head`, ends the command, whose files are written by then.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        command = _parse(commands, args, prog, description)
        out = getattr(command, "out", None)
        if out is not None and out.exists() and not out.is_dir():
            raise ValueError(f"--out must be a directory, got the file {out}")
        command.run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes at its end, and must not complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as rich does
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"cannot write {error.filename}: {error.strerror}")
    return 0


def name_files(console: Console, paths: Iterable[Path]) -> None:
    """Print the path of each file that was written."""
    for path in paths:
        console.print(f"wrote {path}", highlight=False)


def _parse(
    commands: Any, args: Sequence[str] | None, prog: str, description: str
) -> Any:
    """Return the command; tyro's message about a wrong one becomes one line."""
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message):
            return tyro.cli(commands, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(_first_paragraph(message.getvalue())) from None


def _first_paragraph(message: str) -> str:
    """Return tyro's text between the box's title and the first rule, in one line."""
    lines = [line.strip(" │╭╮╰╯") for line in message.splitlines()[1:]]

    def is_rule(line: str) -> bool:
        return not line.strip("─-")

    paragraph = takewhile(lambda line: not is_rule(line), dropwhile(is_rule, lines))
    # A config that checks itself says what is wrong; its name inside tyro adds nothing.
    return re.sub(r"^Error parsing __tyro\S*: ", "", " ".join(paragraph))


def _refuse(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2
