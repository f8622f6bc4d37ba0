"""One training by several processes, of this machine or of many.

    python -m lm_bandit --processes 2     # starts both on this machine

    --processes 2 --coordinator HOST:PORT --process-id 0     # on the machine HOST
    --processes 2 --coordinator HOST:PORT --process-id 1     # on another one

Process 0 leads: it alone shows and writes. The others make the same calls, each with
its share of every batch, and read what is kept in the folder of the run. If one of them
ends too soon, the command ends with one line, and the same command goes on later.
"""

import ctypes
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from threading import Event, Thread, Timer
from typing import Literal

from mdp.checks import CheckedConfig, require_range
from mdp.interface import stopping

SECONDS = 30  # that processes wait for each other at the start
MOST = 2**15  # processes, and devices of each


@dataclass(frozen=True)
class ProcessesConfig(CheckedConfig):
    """The processes and devices that share every batch of a training."""

    # Processes that train one model together, each with its share of every batch.
    processes: int = 1
    # Address HOST:PORT of process 0, where each process is started by hand; by default
    # all are started here.
    coordinator: str | None = None
    # Number of this process, from 0; only with --coordinator.
    process_id: int = 0
    # Devices in each process: GPUs, or so many parts of a CPU.
    devices: int = 1
    # Parameters and the optimizer's numbers: whole on each device (replicated), or a
    # part on each (sharded), which saves memory and sends more.
    parameters: Literal["replicated", "sharded"] = "replicated"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, 1, MOST, "processes", "devices")
        require_range(self, 0, self.processes - 1, "process_id")
        if self.process_id and self.coordinator is None:
            raise ValueError("process_id needs the address of a coordinator, got none")
        host, _, port = (self.coordinator or "host:1").rpartition(":")
        if not (host and port.isdigit() and 0 < int(port) < 2**16):
            raise ValueError(f"coordinator must be HOST:PORT, got {self.coordinator}")

    @property
    def sharded(self) -> bool:
        """Whether each device holds a part of the parameters."""
        return self.parameters == "sharded"

    @contextmanager
    def joined(self, follow: Callable[["ProcessesConfig"], None]) -> Iterator[None]:
        """Train with the other processes inside; nothing may be computed before.

        An error inside ends this program with one line, and so does another process
        that does not answer, or ends too soon.

        Args:
            follow: of another process, which gets its own config; it can be pickled.
                It is called here where no coordinator is given, in new processes.
        """
        import jax

        if self.devices > 1:
            jax.config.update("jax_num_cpu_devices", self.devices)
        if self.processes == 1:
            yield
            return
        address, started = self.coordinator, list[BaseProcess]()
        if address is None:
            address = f"localhost:{_free_port()}"
            started = self._start(follow, address)
        done = Event()
        Thread(target=_watch, args=(started, done), daemon=True).start()
        try:
            # Only processes of this machine may connect to the one that started them.
            bind = address if started else None
            _join(address, self.processes, self.process_id, bind)
            yield
            jax.distributed.shutdown()
        except Exception as error:
            # Python's own end would wait for the other processes, which may be gone.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            if isinstance(error, jax.errors.JaxRuntimeError):
                reason = f"the work with the other processes broke: {reason}"
            elif not isinstance(error, ValueError):
                traceback.print_exc()
            stopping.end(f"error: {reason}.", 2)
        finally:
            done.set()

    def _start(
        self, follow: Callable[["ProcessesConfig"], None], address: str
    ) -> list[BaseProcess]:
        """Start the other processes on this machine."""
        context, started = get_context("spawn"), list[BaseProcess]()
        for number in range(1, self.processes):
            own = replace(self, coordinator=address, process_id=number)
            process = context.Process(target=_follow, args=(follow, own), daemon=True)
            process.start()
            started.append(process)
        return started


def _join(address: str, count: int, number: int, bind: str | None) -> None:
    """Connect to the other processes; end with one line where they do not answer."""
    import jax
    from jax.experimental.multihost_utils import sync_global_devices

    complaint = f"error: expected {count} processes at {address} within {SECONDS} s."
    # jax itself would end the program with a page of text.
    timer = Timer(SECONDS, stopping.end, [complaint, 2])
    timer.daemon = True
    timer.start()
    # This service would take SIGTERM, at which the program must end.
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(
        address,
        count,
        number,
        coordinator_bind_address=bind,
        initialization_timeout=2 * SECONDS,
        heartbeat_timeout_seconds=SECONDS - 10,
    )
    with _silent():
        sync_global_devices("the start")
    timer.cancel()


@contextmanager
def _silent() -> Iterator[None]:
    """Drop what is written to the standard output, also by libraries in C++."""
    sys.stdout.flush()
    before, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)
        os.dup2(before, 1)
        os.close(before)
        os.close(nowhere)


def _follow(follow: Callable[[ProcessesConfig], None], config: ProcessesConfig) -> None:
    """Train in a new process, silently, and end with the one that started it."""
    stopping.end_with_parent()
    # Ctrl-C goes to all processes of a terminal: the first of them ends these.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        follow(config)
    except ValueError:  # process 0 meets it, too, and tells of it
        sys.exit(2)


def _watch(started: list[BaseProcess], done: Event) -> None:
    """End this process with one line if one that it started ends too soon."""
    connection.wait([process.sentinel for process in started])
    time.sleep(3.0)  # an error that all processes meet is told by this one itself
    ended = [i for i, process in enumerate(started, start=1) if not process.is_alive()]
    if started and not done.is_set():
        stopping.end(f"error: process {ended[0]} of this training ended.", 2)


def _free_port() -> int:
    """Return the number of a port of this machine that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
