"""A folder that keeps compiled programs between runs; most waiting is for compiling.

The command lines and the tests call `keep_compiled_programs`; nothing needs it. jax's
own settings come first: `JAX_COMPILATION_CACHE_DIR` moves the folder, and
`JAX_ENABLE_COMPILATION_CACHE=false` turns it off.
"""

import contextlib
import os
from pathlib import Path

import jax


def keep_compiled_programs() -> None:
    """Use a folder in the user's cache as jax's persistent compilation cache."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        with contextlib.suppress(ValueError):  # without a home, nothing is kept
            jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    # Short compilations too: there are many of them.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


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
