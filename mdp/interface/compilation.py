"""Settings of jax: a folder of compiled programs, and a fixed number of threads.

The command lines call both functions; nothing needs them. The user's own settings come
first: `JAX_COMPILATION_CACHE_DIR` moves the folder, and
`JAX_ENABLE_COMPILATION_CACHE=false` turns it off; `NPROC` is the number of threads.
"""

import contextlib
import os
import sys
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
