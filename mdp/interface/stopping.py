"""Ctrl-C and the other signals that end a program: one line that says what was kept.

    if __name__ == "__main__":
        stopping.watch()      # first, because the imports below it take seconds

A thread waits for the signals and ends the program. So it does not matter whether the
program is importing, compiling or computing at that moment, and nothing can swallow the
signal. Files need no care, because they are written whole (`files.py`).

Source: IEEE Std 1003.1 (POSIX), signals; 128 + number is the shell's exit status.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

try:
    import termios
except ImportError:  # this system has no such terminals
    termios = None  # type: ignore[assignment]

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class _Told:
    """The sentence to say when the program is stopped; a command may change it."""

    say: Callable[[], str] = staticmethod(lambda: "Stopped; nothing was written.")


def tell(say: Callable[[], str]) -> None:
    """Set the function that returns the one line for a stopped program."""
    _Told.say = staticmethod(say)


def watch() -> None:
    """End this program with one line at Ctrl-C, SIGTERM or SIGHUP, from now on."""
    if os.name != "posix":  # there Ctrl-C is a KeyboardInterrupt
        return
    terminal = None
    if termios is not None and sys.stdin is not None and sys.stdin.isatty():
        terminal = termios.tcgetattr(sys.stdin)
    signals, arrive = os.pipe()
    os.set_blocking(arrive, False)
    signal.set_wakeup_fd(arrive, warn_on_full_buffer=False)
    for name in SIGNALS:
        number = getattr(signal, name, None)
        # One that is ignored stays so: `nohup` and shells ask for that.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    Thread(target=_wait, args=(signals, terminal), daemon=True).start()


def end(reason: str, status: int) -> None:
    """End the program at once, with one line: the reason, and what was kept."""
    said = _Told.say
    tell(lambda: f"{reason} {said()}")
    _end(status)


def end_with_parent() -> None:
    """End this process, from now on, when the one that started it has ended."""
    # Only here, so that `watch` does not wait for this import.
    from multiprocessing import parent_process

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def printable(text: str) -> str:
    r"""Return the text with everything escaped that is no character on paper.

    A new line stays; a tab becomes `\t`, an escape sequence begins with `\x1b`.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text
    )


def _wait(signals: int, terminal: list | None) -> None:
    """Wait for a signal, then restore the terminal, say the line, and end."""
    number = os.read(signals, 1)[0]
    _end(128 + number, terminal)


def _end(status: int, terminal: list | None = None) -> None:
    """Restore the terminal, say the line, and end the program, whatever it does."""
    # A full pipe or a held lock must not keep the program alive.
    for last in (sys.stdout.flush, lambda: _restore(terminal), _say):
        thread = Thread(target=_try, args=(last,), daemon=True)
        thread.start()
        thread.join(1.0)
    os._exit(status)


def _try(last: Callable[[], None]) -> None:
    with suppress(OSError, ValueError):  # the terminal or the pipe may be gone
        last()


def _restore(terminal: list | None) -> None:
    if terminal is not None:
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, terminal)
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # the cursor, which bars hide


def _say() -> None:
    line = printable(" ".join(_Told.say().split()))
    os.write(2, f"{line}\n".encode(errors="replace"))
