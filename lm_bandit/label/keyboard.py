"""The commands of an annotator: keys at a terminal, or lines from a pipe."""

import sys
from collections.abc import Iterator
from typing import TextIO

try:
    import termios
    import tty
except ImportError:  # this system has no such terminals: lines are read instead
    termios = None  # type: ignore[assignment]


def typed_commands(source: TextIO | None = None) -> Iterator[str]:
    """Yield each key pressed, if the source is a terminal; otherwise each line."""
    source = sys.stdin if source is None else source
    if termios is None or not source.isatty():
        yield from source
        return
    before = termios.tcgetattr(source)
    while True:
        try:
            tty.setcbreak(source)  # keys arrive at once, and Ctrl-C still stops
            key = source.read(1)
        finally:
            termios.tcsetattr(source, termios.TCSADRAIN, before)
        if key in ("", "\x04"):  # Ctrl-D
            return
        yield key
