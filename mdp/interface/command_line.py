"""What the command lines have in common: a mistake costs one line, and no file is half.

    def main(args=None):
        return run(Solve | Learn, args, prog="python -m mdp")

The flags are the fields of a dataclass, and its method `run` is the command.
"""

import contextlib
import csv
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import tyro


def run(commands: Any, args: Sequence[str] | None, prog: str, description: str) -> int:
    """Read a command and run it: 0, or 2 and one line about what cannot be done."""
    try:
        command = _parse(commands, args, prog, description)
        out = getattr(command, "out", None)
        if out is not None and out.exists() and not out.is_dir():
            raise ValueError(f"--out must be a directory, got the file {out}")
        command.run()
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"cannot write {error.filename}: {error.strerror}")
    return 0


def write_files(
    directory: Path, files: Mapping[str, Callable[[Path], object]]
) -> list[Path]:
    """Let each function write its file; all appear together, and only when complete.

    They are written to a hidden directory beside their places, and then moved.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".") as scratch:
        for name, write in files.items():
            write(Path(scratch) / name)
        for name in files:
            os.replace(Path(scratch) / name, directory / name)
    return [directory / name for name in files]


def write_csv(path: Path, rows: Iterable[Sequence]) -> None:
    """A table as comma-separated values, its header first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _parse(commands: Any, args: Sequence[str] | None, prog: str, description: str):
    """The command; tyro's message about a wrong one becomes one line."""
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message):
            return tyro.cli(commands, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(_first_paragraph(message.getvalue())) from None


def _first_paragraph(message: str) -> str:
    """What tyro says between the title of its box and the first rule, in one line."""
    lines = [line.strip(" │╭╮╰╯") for line in message.splitlines()[1:]]

    def is_rule(line: str) -> bool:
        return not line.strip("─-")

    told = takewhile(lambda line: not is_rule(line), dropwhile(is_rule, lines))
    # A config that checks itself says what is wrong; its name inside tyro adds nothing.
    return re.sub(r"^Error parsing __tyro\S*: ", "", " ".join(told))


def _refuse(why: str) -> int:
    print(f"error: {' '.join(why.split())}", file=sys.stderr)
    return 2
