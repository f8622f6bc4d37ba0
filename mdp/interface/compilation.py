"""Compiling by jax: programs are kept, it is quick, and its time is told.

The command lines call these functions and fix the number of threads; nothing needs
them. The user's own settings come
first: `JAX_COMPILATION_CACHE_DIR` moves the folder of programs, and
`JAX_ENABLE_COMPILATION_CACHE=false` turns it off; `XLA_FLAGS` are those of the
compiler; `NPROC` is the number of threads.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points, version
from pathlib import Path
from threading import Lock, current_thread, main_thread
from typing import Any

# The published numbers are those of two threads; more do not speed up small models.
NUM_THREADS = 2


def keep_compiled_programs() -> None:
    """Use a folder in the user's cache as jax's persistent compilation cache.

    Most waiting is for compiling. Short compilations are kept, too: there are many.
    """
    settings = {"jax_persistent_cache_min_compile_time_secs": "0.0"}
    with contextlib.suppress(ValueError):  # without a home, nothing is kept
        settings["jax_compilation_cache_dir"] = str(cache_folder())
    for name, value in settings.items():
        if "jax" in sys.modules:
            _configure(name, value)
        else:  # jax reads the environment at its import, which `--help` does not need
            os.environ.setdefault(name.upper(), value)


def fix_threads() -> None:
    """Let jax compute with NUM_THREADS threads on a CPU, whatever the number of cores.

    With another number of threads a matrix product adds up in another order, and every
    learned weight is a little different. With a fixed one, the same seed gives the same
    results on one core and on sixteen. It has no effect once jax has computed anything.
    """
    os.environ.setdefault("NPROC", str(NUM_THREADS))


@cache
def one_blas_thread() -> None:
    """Let numpy and scipy compute matrix products and solves with one thread.

    With another number of threads the last digits differ.
    """
    import scipy.linalg  # noqa: F401  # only what is loaded can be told
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


def _configure(name: str, value: str) -> None:
    """Give a value to a setting of jax that the environment does not give."""
    import jax

    if name.upper() not in os.environ:
        kind = type(getattr(jax.config, name))
        jax.config.update(name, value if kind is type(None) else kind(value))


def compile_quickly() -> None:
    """Let jax's compiler for the CPU optimise less, if jax is not imported yet.

    The programs of small models compile twice as fast, and run as fast. Programs for a
    card would run slower.
    """
    if not may_use_card():
        os.environ.setdefault("XLA_FLAGS", quick_flags(level=1))


def prepare_card() -> None:
    """Let a card compute as exactly as a CPU, if jax is not imported yet.

    By itself it rounds the factors of float32 products to 10 bits (TF32). Then the
    sampler and the scorer disagree on log pi(y|x), and exact values have three digits.
    Its memory is taken as it is needed, so that several processes can share it.
    """
    if may_use_card():
        os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "float32")
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def may_use_card() -> bool:
    """Return whether jax has a plugin for something faster than a CPU, and may use it.

    It does not import jax.
    """
    allowed = os.environ.get("JAX_PLATFORMS", "")
    return allowed != "cpu" and bool(entry_points(group="jax_plugins"))


def quick_flags(level: int) -> str:
    """Return flags of jax's compiler for quick compilation.

    At level 0 it is quicker than at 1, and the programs are four times slower.
    """
    flags = f"--xla_backend_optimization_level={level}"
    if version("jaxlib").startswith("0.10."):
        # Later versions do not know this flag, and end the program.
        flags = f"--xla_cpu_use_fusion_emitters=false {flags}"
    return flags


class Compiling:
    """The time that the program spends on compiling, and whether it does so now.

    Only what the user waits for counts, not what a thread compiles ahead.
    """

    seconds = 0.0  # so far
    now = False
    _known = False  # whether jax reports to this class
    _waiting = 0  # threads that are in `waited_for`
    _since = 0.0  # when the first of them, or the compiler, began
    _lock = Lock()

    @classmethod
    def watch(cls) -> None:
        """Let jax report each compilation, if jax is imported."""
        if cls._known or "jax" not in sys.modules:
            return
        from jax import monitoring

        cls._known = True
        monitoring.register_event_duration_secs_listener(cls._hear)

    @classmethod
    @contextlib.contextmanager
    def waited_for(cls) -> Iterator[None]:
        """Count the time inside as compiling, also where another thread compiles.

        Time in which several threads are inside counts once.
        """
        with cls._lock:
            cls._since = cls._since if cls._waiting else time.perf_counter()
            cls._waiting += 1
            cls.now = True
        try:
            yield
        finally:
            with cls._lock:
                cls._waiting -= 1
                cls.now = cls._waiting > 0
                cls.seconds += 0.0 if cls.now else time.perf_counter() - cls._since

    @classmethod
    def _hear(cls, event: str, duration_secs: float, **about: Any) -> None:
        """Hear of the end of lowering, and of the compiler's work that follows it.

        jax measures by the clock on the wall, which may be set; this does not.
        """
        if current_thread() is not main_thread() or cls._waiting:
            return
        if event.endswith("/jaxpr_to_mlir_module_duration"):
            cls._since, cls.now = time.perf_counter(), True
        elif event.endswith("/backend_compile_duration") and cls.now:
            cls.seconds += time.perf_counter() - cls._since
            cls.now = False


def cache_folder() -> Path:
    """Return the project's folder in the user's cache.

    Raises ValueError where the user has no home, and names no cache.
    """
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        raise ValueError(
            "expected a home directory for the cache, got none: set XDG_CACHE_HOME"
        ) from None
    return caches / "bellman-to-rlhf"
