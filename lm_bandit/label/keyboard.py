"""What somebody says: a key at a time at a terminal, a line at a time from a pipe."""

import sys
from collections.abc import Iterator
from typing import TextIO

try:
    import termios
    import tty
except ImportError:  # no terminals of this kind: lines, then
    termios = None


def typed_commands(source: TextIO | None = None) -> Iterator[str]:
    """Each key pressed, where the source is a terminal; otherwise each line."""
    source = sys.stdin if source is None else source
    if termios is None or not source.isatty():
        yield from source
        return
    before = termios.tcgetattr(source)
    while True:
        try:
            tty.setcbreak(source)  # keys come at once, and Ctrl-C still stops
            key = source.read(1)
        finally:
            termios.tcsetattr(source, termios.TCSADRAIN, before)
        if key in ("", "\x04"):  # Ctrl-D
            return
        yield key
