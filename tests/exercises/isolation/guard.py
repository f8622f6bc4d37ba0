"""Judge a submission that runs in another process, apart from this one.

This process has the book's own function and the right answers. The other one has the
submission; see submission.py. For every case it gets the inputs and sends its answer,
and the answers are compared here. So a submission that takes over its process can hide
what the unit tests find there, but it cannot pass without right answers.
"""

import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tests.exercises import same
from tests.exercises.isolation import sandbox
from tests.exercises.isolation.channel import Channel, Ended, Garbled, foreign
from tests.exercises.isolation.masked import copy_without
from tests.exercises.isolation.submission import END, LONGEST, READY, STATUS
from tests.exercises.judge import Answer, Judge
from tests.exercises.manifest import OUTSIDE, Diagnosis, Exercise
from tests.exercises.sources import Candidate, reference

PATIENCE = 5.0  # seconds beyond the time limit, for a process that hangs
START = 300.0  # seconds for the packages to be imported, on a busy machine
# The kinds of findings that the other process may send, and the names of their texts.
FOUND = {"testing", "failed", "exception", "broken", "raised", "ran", "called"}
TEXTS = ("test", "message", "doc", "kind", "inputs", "outcome")
MOST_FINDINGS = 10_000
FORGES = (
    "No mark: your code sends messages to the judge, which only the check may do. A "
    "function returns its result."
)
ENDS = "Your code ends Python itself, as os._exit does. A function returns its result."
CRASHES = "Your code makes Python crash, or takes too much memory or too many processes"


class Host:
    """The process that makes a copy of itself for every submission."""

    def __init__(self, exercise: Exercise | Diagnosis, may_write: bool = False):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        book, scratch = (Path(self.folder.name, name) for name in ("book", "scratch"))
        scratch.mkdir()
        copy_without(exercise, book)
        self.control, theirs = socket.socketpair()
        program = ["-m", "tests.exercises.isolation.submission", str(theirs.fileno())]
        self.errors = Path(self.folder.name, "errors")
        with self.errors.open("w") as errors, theirs:
            self.process = subprocess.Popen(
                sandbox.isolated(program, book, may_write),
                cwd=book,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=sandbox.environment(scratch),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        pipe = self.process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError), pipe:
            pickle.dump(_without_secrets(exercise), pipe)
        self.is_ready = False

    def wait(self) -> None:
        """Wait until it can make copies."""
        if not self.is_ready:
            self.control.settimeout(START)
            self.is_ready = self.control.recv(1) == READY
        if not self.is_ready:
            reason = self.last_error()
            self.close()
            raise RuntimeError(f"the process cannot start: {reason}")

    def last_error(self) -> str:
        """The last line that the process has written on its errors."""
        said = self.errors.read_text(errors="replace").strip().splitlines()
        return said[-1] if said else "no reason given"

    def visit(self, stack: BinaryIO) -> Channel:
        """Return the channel to a new copy; `stack` takes the lines of a timeout."""
        their_reader, writer = os.pipe()
        reader, their_writer = os.pipe()
        theirs = [their_reader, their_writer, stack.fileno()]
        try:
            socket.send_fds(self.control, [READY], theirs)
        finally:
            os.close(their_reader)
            os.close(their_writer)
        return Channel(reader, writer, is_trusted=False)

    def end_visit(self) -> int | None:
        """End the copy, and all that it started; return how it ended, if known."""
        try:
            self.control.settimeout(PATIENCE)
            self.control.sendall(END)
            return STATUS.unpack(self.control.recv(STATUS.size))[0]
        except (OSError, struct.error):
            self.close()
            return None

    @property
    def is_alive(self) -> bool:
        """Whether it can make another copy."""
        return self.process.poll() is None

    def close(self) -> None:
        """End everything, and delete the files."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()


class Guard(Judge):
    """Judges one submission after another, each in a process of its own."""

    def __init__(self, exercise: Exercise | Diagnosis, may_write: bool = False):
        super().__init__(exercise, reference(exercise), lambda _: None)
        self.may_write, self.is_settled = may_write, False
        self.host: Host | None = None
        self.channel: Channel | None = None
        self.left = 0.0  # seconds that the present submission still has
        self.used = 0.0  # seconds that it has taken

    def judge(
        self,
        candidate: Candidate,
        seeds: list[int],
        test: str,
        time_limit: float,
        folder: Path,
        write: Callable[[dict], None],
    ) -> None:
        """Judge a candidate, or a learner's `test` with it."""
        self.own, self.found, self.write = candidate, set(), write
        self.left, self.used = time_limit, 0.0
        self._host()  # it imports the packages while this process does
        if seeds and not test and not self.is_settled:
            self.settle()
            self.is_settled = True
        self.stack = folder / "stack"
        try:
            self._visit()
            if raised := self.ask("put", candidate):
                self.find("exception", **_raised(raised), inputs="")
            elif test:
                self.ask("trial", test)
            else:
                self.examine(seeds)
            self._leave()
            self.find("time", seconds=self.used)
            self.find("done")
        except Garbled:
            self._leave()
            self.find("ended", message=FORGES)
        except Ended:
            self._find_end(self._leave())
        except Exception:
            self._leave()
            if "difference" not in self.found:
                raise
            self.find("done")  # it is wrong; only the search for a reason failed

    def ask(self, task: str, *details: Any) -> Any:
        """Return the submission's answer to a task; write down what it finds."""
        start = time.monotonic()
        end = start + self.left + PATIENCE
        try:
            self.channel.send((task, self.left, *details), end - start)
            for _ in range(MOST_FINDINGS):
                match self.channel.receive(end - time.monotonic()):
                    case ("found", {"what": str(what), **details}) if what in FOUND:
                        self.find(what, **_described(details))
                    case (str(done), answer) if done == task:
                        return answer
                    case _:
                        raise Garbled
            raise Garbled
        finally:
            seconds = time.monotonic() - start
            self.used += seconds
            self.left = max(0.01, self.left - seconds)

    def run_tests(self, plugin: object, *options: str) -> None:
        """Let the submission run the unit tests on itself."""
        self.ask("tests")

    def close(self) -> None:
        """End the process of the submissions."""
        if self.host:
            self.host.close()
            self.host = None

    def _answer(self, candidate: Candidate, inputs: dict[str, Any]) -> Answer:
        """Return an answer: the submission's own comes from its process."""
        if candidate is not self.own:
            return super()._answer(candidate, inputs)
        match self.ask("answer", inputs):
            case (output, None, None | str() as changed, str(printed)):
                if not same.is_small(output):
                    output = foreign(type(output).__name__)
                return Answer(output, None, changed, printed[:LONGEST])
            case (_, dict(error), _, _):
                return Answer(error=_raised(error))
        raise Garbled

    def _visit(self) -> None:
        """Let the host make a copy of itself for this submission."""
        with self.stack.open("wb", buffering=0) as stack:
            for _ in range(2):
                host = self._host()
                host.wait()
                try:
                    self.channel = host.visit(stack)
                    if self.channel.receive(START) == READY:
                        return
                except (OSError, Ended):  # the last submission may have killed it
                    reason = host.last_error()
                    self.close()
        raise RuntimeError(f"a copy of the process cannot start: {reason}")

    def _host(self) -> Host:
        """The process that makes copies of itself; a new one if the last is dead."""
        if self.host is None or not self.host.is_alive:
            self.close()
            self.host = Host(self.exercise, self.may_write)
        return self.host

    def _leave(self) -> int | None:
        """End what is left of a submission; return how it ended, if that is known."""
        if self.channel:
            self.channel.close()
            self.channel = None
        for key in [key for key in self._answers if key[0] is self.own]:
            del self._answers[key]
        return self.host.end_visit() if self.host else None

    def _find_end(self, status: int | None) -> None:
        """Write down why a submission ended before it was done."""
        if "Timeout" in self.stack.read_text(errors="replace")[:LONGEST]:
            return  # `check.judge` reports that the time was over
        if self.left <= 0.01:
            self.find("late")
        elif status is not None and os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            self.find("ended", message=f"{CRASHES} ({name}).")
        else:
            self.find("ended", message=ENDS)


def _without_secrets(exercise: Exercise | Diagnosis) -> Exercise | Diagnosis:
    """The exercise for the other process, without anything that tells the answer."""
    exercise = exercise._replace(home=OUTSIDE if exercise.home else "")
    if isinstance(exercise, Diagnosis):
        nothing = exercise.trap._replace(replace="", by="", body="", says="")
        return exercise._replace(
            trap=nothing, variants=(), hints=(), faults=(), fault="", solution=""
        )
    return exercise._replace(traps=(), variants=(), hints=())


def _described(details: dict) -> dict:
    """The parts of a submission's finding, each with the type that it must have."""
    texts = {name: str(details.get(name, ""))[:LONGEST] for name in TEXTS}
    times = details.get("times", 0)
    number = times if isinstance(times, int) else 0
    return {**texts, "lines": _lines(details.get("lines")), "times": number}


def _raised(error: Any) -> dict:
    """The exception that a submission reports."""
    details = _described(error if isinstance(error, dict) else {})
    return {name: details[name] for name in ("kind", "message", "lines")}


def _lines(lines: Any) -> list[dict]:
    """Numbered lines of a file."""
    found = []
    for line in lines if isinstance(lines, list) else ():
        match line:
            case {"number": int(number), "text": str(text)}:
                found.append({"number": number, "text": text[:LONGEST]})
    return found
