"""The process in which submissions run: it computes answers, and another one judges.

    python -m tests.exercises.isolation.submission FD     the exercise on standard input

It imports the packages with an empty function in the place of the exercised one; the
book's own is not in them (see masked.py). For each submission it makes a copy of
itself, which is faster than a new process, and ends the copy with all that the
submission has started. The copy answers what guard.py asks. It does not know what a
right answer is, so that it has nothing to give away.
"""

import faulthandler
import os
import pickle
import select
import shutil
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.exercises import trial
from tests.exercises.isolation import sandbox
from tests.exercises.isolation.channel import Channel, Ended, foreign
from tests.exercises.judge import Answer, Judge, Listener
from tests.exercises.sources import Candidate, stub

STATUS = struct.Struct("!i")
MOST_PROCESSES = 32  # of a submission, which may start none; more are ended at once
LONGEST = 20_000  # letters of a message
READY, END = b"r", b"e"


def main() -> None:
    """Wait for submissions, one after another, until the judge goes."""
    sandbox.hide()
    exercise = pickle.load(sys.stdin.buffer)
    control = socket.socket(fileno=int(sys.argv[1]))
    runner = Runner(exercise, stub(exercise), lambda _: None)
    runner.settle()
    import pytest  # noqa: F401  each copy needs it

    control.sendall(READY)
    while True:
        message, fds, *_ = socket.recv_fds(control, 1, 3)
        if not message:
            return
        child = os.fork()
        if not child:
            control.close()
            _be_a_copy(runner, fds)
        for fd in fds:
            os.close(fd)
        _watch(control, child)
        status = sandbox.end_all(child)
        _empty(Path(os.environ["TMPDIR"]))
        control.sendall(STATUS.pack(status))


class Runner(Judge):
    """Does what the judge asks; its findings are messages."""

    def serve(self, channel: Channel, stack: Any) -> None:
        """Answer until the judge goes; `stack` takes the lines of a timeout."""
        tasks: dict[str, Callable] = {
            "put": self._put,
            "answer": self._answer_to,
            "tests": self._run_tests,
            "trial": self._try,
        }
        self.write = lambda finding: channel.send(("found", finding))
        while True:
            task, seconds, *details = channel.receive()
            # This also ends a loop inside compiled code, where no signal is heard.
            faulthandler.dump_traceback_later(seconds, exit=True, file=stack)
            answer = tasks[task](*details)
            faulthandler.cancel_dump_traceback_later()
            try:
                channel.send((task, answer))
            except Ended:
                raise
            except Exception:  # it cannot be sent, and so it is not a right answer
                channel.send((task, (foreign(type(answer[0]).__name__), *answer[1:])))

    def find(self, what: str, **details: Any) -> None:
        """Send a finding, with no more than a screen or two of text."""
        for name, value in details.items():
            details[name] = value[:LONGEST] if isinstance(value, str) else value
        super().find(what, **details)

    def _put(self, candidate: Candidate) -> dict | None:
        """Put a candidate in the place; return the exception of its file, if any."""
        self.own = candidate
        try:
            self.splice.put(candidate)
        except BaseException as error:
            return self.raised(error)
        return None

    def _answer_to(self, inputs: dict) -> tuple:
        try:
            return tuple(self._answer(self.own, inputs))
        except BaseException as error:  # such as KeyboardInterrupt and SystemExit
            return tuple(Answer(error=self.raised(error)))

    def _run_tests(self) -> None:
        self.run_tests(Listener(self), "--maxfail=1")

    def _try(self, test: str) -> None:
        trial.run(self, test, Path(tempfile.mkdtemp()))


def _be_a_copy(runner: Runner, fds: list[int]) -> NoReturn:
    """Serve with limits and without output, and then end at once."""
    try:
        os.setsid()
        sandbox.limit()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(nothing, stream)
        sandbox.refuse()
        reader, writer, stack = fds
        channel = Channel(reader, writer, is_trusted=True)
        with os.fdopen(stack, "w") as file:
            channel.send(READY)
            os.dup2(nothing, 2)
            runner.serve(channel, file)
    except Ended:
        pass
    except BaseException:  # an error of ours; those of submissions are caught before
        traceback.print_exc()
    finally:
        os._exit(0)


def _watch(control: socket.socket, child: int) -> None:
    """Wait until the judge ends the visit; end the copy if it has many processes."""
    while not select.select([control], [], [], 0.2)[0]:
        if len(sandbox.descendants()) > MOST_PROCESSES:
            sandbox.kill_all(child)
    control.recv(1)


def _empty(folder: Path) -> None:
    """Empty a folder, so that one submission leaves nothing for the next."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
