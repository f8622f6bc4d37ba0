"""Command lines out of dataclasses; a mistake costs one line.

    def main(args=None):
        return run(Solve | Learn, args, "python -m mdp", "Finite MDPs.")

The flags are the fields of a dataclass, and its method `run` is the command.
"""

import contextlib
import io
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, get_args

import tyro
from rich.console import Console
from rich.text import Text

from mdp.interface.help import COLUMNS, arranged_help
from mdp.interface.stopping import printable

LONGEST_LINE = 800  # characters of a message; what people typed can be longer


class Terminal(Console):
    """The console of all commands: a text is data, and is shown as it is.

    Square brackets are no markup, and control characters are escaped, so that no text
    from a file, a prompt or a name can change colours, move the cursor or hide a line.
    """

    def __init__(self, **settings: Any):
        """Prepare a console; the settings are those of `rich.console.Console`."""
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text to show; rich calls this for messages and table cells."""
        return super().render_str(printable(text), **options)


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
            raise ValueError(f"--out must be a folder, got the file {out}")
        command.run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes at its end, and must not complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as rich does
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        # Readers raise ValueError, so this is a file that could not be written.
        place = f" {error.filename}" if error.filename else ""
        return _refuse(f"cannot write{place}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return _refuse(f"there is too little memory for these numbers: {error}")
    return 0


def name_files(console: Terminal, paths: Iterable[Path]) -> None:
    """Print the path of each file that was written."""
    for path in paths:
        console.print(f"wrote {path}")


def _parse(
    commands: Any, args: Sequence[str] | None, prog: str, description: str
) -> Any:
    """Return the command; tyro's message about a wrong one becomes one line."""
    args = sys.argv[1:] if args is None else args
    message, shown = io.StringIO(), _Page()
    width = shutil.get_terminal_size().columns
    try:
        with (
            contextlib.redirect_stderr(message),
            contextlib.redirect_stdout(shown),
            _columns(COLUMNS),
        ):
            return tyro.cli(commands, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:
            of_name = {each.__name__.lower(): each for each in get_args(commands)}
            command = of_name.get(args[0], commands)
            print(arranged_help(shown.getvalue(), command, width))
            raise
        text = message.getvalue()
        similar = text.partition("Perhaps you meant")[2]
        nearest = re.findall(r"^[ │]*(--[a-z][\w.-]*)", similar, re.MULTILINE)
        hint = f" (did you mean {' or '.join(nearest[:2])}?)" if nearest else ""
        raise ValueError(_first_paragraph(text) + hint) from None


@contextlib.contextmanager
def _columns(width: int) -> Iterator[None]:
    """Let the terminal seem this wide, for functions that ask for its size."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


class _Page(io.StringIO):
    """A text in memory that tyro fills with the boxes that `help.py` takes apart."""

    encoding = "utf-8"


def _first_paragraph(message: str) -> str:
    """Return tyro's text between the box's title and the first rule, in one line."""
    lines = [line.strip(" │╭╮╰╯") for line in message.splitlines()[1:]]

    def is_rule(line: str) -> bool:
        return not line.strip("─-")

    paragraph = takewhile(lambda line: not is_rule(line), dropwhile(is_rule, lines))
    # A config that checks itself says what is wrong; its own name adds nothing.
    return re.sub(r"^Error parsing (?!--)\S+: ", "", " ".join(paragraph))


def _refuse(message: str) -> int:
    line = printable(" ".join(message.split()))
    if len(line) > LONGEST_LINE:
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"
    print(f"error: {line}", file=sys.stderr)
    return 2
