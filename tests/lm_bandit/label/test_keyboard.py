"""Your commands: a key at a terminal needs no new line."""

import os
import pty
import sys
import termios
import threading

import pytest

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


@pytest.mark.parametrize(
    ("sent", "command"),
    [
        (b"\x1b[A", "<up>"),  # its last character is an answer, in capitals
        (b"\x1b[B", "<down>"),
        (b"\x1bOP", "<f1>"),
        (b"\x1b[15~", "<f5>"),
        (b"\x1b", "<escape>"),
        (b"\t", "<c-i>"),
        (b"bbb", "<several keys>"),
        (b"\x1b[200~a\x1b[201~", "<bracketed-paste>"),
        (b"\x1b[M !!", "<vt100-mouse-event>"),
        (b"\x1b[<0;3;4M", "<vt100-mouse-event>"),
        (b"b", "b"),
        ("ü".encode(), "ü"),
    ],
)
def test_only_a_key_that_writes_a_character_is_a_command(sent, command):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        pressed = typed_commands(terminal)
        threading.Timer(0.05, os.write, (ours, sent)).start()
        assert next(pressed) == command
        threading.Timer(0.05, os.write, (ours, b"\x03")).start()
        with pytest.raises(KeyboardInterrupt):
            next(pressed)
    os.close(ours)


def test_a_closed_input_costs_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # as in `python -m lm_bandit label <&-`
    with pytest.raises(ValueError, match="standard input, which is closed"):
        next(typed_commands())


def test_lines_of_a_file_are_commands(tmp_path):
    (tmp_path / "commands").write_text("a\nquit\n")
    with (tmp_path / "commands").open() as commands:
        assert list(typed_commands(commands)) == ["a\n", "quit\n"]
