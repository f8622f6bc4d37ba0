"""Settings of jax: compiled programs are kept, compiling is quick, threads are fixed.

The command lines call these functions; nothing needs them. The user's own settings come
first: `JAX_COMPILATION_CACHE_DIR` moves the folder of programs, and
`JAX_ENABLE_COMPILATION_CACHE=false` turns it off; `XLA_FLAGS` are those of the
compiler; `NPROC` is the number of threads.
"""

import contextlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

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


def _configure(name: str, value: str) -> None:
    """Give a value to a setting of jax that the environment does not give."""
    import jax

    if name.upper() not in os.environ:
        kind = type(getattr(jax.config, name))
        jax.config.update(name, value if kind is type(None) else kind(value))


def compile_quickly() -> None:
    """Let jax's compiler optimise less, if jax is not imported yet.

    The programs of small models compile twice as fast, and run as fast.
    """
    os.environ.setdefault("XLA_FLAGS", quick_flags(level=1))


def quick_flags(level: int) -> str:
    """Return flags of jax's compiler for quick compilation.

    At level 0 it is quicker than at 1, and the programs are four times slower.
    """
    flags = f"--xla_backend_optimization_level={level}"
    if version("jaxlib").startswith("0.10."):
        # Later versions do not know this flag, and end the program.
        flags = f"--xla_cpu_use_fusion_emitters=false {flags}"
    return flags


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
