"""Settings of jax: a folder of compiled programs, and a fixed number of threads.

The command lines call both functions; nothing needs them. The user's own settings come
first: `JAX_COMPILATION_CACHE_DIR` moves the folder, and
`JAX_ENABLE_COMPILATION_CACHE=false` turns it off; `NPROC` is the number of threads.
"""

import contextlib
import os
from pathlib import Path

import jax

# The published numbers are those of two threads; more do not speed up small models.
NUM_THREADS = 2


def keep_compiled_programs() -> None:
    """Use a folder in the user's cache as jax's persistent compilation cache.

    Most waiting is for compiling.
    """
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        with contextlib.suppress(ValueError):  # without a home, nothing is kept
            jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    # Short compilations too: there are many of them.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def fix_threads() -> None:
    """Let jax compute with NUM_THREADS threads on a CPU, whatever the number of cores.

    With another number of threads a matrix product adds up in another order, and every
    learned weight is a little different. With a fixed one, the same seed gives the same
    results on one core and on sixteen. It has no effect once jax has computed anything.
    """
    os.environ.setdefault("NPROC", str(NUM_THREADS))


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
