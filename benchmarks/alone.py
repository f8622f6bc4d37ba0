"""One measurement in a process of its own, with a limit on its time.

A process that has computed something else before has compiled programs, and memory that
it did not give back. Here each measurement starts from nothing. A process that takes
too long, or that dies, costs its own numbers and no others.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

# A run is repeated for REPEAT_SECONDS, and at least twice unless it takes longer than
# LONG_SECONDS; the fastest repetition counts.
REPEAT_SECONDS, LONG_SECONDS = 0.3, 4.0

# A function that returns the work to be timed; the work returns its amount, such as a
# number of tokens.
Prepare = Callable[[], Callable[[], float]]


@dataclass(frozen=True)
class Measured:
    """The numbers of one piece of work, or the reason why there are none."""

    problem: str | None = None
    seconds: float | None = None  # of the fastest run
    first: float | None = None  # seconds of the first run, which compiles
    amount: float | None = None  # of work in a run
    before_gb: float | None = None  # memory of the process before it prepares the work
    peak_gb: float | None = None  # its largest memory at any time
    device_peak_gb: float | None = None  # on the card, where there is one
    devices: str = ""


def measure(
    prepare: Prepare, limit: float, environment: Mapping[str, str] | None = None
) -> Measured:
    """Return the time and the memory of a piece of work.

    Args:
        prepare: is called in the process, and not timed.
        limit: seconds that the process may take, from its start to its numbers.
        environment: variables of the process; those that jax reads when it first
            computes, such as XLA_FLAGS, and not at its import.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    worker = context.Process(
        target=_serve, args=(there, prepare, environment or {}), daemon=True
    )
    worker.start()
    there.close()
    try:
        found = here.recv() if here.poll(limit) else f"took more than {limit:.3g} s"
    except EOFError:
        found = "its process ended: is there enough memory?"
    worker.kill()
    worker.join()
    return Measured(found) if isinstance(found, str) else found


def _serve(pipe: Connection, prepare: Prepare, environment: Mapping[str, str]) -> None:
    """Measure in this process, and send the numbers or one line about the error."""
    os.environ.update(environment)
    try:
        pipe.send(_measure_here(prepare))
    except Exception as error:
        lines = str(error).splitlines() or [""]
        pipe.send(f"{type(error).__name__}: {lines[0]}")


def _measure_here(prepare: Prepare) -> Measured:
    import jax

    before = _memory("VmRSS")
    run = prepare()
    began = time.perf_counter()
    amount = run()
    first = time.perf_counter() - began
    times: list[float] = []
    while len(times) < 2 or sum(times) < REPEAT_SECONDS:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
        if times[0] > LONG_SECONDS:
            break
    devices = jax.devices()
    statistics = devices[0].memory_stats() or {}
    on_card = statistics.get("peak_bytes_in_use")
    return Measured(
        seconds=min(times),
        first=first,
        amount=amount,
        before_gb=before,
        peak_gb=_memory("VmHWM"),
        device_peak_gb=None if on_card is None else on_card / 1e9,
        devices=f"{len(devices)} x {devices[0].device_kind}",
    )


def _memory(name: str) -> float | None:
    """Return an entry of this process's status in GB, where the system has one."""
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
    except OSError:
        return None
    return int(lines[name].split()[0]) * 1024 / 1e9
