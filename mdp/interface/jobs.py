"""Many independent jobs: one after the other, or in any executor; kept one by one.

    jobs = [Job(f"seed {i}", "PPO", 1, partial(measure, i)) for i in range(8)]
    results = Runner(executor, progress).run_all(jobs)

The executor is any of `concurrent.futures`, see `workers.py` for processes of this
machine and for a cluster. The results come in the order of the jobs, whichever ends
first. Each is kept as soon as it is there, and the same command goes on from those.

A job gives the same bytes wherever it runs on processors of one kind: other processes
get this one's settings of jax, and numpy computes with one thread in every job. Another
process must have the same sources and the same versions of the packages.
"""

import os
import pickle
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
)
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

from mdp.interface.compilation import keep_compiled_programs, one_blas_thread
from mdp.interface.files import versions_and_sources
from mdp.interface.progress import Progress, Report

SECONDS_BETWEEN_CHECKS = 1.0  # whether the executor is still there
NO_PICKLE = (AttributeError, TypeError, pickle.PicklingError)
# Settings on which the digits of jax depend.
ENVIRONMENT = ("NPROC", "XLA_FLAGS", "JAX_DEFAULT_MATMUL_PRECISION")


class Job(NamedTuple):
    """A piece of work that needs no other one."""

    name: str  # under which its result is kept
    stage: str  # the progress bar that it belongs to
    steps: int  # its part of that bar
    work: Callable[[], Any]  # a `partial` of picklable things, for other processes


@dataclass(frozen=True)
class Tell:
    """A function to call in a job with its steps done; it travels with the job."""

    job: str

    def __call__(self, done: float) -> None:
        """Tell how many steps of the job are done."""
        Told.tell(self.job, done)


class Told:
    """The function that hears how far a job of this process is; at first, none does."""

    tell: Callable[[str, float], None] = staticmethod(lambda job, done: None)


class Shared:
    """A value that many jobs share: made once in each process that needs it."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        """Prepare the value make(*arguments); only these travel."""
        self.make, self.arguments, self.lock = make, arguments, Lock()
        self.made: list[Any] = []
        self.content = b""

    @property
    def value(self) -> Any:
        """The value, which the first thread that asks for it makes."""
        with self.lock:
            if not self.made:
                self.made.append(self.make(*self.arguments))
            return self.made[0]

    def __reduce__(self) -> tuple[Callable[[bytes], "Shared"], tuple[bytes]]:
        """Travel as bytes: equal ones become the same object where they arrive."""
        self.content = self.content or pickle.dumps((self.make, self.arguments))
        _ARRIVED.setdefault(self.content, self)
        return _arrived, (self.content,)


# What is shared in this process, as long as it lives.
_ARRIVED: dict[bytes, Shared] = {}


def _arrived(content: bytes) -> Shared:
    if content not in _ARRIVED:
        make, arguments = pickle.loads(content)
        _ARRIVED.clear()  # of a command that is done
        _ARRIVED[content] = Shared(make, *arguments)
    return _ARRIVED[content]


@dataclass(frozen=True)
class Runner:
    """The executor of jobs, the display of progress, and the types that are kept."""

    executor: Executor | None = None  # None: one after the other in this thread
    progress: Progress = field(default_factory=Progress)
    types: tuple[type, ...] = ()  # the named tuples that results consist of

    def run_all(self, jobs: Sequence[Job]) -> list[Any]:
        """Return the result of each job, in order; what is kept is not run again.

        Raises ValueError where a job cannot be sent to the executor, or its process
        ended twice, or the executor is gone; and whatever a job raises.
        """
        results, stages = {}, _Stages(jobs, self.progress)
        waiting = []
        for job in jobs:
            found = self.progress.run.found(job.name, self.types)
            if found is None:
                waiting.append(job)
            else:
                results[job.name], seconds = found
                stages.end(job, seconds)
        outcomes = self._outcomes(waiting, stages.tell)
        for job, (result, seconds) in outcomes:
            self.progress.run.store(job.name, result, seconds)
            results[job.name] = result
            stages.end(job)
        return [results[job.name] for job in jobs]

    def _outcomes(
        self, jobs: Sequence[Job], tell: Callable[[str, float], None]
    ) -> Iterator[tuple[Job, tuple[Any, float]]]:
        """Yield each job that ends, with its result and its seconds."""
        if self.executor is None:
            Told.tell = staticmethod(tell)
            for job in jobs:
                yield job, carry_out(_copy(job))
            return
        # Whatever is told goes through this thread: it alone shows and keeps.
        news: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        Told.tell = staticmethod(lambda job, done: news.put((job, done)))
        require_alive = getattr(self.executor, "require_alive", lambda: None)
        futures = {job.name: _submit(self.executor, job) for job in jobs}
        for job in jobs:
            futures[job.name].add_done_callback(partial(_put, news, job))
        while futures:
            try:
                about, what = news.get(timeout=SECONDS_BETWEEN_CHECKS)
            except Empty:
                require_alive()
                continue
            if isinstance(what, Future):
                del futures[about.name]
                yield about, _outcome(about, what)
            else:
                tell(about, what)


class _Stages:
    """The bar of each stage, from its first news to the end of its last job."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self.progress = progress
        self.stage_of = {job.name: job.stage for job in jobs}
        self.steps: dict[str, int] = {}  # of each stage
        self.left: dict[str, int] = {}  # jobs
        self.done: dict[str, dict[str, float]] = {}  # steps of each job
        self.earlier: dict[str, float] = {}  # seconds of what was kept
        self.reports: dict[str, Report] = {}
        self.open: dict[str, Any] = {}
        for job in jobs:
            self.steps[job.stage] = self.steps.get(job.stage, 0) + job.steps
            self.left[job.stage] = self.left.get(job.stage, 0) + 1

    def tell(self, job: str, done: float) -> None:
        """Show how many steps of a job are done; late news of others is dropped."""
        stage = self.stage_of.get(job)
        if stage is None or not self.left[stage]:
            return
        if stage not in self.open:
            self.open[stage] = self.progress.stage(stage, self.steps[stage])
            self.reports[stage] = self.open[stage].__enter__()
            self.done[stage], self.earlier[stage] = {}, 0.0
        self.done[stage][job] = done
        self.reports[stage](sum(self.done[stage].values()))

    def end(self, job: Job, earlier: float = 0.0) -> None:
        """Show that a job is done, perhaps by an earlier command in so many seconds."""
        self.tell(job.name, job.steps)
        self.left[job.stage] -= 1
        self.earlier[job.stage] += earlier
        if not self.left[job.stage]:
            self.progress.earlier = self.earlier[job.stage]
            self.open[job.stage].__exit__(None, None, None)


def carry_out(job: Job) -> tuple[Any, float]:
    """Return the result of a job, and the seconds that it took."""
    one_blas_thread()
    Told.tell(job.name, 0.0)
    started = time.perf_counter()
    result = job.work()
    return result, time.perf_counter() - started


def settings() -> dict[str, Any]:
    """Return what another process must share with this one."""
    return {
        "versions": versions_and_sources(),
        "environment": {name: os.environ.get(name) for name in ENVIRONMENT},
    }


def adopt(given: Mapping[str, Any]) -> None:
    """Take over the settings of the process that sends jobs.

    Raises ValueError where this process has other sources or other packages, or where
    it has used jax with other settings.
    """
    here = f"the worker {platform.node()}, process {os.getpid()},"
    for name, expected in given["versions"].items():
        if (got := versions_and_sources().get(name)) != expected:
            raise ValueError(f"{here} must have {name} {expected}, got {got}")
    for name, value in given["environment"].items():
        before = os.environ.get(name)
        if before != value and "jax" in sys.modules:
            raise ValueError(
                f"{here} must compute with {name}={value}, got {before}: restart it"
            )
        os.environ.pop(name, None)
        os.environ.update({} if value is None else {name: value})
    keep_compiled_programs()


def carry_out_there(given: Mapping[str, Any], content: bytes) -> tuple[Any, float]:
    """Adopt the settings, then unpack a job and carry it out; the order matters."""
    adopt(given)
    return carry_out(pickle.loads(content))


def _submit(executor: Executor, job: Job) -> Future[tuple[Any, float]]:
    """Hand a job to an executor: a copy to threads, and bytes to other processes."""
    if isinstance(executor, ThreadPoolExecutor):
        return executor.submit(carry_out, _copy(job))
    try:
        content = pickle.dumps(job)
    except NO_PICKLE as error:
        raise ValueError(
            f"{job.name}: expected functions that another process can import, got "
            f"some that cannot be sent ({error}): define them in a file"
        ) from None
    return executor.submit(carry_out_there, settings(), content)


def _copy(job: Job) -> Job:
    """Return the job with its arrays laid out as they are where a job arrives.

    A sum over a column has other digits than one over a row. What cannot be sent
    anywhere stays as it is.
    """
    try:
        return pickle.loads(pickle.dumps(job))
    except NO_PICKLE:
        return job


def _outcome(job: Job, future: Future[tuple[Any, float]]) -> tuple[Any, float]:
    """Return result and seconds; where there are none, raise ValueError."""
    try:
        return future.result()
    except CancelledError:
        why = "was cancelled: the cluster is gone"
    except BrokenExecutor:
        why = "ended its process twice: is there enough memory?"
    raise ValueError(f"{job.name} {why}")


def _put(news: SimpleQueue, job: Job, future: Future) -> None:
    news.put((job, future))
