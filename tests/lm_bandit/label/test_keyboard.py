"""Your commands: a key at a terminal needs no new line."""

import os
import pty
import termios
import threading

from lm_bandit.label import typed_commands


def test_keys_at_a_terminal_need_no_new_line():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        pressed = typed_commands(terminal)
        for key in "au":
            # The new line comes late: waiting for it would read more than the key.
            threading.Timer(0.1, os.write, (ours, key.encode())).start()
            late = threading.Timer(1.0, os.write, (ours, b"\n"))
            late.start()
            assert next(pressed) == key
            assert late.is_alive()
            late.cancel()
        before = termios.tcgetattr(terminal)
        assert before[3] & termios.ICANON  # the terminal is as it was
        threading.Timer(0.1, os.write, (ours, b"\x04")).start()
        assert list(pressed) == []
    os.close(ours)


def test_lines_of_a_file_are_commands(tmp_path):
    (tmp_path / "commands").write_text("a\nquit\n")
    with (tmp_path / "commands").open() as commands:
        assert list(typed_commands(commands)) == ["a\n", "quit\n"]
