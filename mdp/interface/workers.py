"""Executors for jobs: processes of this machine, and the workers of a Dask cluster.

    with WorkersConfig(workers=2).executor() as executor:
        Runner(executor).run_all(jobs)

A killed process costs its job once more and nothing else: here it is replaced, and on a
cluster Dask's scheduler hands the job to another worker. Ctrl-C ends the processes of
this machine; the cluster's drop the jobs of a command that is gone.
"""

import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread, local
from typing import Any

from mdp.checks import CheckedConfig
from mdp.interface import jobs, stopping

SECONDS = 0.2  # between two looks at what a process tells
ANSWER_SECONDS = 15.0  # that a cluster may take for an answer
TRIES = 2  # of a job whose process ends


@dataclass(frozen=True)
class WorkersConfig(CheckedConfig):
    """The choice of who makes the runs of a command; it changes no result."""

    # Processes of this machine that share the runs; by default all are made in one.
    workers: int | None = None
    # Address of a Dask scheduler whose workers share the runs, such as
    # tcp://10.0.0.1:8786; it needs the extra [cluster].
    cluster: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        if self.workers is not None and self.cluster is not None:
            raise ValueError(
                f"expected workers or cluster, got both {self.workers} and "
                f"{self.cluster}"
            )

    @contextmanager
    def executor(self, threads: int = 1) -> Iterator[Executor | None]:
        """Yield the executor of the runs; None is this thread.

        Raises ValueError where the cluster does not answer, or has other versions.

        Args:
            threads: of this process, if no other ones are asked for.
        """
        made: Executor | None = None
        if self.workers is not None:
            made = LocalWorkers(self.workers)
        elif self.cluster is not None:
            made = Cluster(self.cluster)
        elif threads > 1:
            made = ThreadPoolExecutor(threads)
        try:
            yield made
        finally:
            if made is not None:
                made.shutdown(wait=False, cancel_futures=True)


class LocalWorkers(Executor):
    """Processes of this machine, each with a thread that waits for it."""

    def __init__(self, count: int) -> None:
        """Prepare so many processes; each starts with its first job."""
        self.threads = ThreadPoolExecutor(count)
        self.own = local()  # the process of each thread
        self.processes: set[int] = set()
        self.closed = False
        _start_tracker()

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future:
        """Call a function in the next process that is free."""
        return self.threads.submit(self._call, partial(function, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes; without `wait` also those that are at work."""
        self.closed = not wait
        if self.closed:
            for process in self.processes:
                with suppress(OSError):  # it has ended
                    os.kill(process, signal.SIGTERM)
        self.threads.shutdown(wait=True, cancel_futures=cancel_futures)

    def _call(self, call: Callable[[], Any]) -> Any:
        """Call in this thread's process; if it ends, once more in a new one."""
        for nth in range(1, TRIES + 1):
            try:
                return self._call_once(call)
            except (BrokenExecutor, EOFError, OSError) as error:
                del self.own.pool
                if self.closed or nth == TRIES:
                    raise BrokenExecutor(str(error)) from None
        raise AssertionError

    def _call_once(self, call: Callable[[], Any]) -> Any:
        if not hasattr(self.own, "pool"):
            # Ctrl-C goes to all processes of a terminal: the first of them ends these.
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            context = get_context("spawn")  # threads of jax do not survive a fork
            self.own.heard, told = context.Pipe(duplex=False)
            self.own.pool = ProcessPoolExecutor(
                1, context, initializer=_begin, initargs=(told,)
            )
            self.processes.add(self.own.pool.submit(os.getpid).result())
            told.close()
        future = self.own.pool.submit(call)
        while not wait([future], SECONDS).done:
            while self.own.heard.poll():
                jobs.Told.tell(*self.own.heard.recv())
        return future.result()


def _start_tracker() -> None:
    """Start the process that frees semaphores after Ctrl-C; it does so silently."""
    if os.name != "posix":
        return
    from multiprocessing import resource_tracker

    sys.warnoptions.append("ignore:resource_tracker")
    resource_tracker.ensure_running()
    sys.warnoptions.pop()


def _begin(told: Connection) -> None:
    """Let this process tell through a pipe, and end with the one that started it."""
    stopping.end_with_parent()
    jobs.Told.tell = staticmethod(_seldom(lambda job, done: told.send((job, done))))


class Cluster(Executor):
    """The workers of a Dask scheduler, as many as there are at the moment."""

    def __init__(self, address: str) -> None:
        """Connect to a scheduler, and make its workers compute as this process does.

        Raises ValueError where that cannot be done.
        """
        try:
            import distributed
        except ImportError:
            raise ValueError(
                "--cluster needs distributed: pip install 'bellman-to-rlhf[cluster]'"
            ) from None
        # An error is one line, and it is told here.
        for name in [x for x in logging.root.manager.loggerDict if x[:4] == "dist"]:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.address, self.topic = address, uuid.uuid4().hex
        self.answered = time.monotonic()
        with self._answering():
            self.client = _soon(
                partial(
                    distributed.Client,
                    address,
                    timeout=ANSWER_SECONDS,
                    set_as_default=False,
                )
            )
            self.dask = self.client.get_executor()
            self.client.subscribe_topic(self.topic, _hear)
        with self._answering():
            self.client.wait_for_workers(1, timeout=ANSWER_SECONDS)
        self._prepare()

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future:
        """Call a function in a worker that the scheduler chooses."""
        call = partial(function, *args, **kwargs)
        return self.dask.submit(_call_there, self.topic, call)

    def require_alive(self) -> None:
        """Raise ValueError if the scheduler or all workers are gone for a while."""
        now = time.monotonic()
        if now - self.answered < ANSWER_SECONDS / 3:
            return
        with self._answering():
            scheduler: Any = self.client.scheduler
            identity = self.client.sync(
                scheduler.identity, callback_timeout=ANSWER_SECONDS
            )
            if not identity["workers"]:
                self.client.wait_for_workers(1, timeout=ANSWER_SECONDS)
        self.answered = time.monotonic()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which drops what this command has asked for."""
        self.client.close(timeout=1)

    def _prepare(self) -> None:
        """Restart workers whose jax has other settings; refuse other versions."""
        given = jobs.settings()
        with self._answering():
            refused = _refusals(self.client, given)
            if any("restart it" in why for why in refused.values()):
                with suppress(ValueError):  # no nanny restarts it
                    self.client.restart_workers([*refused], timeout=ANSWER_SECONDS)
                refused = _refusals(self.client, given)
        for worker, why in refused.items():
            raise ValueError(f"cluster {self.address}, {worker}: {why}")

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Make an error of the connection a ValueError that names the cluster."""
        try:
            yield
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"cluster must be the address of a Dask scheduler with workers, got no "
                f"answer from {self.address} ({type(error).__name__}: {error})"
            ) from None


def _soon(make: Callable[[], Any]) -> Any:
    """Return what `make` returns, or raise TimeoutError.

    A server of another kind lets Dask wait for longer than it was told.
    """
    made: Future[Any] = Future()

    def try_it() -> None:
        try:
            made.set_result(make())
        except Exception as error:
            made.set_exception(error)

    Thread(target=try_it, daemon=True).start()
    return made.result(timeout=1.5 * ANSWER_SECONDS)


def _refusals(client: Any, given: Mapping[str, Any]) -> dict[str, str]:
    """Return what each worker complains of that cannot adopt these settings."""
    answers = client.run(_complaint, given, on_error="return")
    return {worker: str(why) for worker, why in answers.items() if why is not None}


def _complaint(given: Mapping[str, Any]) -> str | None:
    try:
        jobs.adopt(given)
    except ValueError as error:
        return str(error)
    return None


def _call_there(topic: str, call: Callable[[], Any]) -> Any:
    """Call a function in a worker of Dask, whose news go through its scheduler."""
    from distributed import get_worker

    log = partial(get_worker().log_event, topic)
    jobs.Told.tell = staticmethod(_seldom(lambda job, done: log([job, done])))
    return call()


def _hear(event: tuple[float, tuple[str, float]]) -> None:
    """Pass on what a worker of Dask has told, without its time."""
    jobs.Told.tell(*event[1])


def _seldom(tell: Callable[[str, float], None]) -> Callable[[str, float], None]:
    """Return a function that tells each beginning, and else only now and then."""
    last = 0.0

    def tell_now_and_then(job: str, done: float) -> None:
        nonlocal last
        if done == 0.0 or time.monotonic() - last > SECONDS:
            last = time.monotonic()
            tell(job, done)

    return tell_now_and_then
