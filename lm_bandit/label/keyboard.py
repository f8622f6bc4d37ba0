"""The commands of an annotator: keys at a terminal, or lines from a pipe.

A command is one key. An arrow or function key is no command, although the terminal
sends it as a row of characters; nor is pasted text, which comes as many keys at once.
The library prompt_toolkit knows what each terminal sends.
"""

import select
import sys
from collections.abc import Iterator
from typing import TextIO

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyPress

ESCAPE_SECONDS = 0.05  # after this, an escape character is the key and no sequence


def typed_commands(source: TextIO | None = None) -> Iterator[str]:
    """Yield each key pressed, if the source is a terminal; otherwise each line.

    A key that writes no character is yielded by its name, such as `<up>`, and several
    keys at once as `<several keys>`. Raises ValueError if there is no source.
    """
    source = sys.stdin if source is None else source
    if source is None or source.closed:
        raise ValueError("answers are read from standard input, which is closed")
    if not source.isatty():
        yield from source
        return
    keyboard = create_input(source)
    while True:
        # Only while a key is awaited: Ctrl-C then comes as a key, too.
        with keyboard.raw_mode():
            pressed = _wait_for_keys(keyboard)
        names = [str(getattr(press.key, "value", press.key)) for press in pressed]
        if "c-c" in names:
            raise KeyboardInterrupt
        if not names or "c-d" in names:
            return
        yield _command(names)


def _wait_for_keys(keyboard: Input) -> list[KeyPress]:
    """Return the keys that arrive together; none once the terminal is closed."""
    pressed: list[KeyPress] = []
    patience = None  # seconds; for the first key, as long as it takes
    while not keyboard.closed and select.select([keyboard], [], [], patience)[0]:
        pressed += keyboard.read_keys()
        patience = ESCAPE_SECONDS
    return pressed + keyboard.flush_keys()


def _command(names: list[str]) -> str:
    """Return the character of a key, or in angle brackets what it was instead."""
    if len(names) > 1:
        return "<several keys>"
    return names[0] if len(names[0]) == 1 else f"<{names[0].strip('<>')}>"
